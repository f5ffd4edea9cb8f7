import { expect, test } from "vitest";
import { Commits } from "./commits.js";
import { Floors } from "./floors.js";
import { growthsOf, overgrown, type Sample } from "./growth.js";
import { Outages } from "./outages.js";

const options = { fromMs: 300, settleMs: 90 };
const mb = 1024 * 1024;

/** One sample every 10 ms. */
const samplesOf = (valueAt: (at: number) => number, lifeAt: (at: number) => number = () => 0): readonly Sample[] =>
  Array.from({ length: 120 }, (_, index) => {
    const at = index * 10;
    return { at, process: "one", life: lifeAt(at), values: { heap: valueAt(at) } };
  });

test("a heap that fills before it is judged, and then swings, counts as flat", () => {
  const growths = growthsOf(
    samplesOf((at) => Math.min(at, 300) * mb + (at % 70) * 0.02 * mb),
    options,
  );
  expect(growths).toHaveLength(1);
  expect(overgrown(growths)).toEqual([]);
});

test("a heap that grows by more than a twentieth of its level counts as growing, even when it swings", () => {
  const growths = growthsOf(
    samplesOf((at) => (100 + at * 0.01 + (at % 70) * 0.02) * mb),
    options,
  );
  expect(overgrown(growths)).toEqual(growths);
  expect(growths[0]?.allowed).toBeCloseTo(5.2 * mb, -6);
  expect(Number(growths[0]?.end) - Number(growths[0]?.level)).toBeCloseTo(9 * mb, -6);
});

test("the lives of a restarted process share one slope, so that a restart hides no growth", () => {
  const lifeAt = (at: number) => Math.floor(at / 400);
  const growing = samplesOf((at) => (20 + (at % 400) * 0.02) * mb, lifeAt);
  const level = samplesOf((at) => (20 + lifeAt(at) * 3) * mb, lifeAt);
  expect(overgrown(growthsOf(growing, options))).toHaveLength(1);
  expect(overgrown(growthsOf(level, options))).toEqual([]);
});

test("a node knows its own acknowledged versions at once, and those of other nodes after some time", () => {
  const floors = new Floors(100);
  floors.acknowledged("row", "A", 2, 10);
  floors.acknowledged("row", "B", 3, 20);
  expect(["A", "B", "C"].map((node) => floors.floorAt("row", node, 20, 100))).toEqual([2, 3, 0]);
  expect(floors.floorAt("row", "A", 119, 100)).toBe(2);
  expect(floors.floorAt("row", "C", 120, 100)).toBe(3);
  floors.seen("row", "C", 5);
  floors.forget("A");
  expect([floors.floorAt("row", "A", 20, 100), floors.floorAt("row", "C", 20, 100)]).toEqual([0, 5]);
});

test("a version that is written twice, or is missing at the end, is a lost update", () => {
  const wrongs: string[] = [];
  const commits = new Commits(new Floors(0), (text) => wrongs.push(text));
  commits.acknowledged("row", "A", 1, 0);
  commits.acknowledged("row", "B", 2, 0);
  commits.failed("row");
  commits.judgeEnd("row", 3);
  expect(wrongs).toEqual([]);
  commits.acknowledged("row", "A", 2, 1);
  commits.judgeEnd("row", 1);
  commits.judgeEnd("row", 4);
  expect(wrongs).toHaveLength(3);
});

test("a failure is excused only while a part is away and soon after", async () => {
  const outages = new Outages();
  expect(outages.isExcused(performance.now())).toBe(false);
  await outages.during(async () => expect(outages.isExcused(performance.now())).toBe(true));
  expect(outages.isExcused(performance.now())).toBe(true);
  expect(outages.isExcused(performance.now() + 10_001)).toBe(false);
});
