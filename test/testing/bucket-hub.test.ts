import { expect, test } from "vitest";
import { createBucketHub } from "../../testing/bucket-hub.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import { DisconnectedError, limits, seededRandom, TimeoutError } from "../../core/index.js";
import { bucketSuite } from "../suites/bucket.js";

bucketSuite("in memory", () => {
  const hub = createBucketHub({ clock: new SimulatedClock(), random: seededRandom(1) });
  return Promise.resolve({ open: (prefix) => Promise.resolve(hub.connect({ prefix })), close: () => Promise.resolve() });
});

function openHub() {
  const clock = new SimulatedClock();
  const hub = createBucketHub({ clock, random: seededRandom(1) });
  return { clock, hub, bucket: hub.connect() };
}
const bytes = Buffer.from("x");

test("a lost answer is a time-out within the bound, and the request is carried out", async () => {
  const { clock, hub, bucket } = openHub();
  hub.faults = { ...hub.faults, lossOfAnswers: 1 };
  const asked = bucket.put("k", bytes, 0);
  await expect(clock.settle(asked, limits.bucketTimeoutMs)).rejects.toThrow(TimeoutError);
  expect(hub.peek("k")?.revision).toBe(1);
  hub.faults = { ...hub.faults, lossOfAnswers: 0, lossOfRequests: 1 };
  await expect(clock.settle(bucket.put("l", bytes, 0), limits.bucketTimeoutMs)).rejects.toThrow(TimeoutError);
  expect(hub.peek("l")).toBeUndefined();
});

test("a reader that lags sees an earlier entry", async () => {
  const { clock, hub, bucket } = openHub();
  await bucket.put("k", bytes, 0);
  await clock.advance(1_000);
  await bucket.put("k", bytes, 1);
  hub.faults = { ...hub.faults, lagMsMax: 500 };
  expect((await bucket.get("k"))?.revision).toBe(1);
  await clock.advance(1_000);
  expect((await bucket.get("k"))?.revision).toBe(2);
});

test("an entry expires at its time to live and goes with the broker's data; without a link a call rejects", async () => {
  const { clock, hub, bucket } = openHub();
  await bucket.put("short", bytes, 0, 1_000);
  await bucket.put("long", bytes, 0);
  await clock.advance(1_000);
  expect([await bucket.get("short"), (await bucket.get("long"))?.revision]).toEqual([undefined, 2]);
  bucket.cut();
  await expect(bucket.get("long")).rejects.toThrow(DisconnectedError);
  bucket.mend();
  hub.empty();
  expect(await bucket.get("long")).toBeUndefined();
});
