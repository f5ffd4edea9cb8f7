import fc from "fast-check";
import { expect, test } from "vitest";
import { SubjectTable } from "../../transport/index.js";

const token = fc.constantFrom("a", "b", "c");
const subjects = fc.array(token, { minLength: 1, maxLength: 4 });
const patterns = fc
  .tuple(fc.array(fc.oneof(token, fc.constant("*")), { maxLength: 3 }), fc.boolean())
  .map(([tokens, rest]) => (rest || tokens.length === 0 ? [...tokens, ">"] : tokens));

/** The definition of a match, token by token. */
function matches(pattern: readonly string[], subject: readonly string[]): boolean {
  const last = pattern.at(-1) === ">";
  const fixed = last ? pattern.slice(0, -1) : pattern;
  if (last ? subject.length <= fixed.length : subject.length !== fixed.length) return false;
  return fixed.every((part, index) => part === "*" || part === subject[index]);
}

test("a table finds the patterns that match a subject, and no others, after any removals", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(patterns, fc.boolean()), { maxLength: 30 }), subjects, (entries, subject) => {
      const table = new SubjectTable<number>();
      entries.forEach(([pattern], index) => table.addPattern(pattern.join("."), index));
      entries.forEach(([pattern, removed], index) => removed && table.remove(pattern.join("."), index));
      const expected = entries.flatMap(([pattern, removed], index) => (!removed && matches(pattern, subject) ? [index] : []));
      expect(table.match(subject.join(".")).sort((a, b) => a - b)).toEqual(expected);
    }),
  );
});
