import fc from "fast-check";
import { expect, test } from "vitest";
import { Pace } from "../../../core/pace.js";
import { pacedSort } from "../../../storage/results/paced-sort.js";
import { type Clock, systemClock } from "../../../core/index.js";

/** A clock on which each reading takes a millisecond, and that counts the rests. */
function busyClock(): Clock & { readonly rests: () => number } {
  let nowMs = 0;
  let rests = 0;
  return {
    ...systemClock,
    monotonic: () => nowMs++,
    setTimeout: (action) => {
      rests++;
      return setImmediate(action);
    },
    rests: () => rests,
  };
}

test("sorting in steps gives the same as sorting at once, and is stable", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 12_000 }), fc.integer({ min: 1, max: 20_000 }), fc.nat(), async (length, range, seed) => {
      const items = Array.from({ length }, (_, index) => ({ index, number: ((index + seed) * 7_919) % range }));
      const sorted = await pacedSort(items, ({ number }) => number, new Pace(systemClock));
      expect(sorted).toEqual(items.toSorted((a, b) => a.number - b.number));
    }),
    { numRuns: 60 },
  );
});

test("other work runs meanwhile", async () => {
  const clock = busyClock();
  let turns = 0;
  const count = () => {
    turns++;
    running = setImmediate(count);
  };
  let running = setImmediate(count);
  const numbers = Array.from({ length: 100_000 }, (_, index) => (index * 7_919) % 100_003);
  const sorted = await pacedSort(numbers, (number) => number, new Pace(clock));
  clearImmediate(running);
  expect(sorted).toEqual(numbers.toSorted((a, b) => a - b));
  expect(clock.rests()).toBeGreaterThan(20);
  expect(turns).toBeGreaterThanOrEqual(clock.rests());
});
