import { describe, expect, test } from "vitest";
import { sharedAgeMsMax } from "../../../../actors/cache/shared-tier.js";
import { type Cache, SyncTierError } from "../../../../cache.js";
import { keyTag } from "../../../../storage/results/result-key.js";
import { decodeSharedRecord, encodeSharedRecord, type SharedRecord } from "../../../../storage/results/shared-record.js";
import type { Log } from "../../../../core/index.js";
import { encodeValue, limits, silentLog } from "../../../../core/index.js";
import { bucketWorld, ScriptedBroker } from "./bucket-nodes.js";
import { type Gate, gate } from "../open.js";

/** A function of a node that counts its computations, and what it gives. */
function loader(cache: Cache, options: { readonly ttl?: string; readonly readExtendTtl?: boolean } = {}) {
  let computed = 0;
  const load = cache.cacheable(async (id: string) => `${id}${++computed}`, { name: "load", deps: (id) => [`a:${id}`], ...options });
  return { load, computed: () => computed };
}

/** The same, whose computations end when the test says so. */
function slowLoader(cache: Cache) {
  const gates: Gate<string>[] = [];
  const load = cache.cacheable(
    (): Promise<string> => {
      const slow = gate<string>();
      gates.push(slow);
      return slow.promise;
    },
    { name: "slow", deps: ["a:b"] },
  );
  return { load, gates };
}

/** Lets what was written behind arrive. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Two nodes on a broker that stands at 100. */
function scripted() {
  const world = bucketWorld();
  const broker = new ScriptedBroker(world.clock, 100);
  const open = () => {
    const bus = broker.connect();
    return { bus, ...world.open({ bus }) };
  };
  return { ...world, broker, open };
}

describe("a result in a bucket", () => {
  test("of one node is found by the others, which do not compute it, and is in their memory then", async () => {
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

  test("is looked up once for all who call", async () => {
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

  test("falls with its tags, whichever node invalidates, and the next to compute it shares it again", async () => {
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

  test("that another node re-cached first is taken", async () => {
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

  test("is computed from what is known once it was looked for: nothing that came meanwhile is held against it", async () => {
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

  test("that was invalidated while it was looked for is not taken", async () => {
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

  test("that was found is given to nobody who called after an invalidation, however soon that comes", async () => {
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

  test("makes what uses it depend on what it does, and on its key", async () => {
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

  test("in a circle of calls is refused while it is looked for, too", async () => {
    const { open } = bucketWorld();
    const { cache } = open();
    const one: () => Promise<number> = cache.cacheable(async () => (await other()) + 1, { name: "one" });
    const other: () => Promise<number> = cache.cacheable(async () => (await one()) + 1, { name: "other" });
    await expect(one()).rejects.toMatchObject({ code: "ZOOID_CIRCULAR_CALL" });
  });

  test("is not what a refresh looks for; it shares what it computed in place of that", async () => {
    const { open } = bucketWorld();
    const [one, other] = [open(), open()];
    await loader(one.cache).load("x");
    await settled();
    const there = other.cache.cacheable(async (id: string) => `${id} anew`, { name: "load", deps: (id) => [`a:${id}`] });
    expect(await there.refresh("x")).toBe("x anew");
    await settled();
    expect(await loader(open().cache).load("x")).toBe("x anew");
  });

  test("holds any plain data, and undefined; the rest is in memory only, as are errors", async () => {
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

describe("what is set", () => {
  test("is found by the others by its key, until it is set, deleted or cleared anywhere", async () => {
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

  test("is shared once its invalidation has a number, which it bears beside what was known when it was made", async () => {
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

  test("while it is looked for is what is given, and kept", async () => {
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

  test("right after all was cleared is not cleared with it", async () => {
    const { open, hub, clock } = bucketWorld();
    const { cache } = open();
    hub.faults = { ...hub.faults, delayMsMin: 10, delayMsMax: 10 };
    await cache.clear();
    hub.faults = { ...hub.faults, delayMsMin: 1, delayMsMax: 1 };
    await cache.set("k", 1);
    await clock.advance(1_000);
    expect(hub.peek('""("k")')).toBeDefined();
  });

  test("and set again before it was numbered is not shared", async () => {
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

describe("versions", () => {
  test("B4: under an invalidation of this node that has no number yet nothing of a neighbour is taken", async () => {
    const { open, broker, hub } = scripted();
    const [one, other] = [open(), open()];
    await loader(one.cache).load("x");
    await settled();
    broker.isPrompt = false;
    void other.cache.invalidate("a");
    const there = loader(other.cache);
    expect(await there.load("x")).toBe("x1");
    expect(there.computed()).toBe(1);
    await settled();
    expect(hub.peek(there.load.key("x"))?.revision, "nor is anything shared that is stale once it has one").toBe(1);
    broker.number();
    await settled();
    expect(await there.load("x")).toBe("x2");
    await settled();
    expect(hub.peek(there.load.key("x"))?.revision).toBe(2);
  });

  test("of a node that is cut off while it looks for a result says nothing of that", async () => {
    const { open, hub, clock } = scripted();
    const [one, other] = [open(), open()];
    await loader(one.cache).load("x");
    await settled();
    hub.faults = { ...hub.faults, delayMsMin: 10, delayMsMax: 10 };
    const there = loader(other.cache);
    const asked = there.load("x");
    await clock.advance(5);
    other.bus.isCut = true;
    await one.cache.invalidate("a");
    await clock.settle(asked, 1_000);
    expect(there.computed()).toBe(1);
  });

  test("are compared last when it is written: what came while that was prepared counts", async () => {
    const { open, hub, clock } = scripted();
    const [one, other] = [open(), open()];
    const here = loader(one.cache);
    hub.faults = { ...hub.faults, delayMsMin: 10, delayMsMax: 10 };
    // A refresh does not know what is there, and looks before it writes.
    expect(await here.load.refresh("x")).toBe("x1");
    await clock.advance(5);
    await other.cache.invalidate("a:x");
    await clock.advance(100);
    expect(hub.peek(here.load.key("x"))).toBeUndefined();
  });

  test("B11: are not taken from what the bus recalled when more came meanwhile than is remembered", async () => {
    const { open, broker } = scripted();
    const one = open();
    await loader(one.cache).load("x");
    await settled();
    await one.cache.invalidate("b");
    await one.cache.close();
    const there = loader(open().cache);
    broker.whileRecalling = () => {
      broker.invalidate("a:x");
      for (let n = 0; n <= limits.latestInvalidationsMax; n++) broker.invalidate(`c:${n}`);
    };
    expect([await there.load("x"), there.computed()]).toEqual(["x1", 1]);
    expect(broker.recalls.length).toBe(1);
  });

  test("B4: a cut node takes nothing from the bucket, and what it computed is not shared", async () => {
    const { open, hub } = scripted();
    const [one, other] = [open(), open()];
    await loader(one.cache).load("x");
    await settled();
    other.bus.isCut = true;
    const there = loader(other.cache);
    await one.cache.invalidate("a:x");
    expect([await there.load("x"), await there.load("y")]).toEqual(["x1", "y2"]);
    await settled();
    expect(hub.peek(there.load.key("y"))).toBeUndefined();
  });

  test("B11: what began before a node did is compared with what the bus recalls of its tags, once", async () => {
    const { open, broker } = scripted();
    const one = open();
    const here = loader(one.cache);
    await here.load("x");
    await here.load("y");
    await settled();
    await one.cache.invalidate(["a:z", "b", "a:y"]);
    await one.cache.close();
    const again = loader(open().cache);
    expect([await again.load("x"), again.computed()]).toEqual(["x1", 0]);
    expect(broker.recalls.map((tags) => [...tags].sort())).toEqual([["", ".key", keyTag(here.load.key("x")), "a", "a:x"].sort()]);
    expect([await again.load("y"), again.computed()]).toEqual(["y1", 1]);
    expect(broker.recalls.length).toBe(2);
    expect(await again.load("x")).toBe("x1");
    expect(broker.recalls.length).toBe(2);
    const third = open();
    await third.cache.invalidate("a");
    expect(await loader(third.cache).load("x")).toBe("x1");
    expect(broker.recalls.length).toBe(2);
  });

  test("B11: a key that was deleted before a node began is not found by it", async () => {
    const { open, hub } = scripted();
    const one = open();
    await one.cache.set("k", 1);
    await settled();
    const there = hub.peek('""("k")');
    await one.cache.delete("k");
    await settled();
    hub.plant('""("k")', there?.payload ?? Buffer.from(""));
    expect(await open().cache.get("k")).toBeUndefined();
  });

  test("B2: an entry of another epoch is stale", async () => {
    const { open, broker } = scripted();
    const one = open();
    const here = loader(one.cache);
    await here.load("x");
    await settled();
    broker.begin("another");
    expect(await here.load("x")).toBe("x2");
    await settled();
    const there = loader(open().cache);
    expect([await there.load("x"), there.computed()]).toEqual(["x2", 0]);
  });

  test("of before a gap that the bus could not fill are stale: what it recalls says nothing of what was lost", async () => {
    const { open, broker } = scripted();
    const [one, other] = [open(), open()];
    await loader(one.cache).load("x");
    await settled();
    broker.sequence = 120;
    other.bus.start();
    const there = loader(other.cache);
    expect([await there.load("x"), there.computed(), broker.recalls]).toEqual(["x1", 1, []]);
  });

  test("of a neighbour that is ahead are taken; those beyond all measure are not", async () => {
    const { open, hub } = scripted();
    const { cache } = open();
    const plant = (key: string, sequence: number) => hub.plant(`""("${key}")`, encodeSharedRecord(record(`""("${key}")`, sequence)));
    plant("ahead", 110);
    plant("absurd", Number.MAX_SAFE_INTEGER);
    expect([await cache.get("ahead"), await cache.get("absurd")]).toEqual(["planted", undefined]);
  });

  test("a later one is never written over, however the writes are ordered", async () => {
    const { open, hub, clock } = scripted();
    const [one, other] = [open(), open()];
    const slow = slowLoader(one.cache);
    const key = slow.load.key();
    void slow.load();
    await settled();
    await other.cache.invalidate("unrelated");
    const quick = slowLoader(other.cache);
    void quick.load();
    await settled();
    quick.gates[0]?.open("later");
    await settled();
    slow.gates[0]?.open("earlier");
    await settled();
    await clock.advance(1_000);
    expect(decodeSharedRecord(hub.peek(key)?.payload ?? Buffer.from(""), key)).toMatchObject({ sequence: 101 });
    expect(hub.peek(key)?.revision).toBe(1);
  });

  test("what is no record of a result is nothing, and is told once", async () => {
    const warnings: object[] = [];
    const { hub, ...world } = bucketWorld();
    const { cache } = world.open({ log: { ...silentLog, warn: (facts) => warnings.push(facts) } });
    const good = encodeSharedRecord(record('""("k")', 0));
    const others = [Buffer.from("not a record"), good.subarray(0, -1), encodeSharedRecord(record("another key", 0)), Buffer.alloc(0)];
    for (const payload of others) {
      hub.plant('""("k")', payload);
      expect(await cache.get("k")).toBeUndefined();
    }
    hub.plant('""("k")', encodeSharedRecord({ ...record('""("k")', 0), value: Buffer.from([0xc1]) }));
    expect(await cache.get("k")).toBeUndefined();
    expect(warnings.length).toBe(1);
    expect(await cache.getOrSet("k", () => "computed")).toBe("computed");
    await settled();
    expect(await world.open().cache.get("k")).toBe("computed");
  });
});

const epochOf = "e";
const record = (key: string, sequence: number): SharedRecord => ({
  key,
  epoch: epochOf,
  sequence,
  time: 0,
  ownSequence: sequence,
  tags: [],
  ttlMs: undefined,
  leftMs: Infinity,
  slides: false,
  value: encodeValue("planted"),
});

describe("B13: times to live", () => {
  test("count from when the broker took it, whatever a node's own clock says", async () => {
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

  test("that have passed are over, and what a get meets of them goes, where the broker does not see to it", async () => {
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

  test("and the age that the bus remembers bound what is used: nobody could tell whether older results are valid", async () => {
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
  test("delays no call beyond the bound, and fails none; then it is passed by for a while", async () => {
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

  test("without a link is as none at all, and is used again when it is back", async () => {
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

  test("and is emptied costs a computation", async () => {
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
  test("is refused at its first call, which tells that it is one, and at all later ones", () => {
    const { open } = bucketWorld();
    const { cache } = open();
    let computed = 0;
    const sync = cache.cacheable((n: number) => ++computed + n, { name: "sync" });
    expect(() => sync(1)).toThrow(SyncTierError);
    expect(() => sync(1)).toThrow(SyncTierError);
    expect(() => sync.refresh(2)).toThrow(SyncTierError);
    expect(computed).toBe(1);
  });

  test("that gives promises is none, however it is written", async () => {
    const { open } = bucketWorld();
    const [one, other] = [open(), open()];
    let computed = 0;
    const load = (cache: Cache) => cache.cacheable((n: number) => Promise.resolve(n + ++computed), { name: "promising" });
    expect(await load(one.cache)(1)).toBe(2);
    await settled();
    const there = load(other.cache);
    expect(await there(10)).toBe(12);
    // From its first call on it is known to give promises.
    expect(await there(1)).toBe(2);
  });
});
