import { describe, expect, test } from "vitest";
import { asDuration, asDurationIfGiven, atLeastOneMs, endlessMs, InvalidOptionError } from "../../core/index.js";

const seconds = { unit: "s" } as const;

describe("a duration", () => {
  test.each([
    [0, 0],
    [1, 1_000],
    [0.25, 250],
    ["250ms", 250],
    ["1.5s", 1_500],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["7d", 604_800_000],
    [31_536_000, 31_536_000_000],
  ])("of %j in an option in seconds is %d ms", (value, ms) => {
    expect(asDuration(value, "ttl", seconds)).toBe(ms);
  });

  test.each([
    [0, 0],
    [1.5, 1.5],
    ["5s", 5_000],
    ["400d", 400 * 86_400_000],
    [2 ** 31, 2 ** 31],
    [2 ** 60, 2 ** 60],
    [Infinity, Infinity],
  ])("of %j in an option in milliseconds is %d ms", (value, ms) => {
    expect(asDuration(value, "timeoutMs", endlessMs)).toBe(ms);
  });

  test.each([-1, Number.NaN, Infinity, -Infinity, "", "5", "5 m", "-1s", "1e3s", "5w", "m", "Infinity", "5 parsecs", null, {}, true, 1n])(
    "is not %s",
    (value) => {
      expect(() => asDuration(value, "ttl", seconds)).toThrow(InvalidOptionError);
      expect(() => asDuration(value, "timeoutMs", { unit: "ms" })).toThrow(InvalidOptionError);
    },
  );

  test("of more than a year in plain seconds is taken for milliseconds and refused", () => {
    expect(() => asDuration(31_536_001, "ttl", seconds)).toThrow(/probably milliseconds were meant, which are written "31536001ms"/);
    expect(asDuration("400d", "ttl", seconds)).toBe(400 * 86_400_000);
  });

  test("below the minimum is refused, and undefined stays undefined", () => {
    expect(() => asDuration("0s", "requestTimeoutMs", atLeastOneMs)).toThrow(/option requestTimeoutMs is "0s", less than 1 ms/);
    expect(asDurationIfGiven(undefined, "timeoutMs", endlessMs)).toBeUndefined();
  });
});
