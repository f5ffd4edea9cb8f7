import { expect, test } from "vitest";
import { Outbox } from "../../../actors/cache/outbox.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import type { Bus, BusState } from "../../../transport/bus.js";
import { createInvalidationHub } from "../../../transport/in-process-bus.js";
import { asTag, limits, NotAuthorizedError, seededRandom, silentLog } from "../../../core/index.js";

/** An outbox on a bus that refuses the first `refusals` publications. */
async function refusedOutbox(refusals: number) {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const hub = createInvalidationHub({ clock, random });
  const published: string[] = [];
  const listening = hub.connect();
  listening.listen((event) => {
    if (event.type === "invalidated") published.push(event.tag);
  });
  await listening.follow(undefined);
  const inner = hub.connect();
  inner.listen(() => undefined);
  await inner.follow(undefined);
  let left = refusals;
  const asked: string[] = [];
  const bus: Bus = {
    kind: "in-process",
    get state() {
      return inner.state;
    },
    get heardAt() {
      return inner.heardAt;
    },
    publish: (tag, id) => {
      asked.push(tag);
      return left-- > 0 ? Promise.reject(new Error("refused")) : inner.publish(tag, id);
    },
    listen: () => undefined,
    follow: () => Promise.resolve(),
    close: () => inner.close(),
  };
  const outbox = new Outbox({
    bus,
    clock,
    random,
    log: silentLog,
    publishTimeoutMs: limits.publishTimeoutMs,
    entriesMax: limits.outboxEntriesMax,
  });
  const add = (tag: string) => outbox.enqueue(asTag(tag), () => ({ settled: () => undefined, refused: () => undefined }));
  return { clock, outbox, add, published, asked };
}

test("refused publications are all repeated until the bus accepts them", async () => {
  const { clock, outbox, add, published } = await refusedOutbox(5);
  for (const tag of ["a", "b", "c"]) add(tag);
  await clock.advance(0);
  expect([outbox.size, published]).toEqual([3, []]);
  await clock.advance(limits.retryDelayMsMax);
  expect(outbox.size).toBe(0);
  expect(published.toSorted()).toEqual(["a", "b", "c"]);
});

test("a closed outbox publishes nothing more, even after refusals, and leaves no timer", async () => {
  const { clock, outbox, add, asked } = await refusedOutbox(Infinity);
  const before = clock.timerCount;
  for (const tag of ["a", "b", "c"]) add(tag);
  await clock.advance(0);
  const askedBefore = asked.length;
  outbox.close();
  expect(clock.timerCount).toBe(before);
  await clock.advance(10 * limits.retryDelayMsMax);
  expect(asked).toHaveLength(askedBefore);
});

test("when a tag may not be published, the tags that it had absorbed are published by themselves, and its caller gets the error", async () => {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  let isFollowing = false;
  const ended: string[] = [];
  const denied = new NotAuthorizedError({ address: "broker", subject: "a" });
  const bus: Bus = {
    kind: "nats",
    get state(): BusState {
      return isFollowing ? { type: "following", epoch: "e", sequence: 1 } : { type: "cut" };
    },
    heardAt: 0,
    publish: (tag) => (tag === "a" ? Promise.reject(denied) : Promise.resolve({ epoch: "e", sequence: 2 })),
    listen: () => undefined,
    follow: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const outbox = new Outbox({ bus, clock, random, log: silentLog, publishTimeoutMs: 1_000, entriesMax: 10 });
  const add = (tag: string) =>
    outbox.enqueue(asTag(tag), (claimed) => ({
      settled: () => ended.push(`${claimed} settled`),
      refused: () => ended.push(`${claimed} refused`),
    }));
  const child = outbox.outcome(add("a:b"));
  await clock.advance(1_000);
  expect(await child).toBe("queued");
  const parent = outbox.outcome(add("a"));
  add("a:c");
  expect(outbox.size).toBe(1);
  isFollowing = true;
  outbox.flush();
  await expect(parent).rejects.toBe(denied);
  await clock.advance(0);
  expect(ended.toSorted()).toEqual(["a refused", "a:b settled", "a:c settled"]);
  expect(outbox.size).toBe(0);
});
