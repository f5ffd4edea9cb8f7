/** The system's time as caches see it: fake timers of tests, and sleep of the system. */
import os from "node:os";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Cache, createCache } from "../../../cache.js";
import { Ticks } from "../../../storage/results/ticks.js";
import { createBroker } from "../../../transport/index.js";
import { systemClock } from "../../../core/index.js";
import { createPlainBus } from "../../../actors/cache/bus/plain-bus.js";

let cache: Cache;
let calls: number;
let count: () => number;

beforeEach(async () => {
  cache = await createCache({ defaultTtl: "1m", readExtendTtl: false });
  calls = 0;
  count = cache.cacheable(() => ++calls, { name: "count" });
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await cache.close();
});

describe("a result whose time to live is a minute", () => {
  test("lapses after 61 s of fake timers, and of those that come after them", () => {
    for (const session of [1, 2, 3]) {
      vi.useFakeTimers();
      const first = count();
      vi.advanceTimersByTime(61_000);
      expect(count(), `in session ${session}`).toBe(first + 1);
      vi.useRealTimers();
    }
  });

  test("lapses after a sleep of the system, though no timer has fired", () => {
    const first = count();
    expect(count()).toBe(first);
    sleep(8);
    lookFor(20, () => count());
    expect(count()).toBe(first + 1);
  });
});

/** The system sleeps for `hours`: the clocks show it, and no timer has fired. */
function sleep(hours: number): void {
  const [wall, uptime] = [Date.now.bind(Date), os.uptime.bind(os)];
  vi.spyOn(Date, "now").mockImplementation(() => wall() + hours * 3_600_000);
  vi.spyOn(os, "uptime").mockImplementation(() => uptime() + hours * 3_600);
}

/**
 * Calls `look` in one turn of the event loop, in which no timer fires. The cache reads the time anew after some hundred
 * look-ups, and checks for a sleep every millisecond.
 */
function lookFor(ms: number, look: () => unknown): void {
  const until = performance.now() + ms;
  for (let looks = 0; looks < 1_000 || performance.now() < until; looks++) look();
}

test.each(["1h", "30s"])(
  "a node whose maxStaleSecs is %s serves nothing after the system has slept for 8 h, until it hears its bus",
  async (maxStaleSecs) => {
    const broker = createBroker({ clock: systemClock });
    const bus = createPlainBus({ transport: broker.connect(), prefix: "p", heartbeatIntervalMs: 20, heartbeatTimeoutMs: 10_000 });
    await using made = await createCache({ bus, maxStaleSecs });
    const answer = made.cacheable(() => ++calls, { name: "answer" });
    await expect.poll(() => made.stats().isInTouch, { timeout: 20_000 }).toBe(true);
    const first = answer();
    lookFor(20, () => expect(answer()).toBe(first));
    sleep(8);
    lookFor(20, () => answer());
    const after = calls;
    expect([answer(), answer()]).toEqual([after + 1, after + 2]);
    expect(made.stats().isInTouch).toBe(false);
    await expect.poll(() => made.stats().isInTouch && answer() === answer(), { timeout: 20_000 }).toBe(true);
    await bus.close();
  },
);

test("a cache made under fake timers is in touch with its bus once the real timers are back", async () => {
  vi.useFakeTimers();
  const bus = createPlainBus({ transport: createBroker({ clock: systemClock }).connect(), prefix: "p" });
  const opening = createCache({ bus, maxStaleSecs: 2 });
  await vi.advanceTimersByTimeAsync(5_000);
  await using made = await opening;
  vi.useRealTimers();
  const again = made.cacheable(() => ++calls, { name: "again" });
  const heardMs = () => made.stats().busHeardMs ?? Infinity;
  await expect.poll(() => again() > 0 && heardMs(), { timeout: 20_000 }).toBeGreaterThan(500);
  await expect.poll(heardMs, { timeout: 20_000 }).toBeLessThan(500);
  await bus.close();
});

test("ticks go on though no timer ever fires", () => {
  let nowMs = 0;
  const ticks = new Ticks({ ...systemClock, monotonic: () => nowMs, setTimeout: () => undefined });
  expect(ticks.now()).toBe(0);
  nowMs = 1_000;
  expect(Array.from({ length: 300 }, () => ticks.now()).at(-1)).toBe(1_000);
});

test("the time is read once per tick, until a timer or enough look-ups end the tick", () => {
  const monotonic = vi.fn(() => 0);
  const ticks = new Ticks({ ...systemClock, monotonic });
  for (let looks = 0; looks < 100; looks++) ticks.now();
  expect(monotonic).toHaveBeenCalledOnce();
});
