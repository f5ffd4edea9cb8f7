import type { Tag } from "../../core/tag.js";

/**
 * The latest invalidations, exactly: of what was invalidated after `since` every tag is known with its sequence. The trie judges the entries of
 * this process, and may say too early that one is stale, as it merges what nothing here depends on. What others computed is worth more precision:
 * a node that asks for it depends on none of its tags yet.
 */
export class LatestInvalidations {
  readonly #tagsMax: number;
  readonly #sequences = new Map<Tag, number>();
  #since = 0;

  constructor(tagsMax: number) {
    this.#tagsMax = tagsMax;
  }

  /** What came at or before it may not be known. */
  get since(): number {
    return this.#since;
  }

  /** The latest known invalidation of `tag` itself; 0: none after `since`. */
  of(tag: Tag): number {
    return this.#sequences.get(tag) ?? 0;
  }

  apply(tag: Tag, sequence: number): void {
    const known = this.of(tag);
    // The latest stand last, so that the oldest make way.
    this.#sequences.delete(tag);
    this.#sequences.set(tag, Math.max(known, sequence));
    if (this.#sequences.size <= this.#tagsMax) return;
    const oldest = this.#sequences.entries().next().value;
    if (oldest === undefined) return;
    this.#sequences.delete(oldest[0]);
    this.#since = Math.max(this.#since, oldest[1]);
  }

  /** Nothing is known of what came at or before `sequence`. */
  reset(sequence: number): void {
    this.#sequences.clear();
    this.#since = sequence;
  }
}
