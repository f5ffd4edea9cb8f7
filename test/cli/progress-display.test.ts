import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { withTime } from "../../cli/progress-display.js";
import { deferred } from "../../core/deferred.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function terminal(isTTY: boolean) {
  const written: string[] = [];
  return { written, isTTY, write: (text: unknown) => written.push(String(text)) > 0 };
}

test("long work shows its time on a terminal from the first second on, and clears it", async () => {
  const { promise, resolve } = deferred<number>();
  const shown = terminal(true);
  const done = withTime("draws big", promise, shown);
  await vi.advanceTimersByTimeAsync(2_500);
  resolve(1);
  expect(await done).toBe(1);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(shown.written).toEqual(["\r\u001B[Kdraws big: 1 s", "\r\u001B[Kdraws big: 2 s", "\r\u001B[K"]);
});

test("short work, and work without a terminal, show nothing", async () => {
  const [short, file] = [terminal(true), terminal(false)];
  await withTime("draws", Promise.resolve(), short);
  const { promise, resolve } = deferred<number>();
  const done = withTime("draws", promise, file);
  await vi.advanceTimersByTimeAsync(5_000);
  resolve(1);
  await done;
  expect([short.written, file.written]).toEqual([[], []]);
});
