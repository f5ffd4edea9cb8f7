import { limits } from "../../core/index.js";

interface Publisher {
  number: number;
  heardAt: number;
  provenAt: number;
}

/** When a message arrived, on the monotonic clock. */
export interface HeardAt {
  readonly now: number;
  /** A moment by which the message had not reached this node's broker yet; it may have been under way since. */
  readonly provenAt: number;
}

/** All other live publishers that this node has received messages of since it has its link. */
export class PlainPublishers {
  readonly #publishers = new Map<string, Publisher>();

  /**
   * Publisher `id` has published `number` invalidations. Returns why this node may have missed some; undefined: it
   * missed none.
   */
  heard(id: string, number: number, { now, provenAt }: HeardAt): string | undefined {
    const known = this.#publishers.get(id);
    const hasMore = number > (known?.number ?? 0);
    if (known !== undefined) {
      known.number = Math.max(known.number, number);
      known.heardAt = now;
      known.provenAt = provenAt;
    } else if (this.#publishers.size < limits.busPublishersMax) {
      this.#publishers.set(id, { number, heardAt: now, provenAt });
    }
    if (!hasMore) return undefined;
    return known === undefined ? "an unknown publisher" : "a publisher has published more";
  }

  /** The invalidation `number` of publisher `id` arrived. Counts if it is the next one of a known publisher. */
  published(id: string, number: number, { now, provenAt }: HeardAt): void {
    const known = this.#publishers.get(id);
    if (known === undefined || number !== known.number + 1) return;
    known.number = number;
    known.heardAt = now;
    known.provenAt = provenAt;
  }

  forget(id: string): void {
    this.#publishers.delete(id);
  }

  clear(): void {
    this.#publishers.clear();
  }

  /** Forgets the publishers that sent nothing since. Returns whether there were any. */
  forgetSilent(since: number): boolean {
    const { size } = this.#publishers;
    for (const [id, { heardAt }] of this.#publishers) if (heardAt < since) this.#publishers.delete(id);
    return this.#publishers.size < size;
  }

  /**
   * The earliest moment by which the last message of some publisher had not reached this node's broker yet; Infinity:
   * there is no publisher.
   */
  get provenAt(): number {
    let earliest = Infinity;
    for (const { provenAt } of this.#publishers.values()) earliest = Math.min(earliest, provenAt);
    return earliest;
  }
}
