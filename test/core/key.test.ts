import fc from "fast-check";
import { expect, test } from "vitest";
import { asKey, compareKeys, InvalidKeyError, limits, prefixRange, rangeHas } from "../../core/index.js";

const text = fc.string({ unit: "binary", maxLength: 12 });

test("keys are ordered by their UTF-8 bytes", () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 2_000 },
  );
  expect(compareKeys("\u{ffff}", "\u{10000}")).toBeLessThan(0);
});

test("the range of a prefix holds exactly the keys that begin with it", () => {
  const point = fc.constantFrom("a", "b", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{10ffff}");
  const word = fc.array(point, { maxLength: 4 }).map((points) => points.join(""));
  fc.assert(
    fc.property(word, word, (prefix, key) => {
      expect(rangeHas(prefixRange(prefix), key)).toBe(key.startsWith(prefix));
    }),
    { numRuns: 5_000 },
  );
});

test("a key is 1 to 512 bytes of well-formed text without NUL", () => {
  expect(asKey("city/DE/16/Jena")).toBe("city/DE/16/Jena");
  expect(asKey("ü".repeat(limits.keyBytesMax / 2))).toHaveLength(256);
  for (const bad of ["", "a\0b", "\ud800", "ü".repeat(limits.keyBytesMax / 2) + "a", 7, null, undefined, {}]) {
    expect(() => asKey(bad), String(bad)).toThrow(InvalidKeyError);
  }
});
