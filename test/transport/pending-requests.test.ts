import { expect, test } from "vitest";
import { SimulatedClock } from "../../testing/index.js";
import { PendingRequests } from "../../transport/pending-requests.js";
import { rejected } from "../../testing/suites/transport-steps.js";

test("each request times out at its own time, however they overlap", async () => {
  const clock = new SimulatedClock();
  const requests = new PendingRequests(clock);
  const ended: string[] = [];
  for (const timeoutMs of [500, 10, 300, 10, 40]) {
    void rejected(requests.open("a", { timeoutMs }, () => undefined)).then(() => ended.push(`${timeoutMs} at ${clock.monotonic()}`));
  }
  await clock.advance(1_000);
  expect(ended).toEqual(["10 at 10", "10 at 10", "40 at 40", "300 at 300", "500 at 500"]);
  expect(requests.size).toBe(0);
});

test("a time-out longer than a timer can be does not end early, and an endless one sets none", async () => {
  const clock = new SimulatedClock();
  const requests = new PendingRequests(clock);
  const ended: number[] = [];
  void rejected(requests.open("a", { timeoutMs: 2 ** 31 + 5 }, () => undefined)).then(() => ended.push(clock.monotonic()));
  await clock.advance(2 ** 31);
  expect(ended).toEqual([]);
  await clock.advance(10);
  expect(ended).toEqual([2 ** 31 + 5]);
  void requests.open("a", { timeoutMs: Infinity }, () => undefined);
  expect(await clock.step()).toBe(false);
});

test("answered requests leave one timer, which is not set again when no request is left", async () => {
  const clock = new SimulatedClock();
  const requests = new PendingRequests(clock);
  let sent = 0;
  for (let n = 0; n < 100; n++) {
    const answer = requests.open("a", { timeoutMs: 50 }, (id) => (sent = id));
    requests.resolve(sent, Uint8Array.of(n));
    expect(await answer).toEqual(Uint8Array.of(n));
  }
  expect(await clock.step()).toBe(true);
  expect(await clock.step()).toBe(false);
});

test("a time-out that is not a number is InvalidOptionError", async () => {
  const requests = new PendingRequests(new SimulatedClock());
  const error = await rejected(requests.open("a", { timeoutMs: Number.NaN }, () => undefined));
  expect(error).toMatchObject({ code: "ZOOID_INVALID_OPTION", facts: { option: "timeoutMs" } });
});
