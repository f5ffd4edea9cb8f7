import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { failedSeedsOf } from "../common/failed-seeds.js";
import { seedsFrom } from "../common/new-seeds.js";
import { simulateRecord } from "./record-run.js";

/** Number of seeds of every test run, which take about 10 s on an idle machine; `npm run sim -- record` runs others. */
const seedCount = 200;
const timeoutMs = 240_000;

// XState warns of each event to a child that has ended, which happens here all the time.
beforeAll(() => void vi.spyOn(console, "warn").mockReturnValue());
afterAll(() => void vi.restoreAllMocks());

describe("simulation of the record", () => {
  test(
    `the model of the frames equals the actors in ${seedCount} runs, and with all seeds that ever failed, with late and lost watchers, left-out events and pauses`,
    async () => {
      const sums: Record<string, number> = {};
      for (const seed of [...seedsFrom(1, seedCount), ...failedSeedsOf("record")]) {
        const { violation, counts } = await simulateRecord(seed);
        expect(violation?.message, `replay: npm run sim -- record --seeds 1 --from ${seed} --trace`).toBeUndefined();
        for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count;
      }
      // The runs have what they are for.
      expect(sums["moments"]).toBeGreaterThan(5_000);
      expect(sums["files"]).toBeGreaterThan(100);
      expect(sums["late"]).toBeGreaterThan(100);
      expect(sums["gaps"]).toBeGreaterThan(100);
      expect(sums["left"]).toBeGreaterThan(10_000);
      expect(sums["pauses"]).toBeGreaterThan(5);
    },
    timeoutMs,
  );

  test("a seed gives the same run each time", async () => {
    const run = async () => {
      const lines: string[] = [];
      await simulateRecord(10, (line) => lines.push(line));
      return lines;
    };
    expect(await run()).toEqual(await run());
  });
});
