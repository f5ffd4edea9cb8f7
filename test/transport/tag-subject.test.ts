import fc from "fast-check";
import { expect, test } from "vitest";
import { checkSubject, SubjectTable } from "../../transport/index.js";
import { tagSubject } from "../../transport/tag-subject.js";

test("tags that differ only in their dividers have subjects of their own", () => {
  expect(["a.b:c", "a:b.c", "a:b:c", "a.b.c", ""].map(tagSubject)).toEqual(["a-b.c", "a.b-c", "a.b.c", "a-b-c", "="]);
});

test("any two tags have different subjects, and each subject is valid", () => {
  const tag = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.string({ unit: fc.constantFrom("a", ".", ":", "-", "=", "_", "2", "e"), maxLength: 8 }),
  );
  fc.assert(
    fc.property(
      tag.filter((text) => text.isWellFormed()),
      tag.filter((text) => text.isWellFormed()),
      (a, b) => {
        checkSubject(tagSubject(a));
        expect(tagSubject(a) === tagSubject(b)).toBe(a === b);
        const table = new SubjectTable<string>();
        table.addPattern(tagSubject(a), a);
        expect(table.match(tagSubject(a))).toEqual([a]);
      },
    ),
    { numRuns: 10_000 },
  );
});
