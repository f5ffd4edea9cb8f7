import type { Pace } from "../../core/pace.js";

/** Items sorted in one step, which takes about a millisecond. */
const runLength = 2_048;

/** `items` in the order of their numbers; stable; other work runs meanwhile. */
export async function pacedSort<T>(items: readonly T[], numberOf: (item: T) => number, pace: Pace): Promise<T[]> {
  let from: T[] = [];
  for (let at = 0; at < items.length; at += runLength) {
    for (const item of items.slice(at, at + runLength).sort((a, b) => numberOf(a) - numberOf(b))) from.push(item);
    if (pace.isOver) await pace.rest();
  }
  // Sorted runs are merged into runs of twice the length, until one is left.
  for (let length = runLength; length < from.length; length *= 2) {
    const to: T[] = [];
    for (let at = 0; at < from.length; at += 2 * length) {
      const middle = Math.min(at + length, from.length);
      const end = Math.min(middle + length, from.length);
      for (let left = at, right = middle; left < middle || right < end;) {
        const isLeft = right >= end || (left < middle && numberOf(from[left] as T) <= numberOf(from[right] as T));
        to.push(from[isLeft ? left++ : right++] as T);
        if (to.length % runLength === 0 && pace.isOver) await pace.rest();
      }
    }
    from = to;
  }
  return from;
}
