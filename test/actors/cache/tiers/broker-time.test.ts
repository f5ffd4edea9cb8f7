import { expect, test } from "vitest";
import { BrokerTime } from "../../../../actors/cache/broker-time.js";
import { SimulatedClock } from "../../../../testing/simulated-clock.js";
import { limits } from "../../../../core/index.js";

/** A broker whose clock is `aheadMs` ahead of the monotonic clock of this node. */
function broker(aheadMs: number) {
  const clock = new SimulatedClock();
  const time = new BrokerTime(clock);
  const state = { aheadMs };
  const now = () => clock.monotonic() + state.aheadMs;
  return { clock, time, state, now, hear: (latencyMs: number) => time.hear(now() - latencyMs) };
}

test("the broker's time is unknown before its first message, and does not depend on the wall clock of this node", async () => {
  const { clock, time, hear, now } = broker(5_000_000);
  expect(time.now()).toBeUndefined();
  time.hear(Number.NaN);
  expect(time.now()).toBeUndefined();
  hear(0);
  clock.shiftWall(7_200_000);
  await clock.advance(10_000);
  expect(time.now()).toBe(now());
});

test("the fastest message gives the best estimate, and late messages do no harm", async () => {
  const { clock, time, hear, now } = broker(1_000);
  for (const latencyMs of [500, 40, 3, 200, 60_000, 5]) {
    hear(latencyMs);
    await clock.advance(1_000);
  }
  expect(time.now()).toBe(now() - 3);
  await clock.advance(limits.brokerTimeWindowMs);
  hear(100);
  expect(time.now(), "that of the window before counts still").toBe(now() - 3);
});

test("a clock that is set ahead is believed at once, a clock that is set back after two windows", async () => {
  const { clock, time, state, hear, now } = broker(0);
  hear(1);
  state.aheadMs = 3_600_000;
  hear(1);
  expect(time.now()).toBe(now() - 1);
  state.aheadMs = 0;
  for (let ms = 0; ms <= 2 * limits.brokerTimeWindowMs; ms += 1_000) {
    await clock.advance(1_000);
    hear(2);
  }
  expect(time.now()).toBe(now() - 2);
});
