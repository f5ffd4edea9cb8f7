import { expect, test } from "vitest";
import { soak } from "./soak.js";
import { RowTruth } from "./truth.js";

test("no node is stale after a broker was killed in the middle of invalidations, twice", { timeout: 90_000 }, async () => {
  const report = await soak({ kills: 2, seed: 3 });
  expect(report).toMatchObject({ kills: 2, wrongs: [], invalidations: report.published + report.queued });
  expect(Math.min(report.invalidations, report.hits)).toBeGreaterThan(20);
});

test("the lowest version that a node may serve is the latest that it invalidated itself or that all nodes know", () => {
  const truth = new RowTruth();
  truth.invalidated("A", 2, 10);
  truth.invalidated("B", 3, 20);
  expect([truth.floorAt("A"), truth.floorAt("B"), truth.floorAt("C")]).toEqual([2, 3, 0]);
  expect([truth.replacedAt(1), truth.replacedAt(2), truth.replacedAt(3)]).toEqual([10, 20, undefined]);
  truth.settled();
  expect([truth.floorAt("A"), truth.floorAt("C"), truth.replacedAt(1)]).toEqual([3, 3, undefined]);
});
