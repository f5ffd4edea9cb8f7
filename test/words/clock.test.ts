import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../words/index.js";

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

test("a timer without a bound never fires", () => {
  const fired = vi.fn();
  systemClock.setTimeout(fired, Infinity);
  vi.advanceTimersByTime(400 * dayMs);
  expect(fired).not.toHaveBeenCalled();
});

test("a long timer that was cleared in any of its steps does not fire", () => {
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
