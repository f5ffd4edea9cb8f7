import { describe, expect, test } from "vitest";
import { failedSeedsOf } from "../common/failed-seeds.js";
import { seedsFrom } from "../common/new-seeds.js";
import { simulatePlain } from "./plain-run.js";

/** Number of seeds of every test run; `npm run sim -- plain` runs others. */
const seedCount = 12;
/** Seeds that were the first to find deliberate bugs. */
const sensitiveSeeds = [47, 53];
const timeoutMs = 240_000;

describe("simulation of the cache over plain NATS", () => {
  test(
    `promise 11 holds in ${seedCount} runs, and with all seeds that ever failed, with a cluster that loses messages in flight, and kills`,
    async () => {
      for (const seed of new Set([...seedsFrom(1, seedCount), ...sensitiveSeeds, ...failedSeedsOf("plain")])) {
        const { violation } = await simulatePlain(seed);
        expect(violation?.message, `replay: npm run sim -- plain --seeds 1 --from ${seed} --trace`).toBeUndefined();
      }
    },
    timeoutMs,
  );

  test("a seed gives the same run each time", async () => {
    const run = async () => {
      const lines: string[] = [];
      await simulatePlain(1, (line) => lines.push(line));
      return lines;
    };
    expect(await run()).toEqual(await run());
  });
});
