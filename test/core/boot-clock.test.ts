import os from "node:os";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BootClock } from "../../core/boot-clock.js";
import { systemClock } from "../../core/index.js";

const hourMs = 3_600_000;

let monotonicMs: number;
let wallMs: number;
let uptimeMs: number;
let clock: BootClock;

beforeEach(() => {
  monotonicMs = 5_000;
  wallMs = 1_000_000;
  uptimeMs = 90_000;
  clock = new BootClock({ monotonic: () => monotonicMs, wall: () => wallMs, uptime: () => uptimeMs });
});

afterEach(() => {
  vi.restoreAllMocks();
});

function pass(ms: number): void {
  monotonicMs += ms;
  wallMs += ms;
  uptimeMs += ms;
}

/** Some systems give the uptime in whole seconds. */
function sleep(ms: number): void {
  pass(1);
  wallMs += ms;
  uptimeMs = Math.floor((uptimeMs + ms) / 1_000) * 1_000;
}

test("while the system is awake, the boot clock advances with the monotonic clock", () => {
  const before = clock.now();
  pass(hourMs);
  expect(clock.now() - before).toBe(hourMs);
});

test("each sleep counts, not only the first one", () => {
  const before = clock.now();
  sleep(8 * hourMs);
  expect(Math.abs(clock.now() - before - 8 * hourMs)).toBeLessThan(1_000);
  pass(hourMs);
  sleep(hourMs);
  expect(Math.abs(clock.now() - before - 10 * hourMs)).toBeLessThan(2_000);
});

test.each([hourMs, -hourMs])("a wall clock that is set by %d ms counts for nothing", (ms) => {
  const before = clock.now();
  wallMs += ms;
  pass(10);
  expect(clock.now() - before).toBe(10);
  sleep(hourMs);
  expect(Math.abs(clock.now() - before - hourMs)).toBeLessThan(1_000);
});

test("time does not go back when the monotonic clock is replaced by one that is behind", () => {
  pass(hourMs);
  const before = clock.now();
  monotonicMs = 0;
  expect(clock.now()).toBe(before);
  pass(10);
  expect(clock.now()).toBe(before + 10);
  sleep(hourMs);
  expect(Math.abs(clock.now() - before - hourMs)).toBeLessThan(1_100);
});

test("the clock of the system goes on while the system sleeps", () => {
  const before = systemClock.monotonic();
  const [wall, uptime] = [Date.now.bind(Date), os.uptime.bind(os)];
  vi.spyOn(Date, "now").mockImplementation(() => wall() + 8 * hourMs);
  vi.spyOn(os, "uptime").mockImplementation(() => uptime() + 8 * 3_600);
  // The boot clock compares the clocks at most once per millisecond.
  for (const awakeAt = performance.now(); performance.now() - awakeAt < 2;);
  expect(Math.abs(systemClock.monotonic() - before - 8 * hourMs)).toBeLessThan(60_000);
});
