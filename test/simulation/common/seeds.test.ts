import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { failedSeeds } from "./failed-seeds.js";
import { runInJobs } from "./jobs.js";
import { firstSeedOf, seedsFrom } from "./new-seeds.js";
import type { Outcome } from "./outcome.js";
import { simulations } from "./simulations.js";
import { Summary } from "./summary.js";

describe("seeds of the simulation", () => {
  test("each commit has its own seeds, which wrap around after the last one", () => {
    expect(firstSeedOf("99b498f0aa")).toBe(0x99b498f0);
    expect([...seedsFrom(2 ** 32 - 2, 4)]).toEqual([2 ** 32 - 2, 2 ** 32 - 1, 0, 1]);
  });

  test("each seed that failed stands once beside its cause and the test that shows it", () => {
    for (const what of Object.keys(simulations)) {
      const seeds = failedSeeds.filter((each) => each.what === what).flatMap(({ seeds }) => seeds);
      expect(new Set(seeds).size).toBe(seeds.length);
    }
    expect(failedSeeds.map(({ test }) => test).filter((path) => !existsSync(path))).toEqual([]);
  });

  test("the summary lists the seeds that failed by the kind of violation", () => {
    const summary = new Summary();
    const outcome = (seed: number, kind?: string): Outcome => ({
      seed,
      violation: kind === undefined ? undefined : { kind, message: `${kind} ${seed}` },
      simulatedMs: 10,
      counts: { calls: seed },
    });
    for (const each of [outcome(1), outcome(2, "one"), outcome(3, "two"), outcome(4, "two")]) summary.add(each);
    expect(summary).toMatchObject({ ran: 4, failed: 3, simulatedMs: 40, counts: { calls: 10 } });
    expect(summary.kinds).toEqual([
      { kind: "two", seeds: [3, 4], example: "two 3" },
      { kind: "one", seeds: [2], example: "one 2" },
    ]);
  });

  test("a run in another process has the same outcome as in this one", async () => {
    const { simulate } = await import("../objects/run.js");
    const here = await simulate(1);
    for await (const { seed, simulatedMs, counts } of runInJobs("store", [1], 1))
      expect({ seed, simulatedMs, counts }).toEqual({ seed: 1, simulatedMs: here.simulatedMs, counts: here.counts });
  }, 60_000);
});
