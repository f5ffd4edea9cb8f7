import fc from "fast-check";
import { expect, test } from "vitest";
import { isTagOrRoot } from "../../core/index.js";
import { checkSubject, SubjectTable } from "../../transport/index.js";
import { tagOfSubject, tagSubject } from "../../transport/tag-subject.js";

const tag = fc.string({ unit: fc.constantFrom("a", "B", ".", ":", "_", "2"), maxLength: 10 }).filter(isTagOrRoot);

test("tags that differ only in their dividers have subjects of their own", () => {
  expect(["a.b:c", "a:b.c", "a:b:c", "a.b.c", ""].map(tagSubject)).toEqual(["a-b.c", "a.b-c", "a.b.c", "a-b-c", "="]);
});

test("any two tags have different subjects, and each subject is valid and names its tag", () => {
  fc.assert(
    fc.property(tag, tag, (a, b) => {
      checkSubject(tagSubject(a));
      expect(tagOfSubject(tagSubject(a))).toBe(a);
      expect(tagSubject(a) === tagSubject(b)).toBe(a === b);
      const table = new SubjectTable<string>();
      table.addPattern(tagSubject(a), a);
      expect(table.match(tagSubject(a))).toEqual([a]);
    }),
    { numRuns: 10_000 },
  );
});

test("a subject that no tag has names no tag", () => {
  expect(["", "a:b", ":", "a..b", ".a", "a.", "==", "=.a", "a b", "a=20b", "é"].map(tagOfSubject)).toEqual(Array(11).fill(undefined));
  const tokens = fc.string({ unit: fc.constantFrom("a", ".", ":", "-", "=", " ", "_"), maxLength: 8 });
  fc.assert(
    fc.property(tokens, (text) => {
      const named = tagOfSubject(text);
      if (named !== undefined) expect(tagSubject(named)).toBe(text);
    }),
    { numRuns: 10_000 },
  );
});
