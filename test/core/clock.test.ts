import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../core/index.js";

const dayMs = 86_400_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("a timer of 60 days fires after 60 days, and not at once", () => {
  const fired = vi.fn();
  systemClock.setTimeout(fired, 60 * dayMs);
  vi.advanceTimersByTime(60 * dayMs - 1);
  expect(fired).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fired).toHaveBeenCalledOnce();
});

test("a timer with an infinite delay never fires", () => {
  const fired = vi.fn();
  const timer = systemClock.setTimeout(fired, Infinity);
  vi.advanceTimersByTime(400 * dayMs);
  systemClock.clearTimeout(timer);
  expect(fired).not.toHaveBeenCalled();
});

test("a long timer does not fire after it is cleared in any of its steps", () => {
  const fired = vi.fn();
  for (const afterMs of [0, 30 * dayMs]) {
    const timer = systemClock.setTimeout(fired, 60 * dayMs);
    vi.advanceTimersByTime(afterMs);
    systemClock.clearTimeout(timer);
  }
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(90 * dayMs);
  expect(fired).not.toHaveBeenCalled();
});

describe("timers set while the system's timers are fake, after the real ones are restored", () => {
  test("fire in their order, after the next reading of the clock", async () => {
    const order: string[] = [];
    const fired = new Promise<void>((resolve) => {
      systemClock.setTimeout(() => order.push("sooner"), 1_010);
      systemClock.setTimeout(() => {
        order.push("later");
        resolve();
      }, 1_050);
    });
    const cleared = vi.fn();
    const timer = systemClock.setTimeout(cleared, 1_020);
    const long = systemClock.setTimeout(cleared, 60 * dayMs);
    vi.advanceTimersByTime(1_000);
    vi.useRealTimers();
    systemClock.monotonic();
    for (const each of [timer, long]) systemClock.clearTimeout(each);
    expect(order).toEqual([]);
    await fired;
    expect(order).toEqual(["sooner", "later"]);
    expect(cleared).not.toHaveBeenCalled();
  });

  test("keep the process alive, or do not, as before", () => {
    vi.useRealTimers();
    const before = process.getActiveResourcesInfo().filter((each) => each === "Timeout").length;
    vi.useFakeTimers();
    const timers = [1, 2].map(() => systemClock.setTimeout(() => undefined, dayMs) as { unref(): void });
    timers[0]?.unref();
    vi.useRealTimers();
    systemClock.monotonic();
    expect(process.getActiveResourcesInfo().filter((each) => each === "Timeout").length - before).toBe(1);
    for (const timer of timers) systemClock.clearTimeout(timer);
  });
});
