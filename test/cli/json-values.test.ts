import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromJson, parseJson, toJson } from "../../cli/json-values.js";
import type { Value } from "../../index.js";
import { decodeValue, encodeValue, MalformedMessageError } from "../../core/index.js";

const { value: values } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    // A stored value is never -0, so it is left out.
    fc.double().map((number) => number + 0),
    fc.string({ unit: "binary" }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array(),
    fc.array(tie("value")),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("$date", "$bytes", "$$", "$")), tie("value")).map((record) => ({ ...record })),
  ),
}));

describe("values as JSON", () => {
  test("every value is the same after a round trip through JSON", () => {
    fc.assert(
      fc.property(values, (value) => {
        const json = JSON.stringify(toJson(value));
        // MessagePack keeps 64-bit integers, Dates and bytes apart, so values are compared in their stored form.
        expect(fromJson(parseJson(json))).toEqual(value);
      }),
    );
  });

  test.each(["9007199254740993", "-12345678901234567890", "0.12345678901234567890", "[1e400]", '{"a":[1.00000000000000000001]}'])(
    "%s, which would lose precision, is refused",
    (text) => {
      expect(() => fromJson(parseJson(text))).toThrow(MalformedMessageError);
    },
  );

  test.each([
    "9007199254740992",
    "-589049676472098.2",
    "12345678901234567168",
    "0.1",
    "1e300",
    '"12345678901234567890 \\" 9007199254740993"',
    "1.0000000000000000000",
    "00000000000000001",
  ])("%s is taken as JSON.parse takes it", (text) => {
    const parsed = (parse: (json: string) => unknown): unknown => {
      try {
        return parse(text);
      } catch (error) {
        return (error as Error).name;
      }
    };
    expect(parsed(parseJson)).toEqual(parsed(JSON.parse));
  });

  test("values that JSON cannot express are tagged, and the $ that begins a name is doubled", () => {
    const value = { when: new Date(0), bytes: new Uint8Array([1, 2]), big: 12n, nan: Number.NaN, $name: 1 };
    expect(toJson(value)).toEqual({
      when: { $date: "1970-01-01T00:00:00.000Z" },
      bytes: { $bytes: "AQI=" },
      big: { $bigint: "12" },
      nan: { $number: "NaN" },
      $$name: 1,
    });
    expect(decodeValue(encodeValue(fromJson(toJson(value)))).value).toEqual(value);
  });

  test.each([
    [{ $date: "soon" }],
    [{ $bytes: "?" }],
    [{ $bigint: "1.5" }],
    [{ $number: "7" }],
    [{ $other: "x" }],
    [{ $date: "x", more: 1 }],
  ])("%j is refused", (json) => {
    expect(() => fromJson(json)).toThrow(expect.objectContaining({ code: "ZOOID_MALFORMED_MESSAGE" }) as Error);
  });
});
