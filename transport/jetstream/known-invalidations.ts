import { limits } from "../../core/index.js";
import type { BusPosition, TagVersion } from "../bus.js";
import type { Delivery } from "./messages.js";

/** How far a time that we were told may be from the one that the broker wrote down. */
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
 * The latest invalidations that this node knows, by sequence: it was told of them, the stream has acknowledged them to it, or had them when the
 * node began at its end. A stream that lost its end counts on from there, and may have passed our position before we see it again. Then it lacks
 * what we know, or has something else at its sequence.
 */
export class KnownInvalidations {
  readonly #known = new Map<number, KnownInvalidation>();
  #before: readonly TagVersion[] = [];
  /** All from here on is known: what has no id here was no invalidation, or superseded. */
  #since = 1;

  /** Nothing before `sequence` is known but `before`, the latest first. */
  begin(sequence: number, before: readonly TagVersion[] = []): void {
    this.#known.clear();
    this.#before = before;
    this.#since = sequence;
  }

  tell(invalidation: KnownInvalidation & { readonly id: string }): void {
    const { sequence } = invalidation;
    // An acknowledgement may have come first: the order is that of sequences, as good as.
    this.#known.delete(sequence);
    this.#known.set(sequence, invalidation);
    if (this.#known.size <= limits.toldInvalidationsMax) return;
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

  /** Whether what the stream has at a sequence up to `position` cannot be what it had there when we stood at `position`. */
  isContradictedBy({ sequence, time, word }: Delivery, position: BusPosition): boolean {
    if (sequence > position.sequence) return false;
    if (sequence < this.#since) return time > position.time + timeErrorMs;
    return word.type === "invalidate" && this.#known.get(sequence)?.id !== word.id;
  }
}
