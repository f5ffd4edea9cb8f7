import { expect, test } from "vitest";
import { asTid, isTid, tidAfter, tidAt, tidMinus, tidToMs, tidZero } from "../../core/index.js";

const moment = Date.UTC(2026, 10, 21);

test("a tid gives its millisecond and is good until the year 2248", () => {
  expect(tidToMs(tidAt(moment))).toBe(moment);
  expect(isTid(tidAt(Date.UTC(2248, 0, 1)))).toBe(true);
});

test("a tid is above the last one even when the clock goes back or a burst outruns it", () => {
  const last = tidAt(moment);
  expect(tidAfter(last, moment)).toBe(last + 1);
  expect(tidAfter(last, moment - 60_000)).toBe(last + 1);
  expect(tidAfter(last, moment + 1)).toBe(tidAt(moment + 1));
  expect(tidAfter(tidZero, moment)).toBe(tidAt(moment));
});

test("a tid never goes below zero, and an invalid tid is refused", () => {
  expect(tidMinus(tidAt(1_000), 5_000)).toBe(0);
  expect(tidMinus(tidAt(5_000), 1_000)).toBe(tidAt(4_000));
  for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => asTid(bad)).toThrow("a tid is a safe integer");
});
