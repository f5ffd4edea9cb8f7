import { describe, expect, test } from "vitest";
import { failedSeedsOf } from "../common/failed-seeds.js";
import { seedsFrom } from "../common/new-seeds.js";
import { simulateCache } from "./cache-run.js";

/** Number of seeds of every test run; `npm run sim -- cache` runs others. */
const seedCount = 200;
const timeoutMs = 240_000;

describe("simulation of the cache", () => {
  test(
    `promise 11 holds in ${seedCount} runs, and with all seeds that ever failed, with a faulty bus that forgets invalidations, faulty disks, skewed clocks and kills`,
    async () => {
      let forgotten = 0;
      for (const seed of [...seedsFrom(1, seedCount), ...failedSeedsOf("cache")]) {
        const { violation, counts } = await simulateCache(seed);
        expect(violation?.message, `replay: npm run sim -- cache --seeds 1 --from ${seed} --trace`).toBeUndefined();
        forgotten += counts["forgotten"] ?? 0;
      }
      expect(forgotten).toBeGreaterThan(100);
    },
    timeoutMs,
  );

  test("a seed gives the same run each time", async () => {
    const run = async () => {
      const lines: string[] = [];
      await simulateCache(1, (line) => lines.push(line));
      return lines;
    };
    expect(await run()).toEqual(await run());
  });
});
