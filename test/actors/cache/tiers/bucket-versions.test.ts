import { describe, expect, test } from "vitest";
import { keyTag } from "../../../../storage/results/result-key.js";
import { decodeSharedRecord, encodeSharedRecord, type SharedRecord } from "../../../../storage/results/shared-record.js";
import { encodeValue, limits, silentLog } from "../../../../core/index.js";
import { bucketWorld, loader, scripted, settled, slowLoader } from "./bucket-nodes.js";

describe("versions", () => {
  test("B4: no result of another node is taken under a tag that this node has invalidated without a sequence yet", async () => {
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
    expect(hub.peek(there.load.key("x"))?.revision, "no result is shared that becomes stale with that sequence").toBe(1);
    broker.number();
    await settled();
    expect(await there.load("x")).toBe("x2");
    await settled();
    expect(hub.peek(there.load.key("x"))?.revision).toBe(2);
  });

  test("of a node that is cut off during a look-up do not prove the found result valid", async () => {
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

  test("are compared at the very write, so that invalidations during its preparation count", async () => {
    const { open, hub, clock } = scripted();
    const [one, other] = [open(), open()];
    const here = loader(one.cache);
    hub.faults = { ...hub.faults, delayMsMin: 10, delayMsMax: 10 };
    // A refresh does not know the stored revision, and reads it before it writes.
    expect(await here.load.refresh("x")).toBe("x1");
    await clock.advance(5);
    await other.cache.invalidate("a:x");
    await clock.advance(100);
    expect(hub.peek(here.load.key("x"))).toBeUndefined();
  });

  test("B11: are not taken from a recall of the bus when more invalidations came meanwhile than are remembered", async () => {
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

  test("B4: a node that is cut off takes nothing from the bucket, and its results are not shared", async () => {
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

  test("B11: a result from before a node's start is compared once with the bus's recall of its tags", async () => {
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

  test("B11: a node does not find a key that was deleted before its start", async () => {
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

  test.each(["before the recall", "during the recall"])(
    "B11: the recall of an earlier history proves nothing in a later one that has the same sequence: %s",
    async (when) => {
      const { open, broker } = scripted();
      const one = open();
      await loader(one.cache).load("x");
      await settled();
      broker.invalidate("b");
      const { sequence } = broker;
      const other = open();
      const there = loader(other.cache);
      // The other node misses how the next history begins, and follows it from the sequence that it had here.
      const replace = () => {
        other.bus.isCut = true;
        broker.begin("another");
        broker.sequence = sequence;
        other.bus.isCut = false;
        other.bus.start();
      };
      if (when === "during the recall") {
        broker.whileRecalling = () => {
          broker.whileRecalling = () => undefined;
          replace();
        };
        expect([await there.load("x"), there.computed()]).toEqual(["x1", 1]);
      } else {
        expect([await there.load("x"), there.computed()]).toEqual(["x1", 0]);
        replace();
      }
      // A result of the next history, and an invalidation of its tag before the other node follows.
      other.bus.isCut = true;
      broker.begin("a third");
      const here = loader(one.cache);
      await here.load.refresh("x");
      await settled();
      broker.invalidate("a:x");
      broker.sequence = sequence;
      other.bus.isCut = false;
      other.bus.start();
      const computed = there.computed();
      await there.load("x");
      expect(there.computed()).toBe(computed + 1);
    },
  );

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

  test("from before a gap that the bus could not fill are stale, since a recall does not cover lost invalidations", async () => {
    const { open, broker } = scripted();
    const [one, other] = [open(), open()];
    await loader(one.cache).load("x");
    await settled();
    broker.sequence = 120;
    other.bus.start();
    const there = loader(other.cache);
    expect([await there.load("x"), there.computed(), broker.recalls]).toEqual(["x1", 1, []]);
  });

  test("of another node that is ahead are taken, but not absurdly high ones", async () => {
    const { open, hub } = scripted();
    const { cache } = open();
    const plant = (key: string, sequence: number) => hub.plant(`""("${key}")`, encodeSharedRecord(record(`""("${key}")`, sequence)));
    plant("ahead", 110);
    plant("absurd", Number.MAX_SAFE_INTEGER);
    expect([await cache.get("ahead"), await cache.get("absurd")]).toEqual(["planted", undefined]);
  });

  test("a later one is never overwritten, in any order of the writes", async () => {
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

  test("a malformed record is ignored, and logged once", async () => {
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
