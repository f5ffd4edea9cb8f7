import { describe, expect, test } from "vitest";
import type { Cache } from "../../../../cache.js";
import { resultKey } from "../../../../storage/results/result-key.js";
import type { BucketHub } from "../../../../testing/bucket-hub.js";
import { ClosedError, limits, silentLog } from "../../../../core/index.js";
import { watched } from "../../../support/watched.js";
import { bucketWorld, ScriptedBroker } from "./bucket-nodes.js";

/** Nodes on a broker that does not support times to live. */
const oldWorld = () => bucketWorld({ knowsTimesToLive: false });

const settled = () => new Promise((resolve) => setImmediate(resolve));
const own = (key: string) => resultKey('""', key);
const there = (hub: BucketHub, keys: readonly string[]) => keys.filter((key) => hub.peek(own(key)) !== undefined);
const shortLived = { ttl: "2s", readExtendTtl: false } as const;

async function setAll(cache: Cache, keys: readonly string[], options: Parameters<Cache["set"]>[2]): Promise<void> {
  for (const key of keys) await cache.set(key, key, options);
  await settled();
}

describe("pruning sweeps a bucket whose broker does not", () => {
  test("expired results are removed without a request for them, also under long keys; other results stay", async () => {
    const { open, clock, hub } = oldWorld();
    const [one, other] = [open(), open()];
    const long = "long/".repeat(100);
    await setAll(one.cache, ["a", "b", long], shortLived);
    await setAll(one.cache, ["lives"], { ttl: "1h", readExtendTtl: false });
    await setAll(one.cache, ["stays"], {});
    const all = ["a", "b", long, "lives", "stays"];
    await clock.advance(1_900);
    expect(await other.cache.prune()).toEqual({ entries: 0, tags: 0 });
    expect(there(hub, all)).toEqual(all);
    await clock.advance(200);
    expect(await other.cache.prune()).toEqual({ entries: 3, tags: 0 });
    expect(there(hub, all)).toEqual(["lives", "stays"]);
    expect(await other.cache.prune()).toEqual({ entries: 0, tags: 0 });
  });

  test("in its periodic rounds, which log the number of removed results", async () => {
    const { open, clock, hub } = oldWorld();
    const lines: object[] = [];
    const log = { ...silentLog, info: (facts: object, message: string) => message === "pruned" && lines.push(facts) };
    const [one] = [open({ autoPruneInterval: "1h" }), open({ autoPruneInterval: "10s", log })];
    await setAll(one.cache, ["a", "b"], shortLived);
    await clock.advance(10_100);
    await settled();
    expect([there(hub, ["a", "b"]), lines]).toEqual([[], [{ entries: 2, tags: 0 }]]);
  });

  test("a sliding result stays as long as it is written back, and is removed after its last time to live", async () => {
    const { open, clock, hub } = oldWorld();
    const [one, other] = [open({ ttiFlushSecs: 3 }), open()];
    await setAll(one.cache, ["k"], { ttl: "10s", readExtendTtl: true });
    for (let second = 0; second < 30; second++) {
      await clock.advance(1_000);
      expect(await one.cache.get("k")).toBe("k");
      await settled();
      expect(await other.cache.prune()).toMatchObject({ entries: 0 });
    }
    await clock.advance(6_000);
    expect(await other.cache.prune()).toMatchObject({ entries: 0 });
    await clock.advance(4_500);
    expect(await other.cache.prune()).toMatchObject({ entries: 1 });
    expect(there(hub, ["k"])).toEqual([]);
  });

  test("by the broker's clock, for any clock of a node", async () => {
    const { open, clock, hub } = oldWorld();
    const hours = 2 * 3_600_000;
    const nodes = [open({}, hours), open({}, -hours)];
    for (const { cache } of nodes) {
      await setAll(cache, ["k"], shortLived);
      await clock.advance(1_500);
      for (const node of nodes) await node.cache.prune();
      expect(there(hub, ["k"])).toEqual(["k"]);
      await clock.advance(600);
      for (const node of nodes) await node.cache.prune();
      expect(there(hub, ["k"])).toEqual([]);
    }
  });

  test("a result that was written again after it was listed stays, and is found", async () => {
    const { open, clock, hub } = oldWorld();
    const [one, other] = [open(), open()];
    await setAll(one.cache, ["k"], shortLived);
    await clock.advance(2_100);
    hub.faults = { ...hub.faults, delayMsMin: 10, delayMsMax: 10 };
    const pruned = other.cache.prune();
    // The sweep has asked for recent writes and for the list; the list is on its way back.
    await clock.advance(35);
    hub.plant(own("k"), hub.peek(own("k"))?.payload ?? Buffer.from(""));
    expect(await clock.settle(pruned, 1_000)).toMatchObject({ entries: 0 });
    expect(hub.peek(own("k"))?.revision).toBe(2);
  });

  test("nodes that sweep at the same time count each result once", async () => {
    const { open, clock, hub } = oldWorld();
    const [one, ...others] = [open(), open(), open(), open()];
    const keys = Array.from({ length: 100 }, (_, n) => `k${n}`);
    await setAll(one.cache, keys, shortLived);
    await clock.advance(2_100);
    hub.faults = { ...hub.faults, delayMsMin: 1, delayMsMax: 20 };
    const pruned = await clock.settle(Promise.all(others.map(({ cache }) => cache.prune())), 10_000);
    expect(pruned.reduce((sum, { entries }) => sum + entries, 0)).toBe(100);
    expect(there(hub, keys)).toEqual([]);
  });

  test("a round takes no longer than its bound, and the next one continues where it ended, past any number of staying results", async () => {
    const { open, clock, hub } = oldWorld();
    const { cache, bucket } = open();
    const staying = 3 * limits.bucketSweepItemsMax;
    const expiring = limits.bucketSweepItemsMax + 1;
    for (let n = 0; n < staying; n++) await bucket.put(`stays${n}`, Buffer.from(""), 0);
    for (let n = 0; n < expiring; n++) await bucket.put(`expires${n}`, Buffer.from(""), 0, 1_000);
    await clock.advance(2_000);
    await cache.invalidate("clock");
    hub.faults = { ...hub.faults, delayMsMin: 100, delayMsMax: 100 };
    let entries = 0;
    let rounds = 0;
    for (; entries < expiring; rounds++) {
      const begunMs = clock.monotonic();
      entries += (await clock.settle(cache.prune(), 60_000)).entries;
      expect(clock.monotonic() - begunMs).toBeLessThan(limits.bucketSweepMsMax + 2 * limits.bucketTimeoutMs);
      expect(rounds).toBeLessThan(5);
    }
    expect([entries, rounds > 1]).toEqual([expiring, true]);
    // An expired result among the oldest ones gets its turn again.
    await clock.settle(bucket.put("stays0", Buffer.from(""), 1, 1_000), 1_000);
    await clock.advance(1_100);
    expect(await clock.settle(cache.prune(), 60_000)).toMatchObject({ entries: 1 });
  });
});

describe("a sweep is passed by", () => {
  test("where the broker does it itself", async () => {
    const { open, clock, hub } = bucketWorld();
    const [one, other] = [open(), open()];
    for (let n = 0; n <= limits.bucketSweepItemsMax; n++) await one.bucket.put(`stays${n}`, Buffer.from(""), 0);
    await one.cache.invalidate("clock");
    hub.faults = { ...hub.faults, delayMsMin: 10, delayMsMax: 10 };
    const pruned = other.cache.prune();
    // One question, and its answer: nothing is listed.
    await clock.advance(20);
    await settled();
    expect(await pruned).toEqual({ entries: 0, tags: 0 });
  });

  test("while the node does not follow the bus", async () => {
    const { open, clock, hub } = oldWorld();
    const broker = new ScriptedBroker(clock, 100);
    const bus = broker.connect();
    const [one, other] = [open({ bus: broker.connect() }), open({ bus })];
    await setAll(one.cache, ["k"], shortLived);
    await clock.advance(2_100);
    bus.isCut = true;
    expect(await other.cache.prune()).toMatchObject({ entries: 0 });
    expect([there(hub, ["k"]), other.cache.stats().bucketFailures]).toEqual([["k"], 0]);
    bus.isCut = false;
    expect(await other.cache.prune()).toMatchObject({ entries: 1 });
  });

  test("without a link, and while the broker does not answer; then it is done", async () => {
    const { open, clock, hub } = oldWorld();
    const [one, other] = [open(), open()];
    await setAll(one.cache, ["k"], shortLived);
    await clock.advance(2_100);
    other.bucket.cut();
    expect(await other.cache.prune()).toMatchObject({ entries: 0 });
    other.bucket.mend();
    hub.faults = { ...hub.faults, lossOfAnswers: 1 };
    expect(await clock.settle(other.cache.prune(), limits.bucketTimeoutMs)).toMatchObject({ entries: 0 });
    expect(other.cache.stats().bucketFailures).toBe(2);
    hub.faults = { ...hub.faults, lossOfAnswers: 0 };
    await clock.advance(limits.bucketRestMs);
    expect(await other.cache.prune()).toMatchObject({ entries: 1 });
  });

  test("from when the cache is closed", async () => {
    const { open, clock, hub } = oldWorld();
    const [one, other] = [open(), open()];
    await setAll(one.cache, ["k"], shortLived);
    await clock.advance(2_100);
    hub.faults = { ...hub.faults, delayMsMin: 50, delayMsMax: 50 };
    const pruned = watched(other.cache.prune());
    await clock.advance(120);
    await other.cache.close();
    expect(pruned.error).toBeInstanceOf(ClosedError);
    expect([there(hub, ["k"]), other.cache.stats().bucketFailures]).toEqual([["k"], 0]);
  });
});
