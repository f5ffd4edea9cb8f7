import { compareKeys, type KeyRange, rangeHas } from "../../core/index.js";

/** A set of ranges. Looking up a key costs one binary search, not a comparison with each range. */
export class RangeSet {
  /** In the order of keys. No range is empty, and no range touches the next one. */
  readonly #apart: readonly KeyRange[];

  constructor(ranges: Iterable<KeyRange>) {
    this.#apart = apart([...ranges].filter(({ from, to }) => to === undefined || compareKeys(from, to) < 0));
  }

  /** Whether `key` lies in any of the ranges. */
  has(key: string): boolean {
    let low = 0;
    let high = this.#apart.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const range = this.#apart[middle] as KeyRange;
      if (compareKeys(range.from, key) <= 0) low = middle + 1;
      else high = middle;
    }
    const before = this.#apart[low - 1];
    return before !== undefined && rangeHas(before, key);
  }
}

function apart(ranges: KeyRange[]): readonly KeyRange[] {
  const merged: KeyRange[] = [];
  let last: KeyRange | undefined;
  for (const range of ranges.sort((a, b) => compareKeys(a.from, b.from))) {
    if (last === undefined || (last.to !== undefined && compareKeys(range.from, last.to) > 0)) {
      last = range;
      merged.push(last);
    } else if (last.to !== undefined && (range.to === undefined || compareKeys(range.to, last.to) > 0)) {
      last = { from: last.from, to: range.to };
      merged[merged.length - 1] = last;
    }
  }
  return merged;
}
