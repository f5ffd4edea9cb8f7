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
    const [wall, uptime] = [Date.now.bind(Date), os.uptime.bind(os)];
    vi.spyOn(Date, "now").mockImplementation(() => wall() + 8 * 3_600_000);
    vi.spyOn(os, "uptime").mockImplementation(() => uptime() + 8 * 3_600);
    // No timer fires here. The cache reads the time anew after some hundred look-ups, and checks for a sleep every
    // millisecond.
    const until = performance.now() + 20;
    for (let looks = 0; looks < 1_000 || performance.now() < until; looks++) count();
    expect(count()).toBe(first + 1);
  });
});

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
