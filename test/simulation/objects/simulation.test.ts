import { describe, expect, test } from "vitest";
import { failedSeedsOf } from "../common/failed-seeds.js";
import { seedsFrom } from "../common/new-seeds.js";
import { simulate, simulateCoherence } from "./run.js";
import { simulateWriters } from "../writers/writers-run.js";
import { World } from "./world.js";

/** Number of seeds of every test run, which take about 12 s on an idle machine; `npm run sim` runs others. */
const seedCount = 200;
const coherenceSeedCount = 30;
const writersSeedCount = 100;
const timeoutMs = 240_000;

describe("simulation", () => {
  test(
    `the promises hold in ${seedCount} runs, and with all seeds that ever failed, with a faulty network, faulty disks and kills`,
    async () => {
      for (const seed of [...seedsFrom(1, seedCount), ...failedSeedsOf("store")]) {
        const { violation } = await simulate(seed);
        expect(violation?.message, `replay: npm run sim -- store --seeds 1 --from ${seed} --trace`).toBeUndefined();
      }
    },
    timeoutMs,
  );

  test(
    `cached functions that read the store give nothing older than what their callers know, in ${coherenceSeedCount} runs`,
    async () => {
      for (const seed of [...seedsFrom(1, coherenceSeedCount), ...failedSeedsOf("coherence")]) {
        const { violation } = await simulateCoherence(seed);
        expect(violation?.message, `replay: npm run sim -- coherence --seeds 1 --from ${seed} --trace`).toBeUndefined();
      }
    },
    timeoutMs,
  );

  test(
    `one server writes a storage in ${writersSeedCount} runs in which several servers start and some get no messages`,
    async () => {
      for (const seed of [...seedsFrom(1, writersSeedCount), ...failedSeedsOf("writers")]) {
        const { violation } = await simulateWriters(seed);
        expect(violation?.message, `replay: npm run sim -- writers --seeds 1 --from ${seed} --trace`).toBeUndefined();
      }
    },
    timeoutMs,
  );

  test("a loop without simulated time is a violation", async () => {
    const world = new World(1);
    const again = () => world.clock.setTimeout(again, 0);
    again();
    expect(await world.holdsWithin(() => false, 1)).toBe(false);
    expect(world.checker.violations.map(({ message }) => message)).toEqual([expect.stringContaining("a run comes to its end")]);
  });

  test("a seed gives the same run each time", async () => {
    const run = async () => {
      const lines: string[] = [];
      await simulate(1, (line) => lines.push(line));
      return lines;
    };
    expect(await run()).toEqual(await run());
  });
});
