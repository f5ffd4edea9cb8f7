import { describe, expect, test } from "vitest";
import { asTag, InvalidTagError, isBelow, limits, rootTag } from "../../core/index.js";

describe("a tag", () => {
  test.each([
    "a",
    "a:b:c",
    "user:123",
    "a.b:c_d",
    "_",
    ".",
    "x".repeat(limits.tagLengthMax),
    Array(limits.tagLevelsMax).fill("a").join(":"),
  ])("may be %s", (tag) => {
    expect(asTag(tag)).toBe(tag);
  });

  test.each([
    ["", /separated by :/],
    [":", /separated by :/],
    ["a:", /separated by :/],
    ["a::b", /separated by :/],
    ["a b", /separated by :/],
    ["a\n", /separated by :/],
    ["ä", /separated by :/],
    ["a:*", /separated by :/],
    ["x".repeat(limits.tagLengthMax + 1), /longer than 256/],
    [
      Array(limits.tagLevelsMax + 1)
        .fill("a")
        .join(":"),
      /more than 16 levels/,
    ],
    [7, /not a string/],
    [undefined, /not a string/],
  ])("is not %j", (value, reason) => {
    expect(() => asTag(value)).toThrow(InvalidTagError);
    expect(() => asTag(value)).toThrow(reason);
  });

  test("is below itself, its parents and the root, and below nothing else that it begins with", () => {
    const tag = asTag("a:b:c");
    for (const ancestor of [tag, asTag("a:b"), asTag("a"), rootTag]) expect(isBelow(tag, ancestor)).toBe(true);
    for (const other of ["a:b:c:d", "b", "a.b", "a:c"].map(asTag)) expect(isBelow(tag, other)).toBe(false);
    expect(isBelow(asTag("ab"), asTag("a"))).toBe(false);
    expect(isBelow(asTag("a.b:c"), asTag("a"))).toBe(false);
    expect(isBelow(rootTag, rootTag)).toBe(true);
    expect(isBelow(rootTag, tag)).toBe(false);
  });
});
