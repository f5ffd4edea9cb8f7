import { expect, test } from "vitest";
import { CommonTimeout } from "../../core/common-timeout.js";
import { SimulatedClock } from "../../testing/index.js";

const timeoutMs = 1_000;

function expiring() {
  const clock = new SimulatedClock();
  const expired: [item: string, atMs: number][] = [];
  const beginMs = clock.monotonic();
  const timeout = new CommonTimeout<string>(clock, timeoutMs, (item) => expired.push([item, clock.monotonic() - beginMs]));
  return { clock, timeout, expired };
}

test("each item expires the same time after it was added", async () => {
  const { clock, timeout, expired } = expiring();
  timeout.add("a");
  await clock.advance(400);
  timeout.add("b");
  timeout.add("c");
  await clock.advance(5_000);
  expect(expired).toEqual([
    ["a", 1_000],
    ["b", 1_400],
    ["c", 1_400],
  ]);
});

test("a deleted item does not expire, and those added after it expire in time", async () => {
  const { clock, timeout, expired } = expiring();
  timeout.add("a");
  timeout.delete("a");
  await clock.advance(900);
  timeout.add("b");
  await clock.advance(5_000);
  timeout.add("c");
  await clock.advance(5_000);
  expect(expired).toEqual([
    ["b", 1_900],
    ["c", 6_900],
  ]);
});

test("nothing expires after clear, and no timer is left", async () => {
  const { clock, timeout, expired } = expiring();
  timeout.add("a");
  timeout.clear();
  expect(clock.timerCount).toBe(0);
  await clock.advance(5_000);
  expect(expired).toEqual([]);
});

test("items can be added while others expire, and with a time-out that never ends", async () => {
  const clock = new SimulatedClock();
  const expired: string[] = [];
  const timeout = new CommonTimeout<string>(clock, timeoutMs, (item) => {
    expired.push(item);
    if (item === "a") timeout.add("again");
  });
  timeout.add("a");
  await clock.advance(1_000);
  expect(expired).toEqual(["a"]);
  await clock.advance(1_000);
  expect(expired).toEqual(["a", "again"]);
  const endless = new CommonTimeout<string>(clock, Infinity, (item) => expired.push(item));
  endless.add("b");
  await clock.advance(1e9);
  expect(expired).toEqual(["a", "again"]);
});
