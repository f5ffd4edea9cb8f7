/** A history of a bus, defined by a formula, so that independent processes agree on it. */
import { asTag, isBelow, type Tag } from "../../../core/index.js";

export const epoch = "epoch";

/** The tag whose invalidation has this sequence. */
export function invalidatedAt(sequence: number): Tag {
  const number = (sequence * 7_919) % 1_009;
  return asTag(number < 30 ? `city:c${number % 10}` : `city:c${number % 10}:s${number % 97}`);
}

/** Tags that the result under a key depends on. */
export function tagsOf(key: string): readonly Tag[] {
  const number = Number(key.slice(1));
  return [asTag(`city:c${number % 10}:s${number % 97}`), asTag(`city:c${(number * 3) % 10}:s${(number * 5) % 97}`)];
}

/** The latest sequence up to `until` that made a result under `key` stale; 0: none. */
export function staleSince(key: string, until: number): number {
  const tags = tagsOf(key);
  for (let sequence = until; sequence > 0; sequence--) {
    const above = invalidatedAt(sequence);
    if (tags.some((tag) => isBelow(tag, above))) return sequence;
  }
  return 0;
}
