import fc from "fast-check";
import { expect, test } from "vitest";
import { limits, rangeHas } from "../../../core/index.js";
import { RangeSet } from "../../../storage/objects/range-set.js";

const end = fc.string({ unit: fc.constantFrom("a", "b", "\u{ffff}", "\u{10000}"), maxLength: 3 });
const range = fc.record({ from: end, to: fc.option(end, { nil: undefined, freq: 8 }) });

test("a key lies in a set of ranges when it lies in any of them, also when they overlap or touch", () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), fc.array(end, { maxLength: 30 }), (ranges, keys) => {
      const set = new RangeSet(ranges);
      for (const key of keys) expect(set.has(key)).toBe(ranges.some((each) => rangeHas(each, key)));
    }),
    { numRuns: 3_000 },
  );
});

test("looking up 100,000 keys in transactionRangesMax ranges takes less than a second", () => {
  const prefix = "a/long/prefix/that/all/of/them/have/in/common/";
  const ranges = Array.from({ length: limits.transactionRangesMax }, (_, index) => ({
    from: `${prefix}${index}/`,
    to: `${prefix}${index}0`,
  }));
  const begun = process.cpuUsage();
  const set = new RangeSet(ranges);
  let found = 0;
  for (let index = 0; index < 100_000; index++) if (set.has(`${prefix}x/${index}`)) found++;
  const { user, system } = process.cpuUsage(begun);
  expect(found).toBe(0);
  expect((user + system) / 1_000).toBeLessThan(1_000);
});
