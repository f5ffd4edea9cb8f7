import { describe, expect, test } from "vitest";
import { decodeSharedRecord } from "../../../../storage/results/shared-record.js";
import type { Log } from "../../../../core/index.js";
import { limits, silentLog } from "../../../../core/index.js";
import { bucketWorld, loader, scripted, settled, slowLoader } from "./bucket-nodes.js";

describe("a result in a bucket", () => {
  test("of one node is found by the others, which do not compute it and then have it in memory", async () => {
    const { open, hub } = bucketWorld();
    const [one, other] = [open(), open()];
    const [here, there] = [loader(one.cache), loader(other.cache)];
    expect(await here.load("x")).toBe("x1");
    await settled();
    expect(await there.load("x")).toBe("x1");
    expect(there.computed()).toBe(0);
    expect(other.cache.stats()).toMatchObject({ bucketHits: 1, bucketFailures: 0, entries: 1 });
    hub.empty();
    expect(await there.load("x")).toBe("x1");
  });

  test("is looked up once for all calls", async () => {
    const { open, hub, clock } = bucketWorld();
    const [one, other] = [open(), open()];
    await loader(one.cache).load("x");
    await settled();
    hub.faults = { ...hub.faults, delayMsMin: 5, delayMsMax: 5 };
    const there = loader(other.cache);
    const calls = Promise.all(Array.from({ length: 10_000 }, () => there.load("x")));
    expect(new Set(await clock.settle(calls, 1_000))).toEqual(new Set(["x1"]));
    expect(there.computed()).toBe(0);
    expect(other.cache.stats().bucketHits).toBe(1);
    const missing = Promise.all(Array.from({ length: 100 }, () => there.load("y")));
    expect(new Set(await clock.settle(missing, 1_000))).toEqual(new Set(["y1"]));
  });

  test("is invalidated by its tags from any node, and the next node to compute it shares it again", async () => {
    const { open } = bucketWorld();
    const [one, other] = [open(), open()];
    const [here, there] = [loader(one.cache), loader(other.cache)];
    await here.load("x");
    let expected = 1;
    for (const [node, tag] of [
      [one, "a:x"],
      [other, "a"],
      [other, "a:x"],
    ] as const) {
      await settled();
      await node.cache.invalidate(tag);
      expect(await here.load("x")).toBe(`x${++expected}`);
      await settled();
      expect(await there.load("x")).toBe(`x${expected}`);
    }
    expect(there.computed()).toBe(0);
  });

  test("is neither kept nor shared when it was invalidated while it was computed, by its own node or by another", async () => {
    const { open, hub } = bucketWorld();
    const [one, other] = [open(), open()];
    const { load, gates } = slowLoader(one.cache);
    for (const invalidating of [one, other]) {
      const before = load();
      await settled();
      await invalidating.cache.invalidate("a");
      gates.shift()?.open("old");
      expect(await before).toBe("old");
      await settled();
      expect(Buffer.from(hub.peek(load.key())?.payload ?? []).includes("old")).toBe(false);
      const after = slowLoader(other.cache);
      const asked = after.load();
      await settled();
      expect(after.gates.length).toBe(1);
      after.gates[0]?.open("new");
      expect(await asked).toBe("new");
      await settled();
      await other.cache.delete("none");
      await other.cache.invalidate("a");
    }
  });

  test("that another node computed again first is taken", async () => {
    const { open } = bucketWorld();
    const [one, other] = [open(), open()];
    const [here, there] = [loader(one.cache), loader(other.cache)];
    await here.load("x");
    await settled();
    await there.load("x");
    await other.cache.invalidate("a:x");
    expect(await there.load("x")).toBe("x1");
    await settled();
    expect(there.computed()).toBe(1);
    expect(await here.load("x")).toBe("x1");
    expect(here.computed()).toBe(1);
  });

  test("that is computed after a failed look-up is valid in spite of invalidations during the look-up", async () => {
    const { open, hub, clock } = bucketWorld();
    const { cache } = open();
    hub.faults = { ...hub.faults, delayMsMin: 10, delayMsMax: 10 };
    const { load, computed } = loader(cache);
    const early = load("x");
    await cache.invalidate("a:x");
    const late = load("x");
    expect(await clock.settle(Promise.all([early, late]), 1_000)).toEqual(["x1", "x1"]);
    expect([await load("x"), computed()]).toEqual(["x1", 1]);
  });

  test("that was invalidated during its look-up is not taken", async () => {
    const { open, hub, clock } = bucketWorld();
    const [one, other] = [open(), open()];
    await loader(one.cache).load("x");
    await settled();
    const there = loader(other.cache);
    hub.faults = { ...hub.faults, delayMsMin: 10, delayMsMax: 10 };
    const asked = there.load("x");
    await clock.advance(15);
    await one.cache.invalidate("a");
    await clock.settle(asked, 1_000);
    expect(there.computed()).toBe(1);
  });

  test("that was found is not given to calls after an invalidation, however soon that comes", async () => {
    const { open } = bucketWorld();
    const [one, other] = [open(), open()];
    const here = loader(one.cache);
    for (let turns = 0; turns < 60; turns++) {
      const id = `x${turns}`;
      await here.load(id);
      await settled();
      const computed: string[] = [];
      const load = other.cache.cacheable(
        async (asked: string) => {
          computed.push(asked);
          return "computed";
        },
        { name: "load", deps: (asked) => [`a:${asked}`] },
      );
      const before = turns % 3 === 0 ? load(id) : other.cache.get("k");
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const published = other.cache.invalidate(turns % 2 === 0 ? "a" : `a:${id}`);
      expect(await load(id), `after ${turns} turns`).toBe("computed");
      await Promise.all([before, published]);
    }
  });

  test("passes its dependencies and its key to the computation that uses it", async () => {
    const { open } = bucketWorld();
    const [one, other] = [open(), open()];
    const here = loader(one.cache);
    await here.load("x");
    await settled();
    const there = loader(other.cache);
    let outer = 0;
    const page = other.cache.cacheable(async () => `${++outer}:${await there.load("x")}`, { name: "page", deps: ["page"] });
    expect(await page()).toBe("1:x1");
    await one.cache.invalidate("a:x");
    expect(await page()).toBe("2:x1");
    expect(there.computed()).toBe(1);
    await there.load.invalidate("x");
    expect(await page()).toBe("3:x2");
  });

  test("in a circle of calls is refused, even during its look-up", async () => {
    const { open } = bucketWorld();
    const { cache } = open();
    const one: () => Promise<number> = cache.cacheable(async () => (await other()) + 1, { name: "one" });
    const other: () => Promise<number> = cache.cacheable(async () => (await one()) + 1, { name: "other" });
    await expect(one()).rejects.toMatchObject({ code: "ZOOID_CIRCULAR_CALL" });
  });

  test("is not looked up by a refresh, which shares its new result in place of it", async () => {
    const { open } = bucketWorld();
    const [one, other] = [open(), open()];
    await loader(one.cache).load("x");
    await settled();
    const there = other.cache.cacheable(async (id: string) => `${id} anew`, { name: "load", deps: (id) => [`a:${id}`] });
    expect(await there.refresh("x")).toBe("x anew");
    await settled();
    expect(await loader(open().cache).load("x")).toBe("x anew");
  });

  test("can be any plain data, or undefined; other values and errors stay in memory", async () => {
    const { open } = bucketWorld();
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (_, message) => warnings.push(message) };
    const [one, other] = [open({ log }), open()];
    const values = [
      undefined,
      null,
      0,
      -1.5,
      "",
      "é",
      true,
      12n,
      [],
      {},
      [[1], { a: [2n] }],
      new Date(5),
      Uint8Array.of(1, 2),
      new Map([[1, 2]]),
    ];
    for (const [index, value] of values.entries()) await one.cache.getOrSet(`k${index}`, () => value);
    await settled();
    const fail = () => expect.fail("it is shared");
    for (const [index, value] of values.entries()) expect(await other.cache.getOrSet(`k${index}`, fail)).toEqual(value);
    expect(warnings).toEqual([]);
    for (const value of [{ url: new URL("http://a") }, "x".repeat(limits.payloadBytesMax)]) {
      await one.cache.getOrSet("odd", () => value);
      await settled();
      expect(await one.cache.get("odd")).toEqual(value);
      expect(await other.cache.get("odd")).toBeUndefined();
      await one.cache.delete("odd");
    }
    expect(warnings).toEqual(["a result cannot be shared", "a result is too large to be shared"]);
    const failing = () => Promise.reject(new Error("no"));
    await expect(one.cache.getOrSet("error", failing, { cacheErrors: true })).rejects.toThrow("no");
    await expect(one.cache.get("error")).rejects.toThrow("no");
    await settled();
    expect(await other.cache.get("error")).toBeUndefined();
  });
});

describe("an entry that is set", () => {
  test("is found by the other nodes under its key, until it is set, deleted or cleared anywhere", async () => {
    const { open, hub } = bucketWorld();
    const [one, other, third] = [open(), open(), open()];
    await one.cache.set("k", "first", { tags: ["a"] });
    await settled();
    expect(await other.cache.get("k")).toBe("first");
    await other.cache.set("k", "second", { tags: ["a"] });
    await settled();
    expect([await one.cache.get("k"), await third.cache.get("k")]).toEqual(["second", "second"]);
    await third.cache.delete("k");
    await settled();
    expect([await one.cache.get("k"), await other.cache.get("k"), await third.cache.get("k")]).toEqual([undefined, undefined, undefined]);
    await one.cache.set("k", "third");
    await one.cache.clear();
    await one.cache.set("l", "kept");
    await settled();
    expect([await other.cache.get("k"), await other.cache.get("l")]).toEqual([undefined, "kept"]);
    expect(hub.peek('""("k")')).toBeUndefined();
  });

  test("under a long key is kept and shared as well", async () => {
    const { open, broker } = scripted();
    const [one, other] = [open(), open()];
    const long = "long/".repeat(100);
    await one.cache.set(long, "value", { tags: ["a"] });
    expect(await one.cache.get(long)).toBe("value");
    await settled();
    expect(await other.cache.get(long)).toBe("value");
    expect(await one.cache.get(long)).toBe("value");
    broker.isPrompt = false;
    const published = one.cache.set(long, "again");
    expect(await one.cache.get(long)).toBe("again");
    broker.number();
    await published;
    expect(await one.cache.get(long)).toBe("again");
    broker.isPrompt = true;
    await other.cache.delete(long);
    await settled();
    expect([await one.cache.get(long), await other.cache.get(long)]).toEqual([undefined, undefined]);
    expect(broker.sequence).toBe(103);
    expect(one.cache.stats().bucketHits).toBe(0);
  });

  test("is shared once its invalidation has a sequence, and carries that beside the sequence known when its value was made", async () => {
    const { open, broker, hub } = scripted();
    const [one, other] = [open(), open()];
    broker.isPrompt = false;
    const published = one.cache.set("k", "value", { tags: ["a"] });
    await settled();
    expect(hub.peek('""("k")')).toBeUndefined();
    broker.number();
    expect(await published).toBe("published");
    await settled();
    const record = decodeSharedRecord(hub.peek('""("k")')?.payload ?? Buffer.from(""), '""("k")');
    expect(record).toMatchObject({ epoch: "e", sequence: 100, ownSequence: 101, tags: ["a"] });
    expect(await other.cache.get("k")).toBe("value");
    const since = one.cache.now();
    broker.isPrompt = true;
    await other.cache.invalidate("a");
    await one.cache.set("k", "made of what was before", { tags: ["a"], since });
    await settled();
    expect(await other.cache.get("k")).toBeUndefined();
  });

  test("during a look-up of its key is given, and kept", async () => {
    const { open, hub, clock } = bucketWorld();
    const [one, other] = [open(), open()];
    await one.cache.set("k", "of before");
    await settled();
    hub.faults = { ...hub.faults, delayMsMin: 10, delayMsMax: 10 };
    for (const [key, delayMs] of [
      ["k", 5],
      ["none", 5],
    ] as const) {
      const asked = other.cache.getOrSet(key, () => "computed");
      await clock.advance(delayMs);
      void other.cache.set(key, "set meanwhile");
      expect(await clock.settle(asked, 1_000)).toBe("set meanwhile");
      expect(await other.cache.get(key)).toBe("set meanwhile");
    }
  });

  test("right after a clear stays", async () => {
    const { open, hub, clock } = bucketWorld();
    const { cache } = open();
    hub.faults = { ...hub.faults, delayMsMin: 10, delayMsMax: 10 };
    await cache.clear();
    hub.faults = { ...hub.faults, delayMsMin: 1, delayMsMax: 1 };
    await cache.set("k", 1);
    await clock.advance(1_000);
    expect(hub.peek('""("k")')).toBeDefined();
  });

  test("and set again before its invalidation has a sequence is not shared", async () => {
    const { open, broker } = scripted();
    const [one, other] = [open(), open()];
    broker.isPrompt = false;
    const all = [one.cache.set("k", "first"), one.cache.set("k", "second")];
    broker.number();
    await Promise.all(all);
    await settled();
    expect(await other.cache.get("k")).toBe("second");
    const deleted = [one.cache.set("k", "third"), one.cache.delete("k")];
    broker.number();
    await Promise.all(deleted);
    await settled();
    expect(await other.cache.get("k")).toBeUndefined();
  });
});
