import { describe, expect, test } from "vitest";
import { sharedAgeMsMax } from "../../../../actors/cache/shared-tier.js";
import { type Cache, SyncTierError } from "../../../../cache.js";
import { limits } from "../../../../core/index.js";
import { bucketWorld, loader, settled } from "./bucket-nodes.js";

describe("B13: times to live", () => {
  test("count from the moment when the broker took the entry, for any clock of a node", async () => {
    const { open, clock } = bucketWorld();
    const hours = 2 * 3_600_000;
    const [one, ahead, behind] = [open(), open({}, hours), open({}, -hours)];
    for (const node of [one, ahead, behind]) await node.cache.invalidate("clock");
    for (const [id, writer] of [
      ["x", ahead],
      ["y", behind],
    ] as const) {
      await loader(writer.cache, { ttl: "10s", readExtendTtl: false }).load(id);
      await settled();
      await clock.advance(6_000);
      for (const reader of [one, ahead, behind]) {
        const { load, computed } = loader(reader.cache, { ttl: "10s", readExtendTtl: false });
        await load(id);
        expect(computed()).toBe(0);
      }
      await clock.advance(4_500);
      const late = loader(one.cache, { ttl: "10s", readExtendTtl: false });
      await late.load(id);
      expect(late.computed()).toBe(1);
      await settled();
    }
  });

  test("end entries, and where the broker does not remove those, a get that finds one does", async () => {
    const { open, clock, hub } = bucketWorld({ knowsTimesToLive: false });
    const [one, other] = [open(), open()];
    await one.cache.set("k", 1, { ttl: "2s", readExtendTtl: false });
    await settled();
    await clock.advance(1_500);
    expect(await other.cache.get("k")).toBe(1);
    await clock.advance(600);
    expect(hub.peek('""("k")')).toBeDefined();
    expect(await other.cache.get("k")).toBeUndefined();
    await settled();
    expect(hub.peek('""("k")')).toBeUndefined();
  });

  test("and the length of the bus's history bound the age of results, since no node could know whether older ones are valid", async () => {
    const { open, clock } = bucketWorld();
    const one = open();
    await one.cache.set("k", 1);
    await settled();
    await clock.advance(sharedAgeMsMax(undefined) - 60_000);
    await one.cache.invalidate("clock");
    expect(await open().cache.get("k")).toBeUndefined();
    await one.cache.close();
    const [two, three] = [open(), open()];
    await two.cache.set("l", 1);
    await settled();
    await clock.advance(sharedAgeMsMax(undefined) + 60_000);
    await three.cache.invalidate("clock");
    expect(await three.cache.get("l")).toBeUndefined();
  });

  test("that slide are written back at most every ttiFlushSecs, for the other nodes", async () => {
    const { open, clock, hub } = bucketWorld();
    const [one, other] = [open({ ttiFlushSecs: 3 }), open()];
    const { load, computed } = loader(one.cache, { ttl: "10s" });
    await load("x");
    await settled();
    const revisions = new Set<number | undefined>();
    for (let second = 0; second < 30; second++) {
      await clock.advance(1_000);
      await load("x");
      await settled();
      revisions.add(hub.peek(load.key("x"))?.revision);
    }
    expect(computed()).toBe(1);
    expect(revisions.size).toBeGreaterThan(5);
    expect(revisions.size).toBeLessThan(15);
    await other.cache.invalidate("clock");
    const there = loader(other.cache, { ttl: "10s" });
    expect([await there.load("x"), there.computed()]).toEqual(["x1", 0]);
  });
});

describe("a bucket that fails", () => {
  test("delays no call beyond the bound, and fails none; then it is bypassed for a while", async () => {
    const { open, clock, hub } = bucketWorld();
    const { cache } = open();
    hub.faults = { ...hub.faults, lossOfAnswers: 1 };
    const { load } = loader(cache);
    const first = load("x");
    await clock.advance(limits.bucketTimeoutMs);
    expect(await first).toBe("x1");
    expect(await load("y")).toBe("y2");
    await clock.advance(limits.bucketTimeoutMs);
    expect(cache.stats().bucketFailures).toBeGreaterThan(0);
    hub.faults = { ...hub.faults, lossOfAnswers: 0 };
    await clock.advance(limits.bucketRestMs);
    await load("z");
    await settled();
    expect(hub.peek(load.key("z"))).toBeDefined();
  });

  test("for lack of a link is bypassed, and is used again when the link is back", async () => {
    const { open, hub } = bucketWorld();
    const { cache, bucket } = open();
    bucket.cut();
    const { load } = loader(cache);
    expect([await load("x"), await load("x")]).toEqual(["x1", "x1"]);
    expect(await cache.set("k", 1)).toBe("published");
    expect(await cache.get("k")).toBe(1);
    expect(cache.stats().bucketFailures).toBeGreaterThan(0);
    bucket.mend();
    await load("y");
    await settled();
    expect(hub.peek(load.key("y"))).toBeDefined();
  });

  test("because it was emptied costs a computation", async () => {
    const { open, hub } = bucketWorld();
    const [one, other] = [open(), open()];
    await loader(one.cache).load("x");
    await settled();
    hub.empty();
    const there = loader(other.cache);
    expect([await there.load("x"), there.computed()]).toEqual(["x1", 1]);
    await settled();
    expect(hub.peek(there.load.key("x"))?.revision).toBe(1);
  });
});

describe("B14: a sync function", () => {
  test("is refused at its first call, which shows that it is sync, and at all later ones", () => {
    const { open } = bucketWorld();
    const { cache } = open();
    let computed = 0;
    const sync = cache.cacheable((n: number) => ++computed + n, { name: "sync" });
    expect(() => sync(1)).toThrow(SyncTierError);
    expect(() => sync(1)).toThrow(SyncTierError);
    expect(() => sync.refresh(2)).toThrow(SyncTierError);
    expect(computed).toBe(1);
  });

  test("does not mean a function that returns promises without `async`", async () => {
    const { open } = bucketWorld();
    const [one, other] = [open(), open()];
    let computed = 0;
    const load = (cache: Cache) => cache.cacheable((n: number) => Promise.resolve(n + ++computed), { name: "promising" });
    expect(await load(one.cache)(1)).toBe(2);
    await settled();
    const there = load(other.cache);
    expect(await there(10)).toBe(12);
    // From its first call on it is known to return promises.
    expect(await there(1)).toBe(2);
  });
});
