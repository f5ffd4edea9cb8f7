import { limits } from "../../core/index.js";
import type { BusPosition, TagVersion } from "../bus.js";
import type { Delivery } from "./messages.js";

/** Largest difference between a time that this node received and the one that the broker stored. */
export const timeErrorMs = 100;

/** An invalidation that the stream had when this node last knew. */
export interface KnownInvalidation extends TagVersion {
  /** Undefined: an earlier process knew it. */
  readonly id: string | undefined;
}

/** Invalidations that the stream has from a sequence on. */
export interface HeldInvalidations {
  readonly since: number;
  readonly invalidations: readonly (KnownInvalidation & { readonly id: string })[];
}

/**
 * The latest invalidations that this node knows, by sequence: they were delivered to it, the stream acknowledged them
 * to it, or the stream had them when the node began at its end. A stream that lost its end continues from there, and
 * may have passed this node's position before the node sees it again. Then the stream lacks known invalidations, or has
 * other messages at their sequences.
 */
export class KnownInvalidations {
  readonly #known = new Map<number, KnownInvalidation>();
  #before: readonly TagVersion[] = [];
  /** All invalidations from here on are known: a sequence without an id here was no invalidation, or was superseded. */
  #since = 1;

  /** Forgets all invalidations before `sequence` but `before`, the latest first. */
  begin(sequence: number, before: readonly TagVersion[] = []): void {
    this.#known.clear();
    this.#before = before;
    this.#since = sequence;
  }

  add(invalidation: KnownInvalidation & { readonly id: string }): void {
    const { sequence } = invalidation;
    // An acknowledgement may have come first: the order is that of sequences, with few exceptions.
    this.#known.delete(sequence);
    this.#known.set(sequence, invalidation);
    if (this.#known.size <= limits.knownInvalidationsMax) return;
    const first = this.#known.keys().next().value;
    if (first === undefined) return;
    this.#known.delete(first);
    this.#since = Math.max(this.#since, first + 1);
  }

  /** The latest invalidation of each tag, the latest first. */
  latest(): readonly KnownInvalidation[] {
    const latest = new Map<string, KnownInvalidation>();
    const before = this.#before.map(({ tag, sequence }) => ({ tag, sequence, id: undefined }));
    for (const known of [...[...this.#known.values()].toSorted((a, b) => b.sequence - a.sequence), ...before]) {
      if (!latest.has(known.tag)) latest.set(known.tag, known);
    }
    return [...latest.values()];
  }

  /**
   * Whether the stream's message at a sequence up to `position` cannot be the one it had there when this node was at
   * `position`.
   */
  isContradictedBy({ sequence, time, word }: Delivery, position: BusPosition): boolean {
    if (sequence > position.sequence) return false;
    if (sequence < this.#since) return time > position.time + timeErrorMs;
    return word.type === "invalidate" && this.#known.get(sequence)?.id !== word.id;
  }
}
