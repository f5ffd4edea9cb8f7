import { keptWhenFull } from "../../core/counts.js";
import type { Tag } from "../../core/tag.js";

/**
 * The exact latest invalidations: every tag that was invalidated after `since` is known with its sequence. The trie
 * checks entries of this process, and may report too early that one is stale, because it merges tags that nothing here
 * depends on. Results of other nodes need an exact check: the node that looks them up does not depend on their tags
 * yet.
 */
export class LatestInvalidations {
  readonly #tagsMax: number;
  readonly #sequences = new Map<Tag, number>();
  #since = 0;

  constructor(tagsMax: number) {
    this.#tagsMax = tagsMax;
  }

  /** Invalidations at or before this sequence may be unknown. */
  get since(): number {
    return this.#since;
  }

  /** The latest known invalidation of `tag` itself; 0: none after `since`. */
  of(tag: Tag): number {
    return this.#sequences.get(tag) ?? 0;
  }

  apply(tag: Tag, sequence: number): void {
    const known = this.of(tag);
    // The latest come last in the map, so that the oldest are removed first.
    this.#sequences.delete(tag);
    this.#sequences.set(tag, Math.max(known, sequence));
    if (this.#sequences.size <= this.#tagsMax) return;
    const kept = keptWhenFull(this.#tagsMax);
    for (const [oldest, itsSequence] of this.#sequences) {
      if (this.#sequences.size <= kept) return;
      this.#sequences.delete(oldest);
      this.#since = Math.max(this.#since, itsSequence);
    }
  }

  /** Forgets everything: invalidations at or before `sequence` are unknown. */
  reset(sequence: number): void {
    this.#sequences.clear();
    this.#since = sequence;
  }
}
