import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asTag, InvalidTagError, limits, tag, tagLevel } from "../../core/index.js";

const awkward = [
  "",
  ".",
  "..",
  ".z",
  ".2d",
  ":",
  "-",
  "a",
  "1",
  "_",
  " ",
  "é",
  "\0",
  "\ud83d",
  "\ude00",
  "😀",
  "z",
  "/",
  "%20",
  "x".repeat(70),
];
const text = fc.oneof(fc.constantFrom(...awkward), fc.string({ maxLength: 6, unit: fc.constantFrom(...awkward) }), fc.string());

describe("a level written for a value", () => {
  test.each([
    ["DE", "DE"],
    ["new_york", "new_york"],
    ["new-york", "new.2dyork"],
    ["a%20b", "a.2520b"],
    ["a:b", "a.3ab"],
    ["a.b", "a.2eb"],
    ["é", ".c3.a9"],
    ["\ud800", ".ed.a0.80"],
    ["", "."],
    [42, "42"],
    [-1, ".2d1"],
    [true, "true"],
    ["01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d.2dac96.2d774b.2dbcce.2db302099a8057"],
  ])("of %j is %j", (value, level) => {
    expect(tagLevel(value)).toBe(level);
  });

  test("of a bigint is its digits", () => {
    expect(tagLevel(10n ** 20n)).toBe("100000000000000000000");
  });

  test("is a hash when it would be too long", () => {
    expect(tagLevel("a".repeat(limits.tagLevelLengthMax))).toBe("a".repeat(limits.tagLevelLengthMax));
    expect(tagLevel("a".repeat(limits.tagLevelLengthMax + 1))).toMatch(/^\.\.[0-9a-f]{32}$/);
    expect(tagLevel("-".repeat(limits.tagLevelLengthMax / 3 + 1))).toMatch(/^\.\.[0-9a-f]{32}$/);
  });

  test("is one level of a tag, and is different for different texts", () => {
    fc.assert(
      fc.property(text, text, (one, other) => {
        const level = tagLevel(one);
        expect(asTag(level)).not.toContain(":");
        expect(level.length).toBeLessThanOrEqual(limits.tagLevelLengthMax);
        expect(level === tagLevel(other)).toBe(one === other);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a tag written as a template", () => {
  test("is the tag with its values filled in, and each value stays in its level", () => {
    expect(tag`cities`).toBe("cities");
    expect(tag`cities:${"DE"}:${7}`).toBe("cities:DE:7");
    expect(tag`cities:${"DE:7"}`).toBe("cities:DE.3a7");
    expect(tag`city${"DE"}:x`).toBe("cityDE:x");
  });

  test("differs when a value differs, also where values and text share a level", () => {
    const templates = [
      (a: string, b: string) => tag`${a}${b}`,
      (a: string, b: string) => tag`x${a}1${b}`,
      (a: string, b: string) => tag`${a}z${b}z`,
      (a: string, b: string) => tag`${a}:y${b}`,
      (a: string, b: string) => tag`y.${a}:${b}.:end`,
    ];
    fc.assert(
      fc.property(fc.constantFrom(...templates), text, text, text, text, (template, a, b, c, d) => {
        expect(template(a, b) === template(c, d)).toBe(a === c && b === d);
      }),
      { numRuns: 3_000 },
    );
    expect(tag`${"1"}${"23"}`).not.toBe(tag`${"12"}${"3"}`);
  });

  test("accepts a text of any length from a client", () => {
    const sent = "%".repeat(100_000);
    expect(tag`a:${sent}:${sent}:${sent}`.length).toBeLessThanOrEqual(limits.tagLengthMax);
  });

  test.each([
    ["a text around the values that is no tag's", () => tag`cities/${"DE"}`],
    ["an empty level", () => tag`cities::${"DE"}`],
    ["too many levels", () => tag`a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:${1}`],
    ["an undefined value", () => tag`cities:${undefined as unknown as string}`],
    ["an object", () => tag`cities:${{} as unknown as string}`],
    ["a call without a template", () => (tag as unknown as (text: string) => unknown)("cities")],
    ["a call with a list", () => (tag as unknown as (text: readonly string[]) => unknown)(["cities"])],
  ])("is refused for %s", (_, make) => {
    expect(make).toThrow(InvalidTagError);
  });
});
