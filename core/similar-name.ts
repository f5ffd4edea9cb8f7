/** With more edits than this, two names count as different words. */
const editsMax = 3;
/** Minimum share of characters that two similar names have in common. */
const shareMin = 0.5;
/** A beginning of a name counts as similar only from this many characters: a shorter one fits too many names. */
const beginningMin = 4;

/**
 * `: did you mean X?` with the most similar name in `known`; the empty text when none is similar. Ignores upper and
 * lower case.
 */
export function didYouMean(name: string, known: Iterable<string>): string {
  const typed = name.toLowerCase();
  let best: string | undefined;
  let bestEdits = Infinity;
  for (const each of known) {
    const meant = each.toLowerCase();
    const edits = typed.length >= beginningMin && meant.startsWith(typed) ? 1 : editsBetween(typed, meant);
    const longest = Math.max(typed.length, meant.length);
    if (edits > editsMax || (longest - edits) / longest < shareMin || edits >= bestEdits) continue;
    best = each;
    bestEdits = edits;
  }
  return best === undefined ? "" : `: did you mean ${best}?`;
}

/**
 * Number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (Damerau and
 * Levenshtein); Infinity when the lengths differ by more than editsMax.
 */
function editsBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > editsMax) return Infinity;
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const edits = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      edits[column] = Math.min(
        (edits[column - 1] ?? Infinity) + 1,
        (last[column] ?? Infinity) + 1,
        (last[column - 1] ?? Infinity) + (isSame ? 0 : 1),
        isSwapped ? (beforeLast[column - 2] ?? Infinity) + 1 : Infinity,
      );
    }
    beforeLast = last;
    last = edits;
  }
  return last[b.length] ?? Infinity;
}
