import { describe, expect, onTestFinished, test } from "vitest";
import { startStorageServer } from "../../../../actors/server/server.js";
import { createInvalidationHub } from "../../../../cache.js";
import { limits, seededRandom, silentLog, systemClock } from "../../../../core/index.js";
import { all, cacheDisk } from "../../../support/client-world.js";
import { TestDisk } from "../../../support/server-world.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { counted, objectWorld } from "./object-world.js";
import { gate } from "../open.js";

const temporaryFolder = temporaryFolders();

describe("a client that missed commits", () => {
  test("and hears of them later: results that they touched are stale, and no others", async () => {
    const { cache, open, run, clock, writer } = await objectWorld();
    const { client, transport } = await open("cut");
    const read = counted((key: string) => client.get(key));
    const cached = cache.cacheable(read, { name: "read" });
    await run(Promise.all(["a", "b"].map((key) => writer.put(key, 1))));
    await run(client.read(() => 0, { serverSync: true }));
    await run(Promise.all(["a", "b"].map((key) => cached(key))));
    transport.takes = () => false;
    const tid = await run(writer.put("a", 2));
    await clock.until(() => !client.isConnected, 30_000);
    // The result is as of the client's last tid, like the client's own reads.
    expect(await run(cached("a"))).toBe(1);
    expect(read.runs).toBe(2);
    transport.takes = () => true;
    await clock.until(() => client.position.tid >= tid, 30_000);
    expect(client.status().verification).toMatchObject({ how: "replayed", transactions: 1 });
    expect(await run(Promise.all(["a", "b"].map((key) => cached(key))))).toEqual([2, 1]);
    expect(read.runs).toBe(3);
  });

  test("more than the server keeps: all results that it read are stale", async () => {
    const { cache, open, run, clock, writer } = await objectWorld({ storage: { invalidationQueueSize: 2, invalidationAgeMs: 1_000 } });
    const { client, transport } = await open("cut");
    const read = counted(async (key: string) => [await client.get(key), (await all(client.list("b"))).length]);
    const cached = cache.cacheable(read, { name: "read" });
    await run(cached("a"));
    transport.takes = () => false;
    transport.deaf.add("register");
    await clock.until(() => !client.isConnected, 30_000);
    for (let n = 1; n <= 4; n++) {
      await run(writer.put(n === 1 ? "a" : "b", n));
      await clock.advance(1_000);
    }
    expect(await run(cached("a"))).toEqual([undefined, 0]);
    transport.deaf.clear();
    transport.takes = () => true;
    await clock.until(() => client.isConnected, 30_000);
    expect(client.status().verification).toMatchObject({ how: "discarded" });
    expect(await run(cached("a"))).toEqual([1, 1]);
    expect(read.runs).toBe(2);
  });

  test("of another history, and discards its cache: all results that it read are stale", async () => {
    const { cache, open, run, clock, server, disk, restart } = await objectWorld();
    const { client } = await open("b", { onOtherHistory: "discard" });
    await run(client.put("before", 1));
    const old = disk.disk.copy("old");
    await run(client.put("x", 1));
    const cached = cache.cacheable((key: string) => client.get(key), { name: "read" });
    expect(await run(cached("x"))).toBe(1);
    server.kill();
    disk.disk.crash();
    await clock.until(() => !client.isConnected, 20_000);
    expect(await run(cached("x"))).toBe(1);
    await restart({ storage: { open: () => old.open() } });
    await clock.until(() => client.isConnected, 20_000);
    expect(await run(cached("x"))).toBeUndefined();
  });

  test("before its own commit: results of that commit's keys are stale at once, and read again only when the missed ones are known", async () => {
    const { cache, open, run, clock, writer } = await objectWorld();
    const { client, transport } = await open("gap");
    await run(client.put("a", 1));
    const cached = cache.cacheable((key: string) => client.get(key), { name: "read" });
    expect(await run(cached("a"))).toBe(1);
    const log = gate();
    transport.held.set("log", log.promise);
    transport.takes = () => false;
    await run(writer.put("b", 1));
    const tid = await run(client.put("a", 2));
    expect(client.position.tid).toBeLessThan(tid);
    const again = cached("a");
    await clock.advance(0);
    expect(cache.stats().hits).toBe(0);
    log.open();
    transport.takes = () => true;
    expect(await run(again)).toBe(2);
    expect(await run(cached("a"))).toBe(2);
  });
});

describe("a failed read", () => {
  test("makes its result or error valid for the moment only, so it is not kept", async () => {
    const { cache, open, run, clock, writer } = await objectWorld();
    await run(Promise.all([writer.put("a:1", 1), writer.put("b", 1)]));
    const { client, transport } = await open("cut", { waitTimeoutMs: 1_000 });
    const functions: Record<string, () => Promise<unknown>> = {
      get: () => client.get("a:1"),
      list: () => all(client.list("a:")),
      fresh: () => client.read((reader) => reader.get("b"), { maxStaleMs: 1_000 }).then(({ value }) => value),
    };
    const cached = Object.entries(functions).flatMap(([name, fn]) => [
      cache.cacheable(() => fn().catch(() => "none"), { name }),
      cache.cacheable(fn, { name: `${name} or error`, cacheErrors: true }),
    ]);
    const outcomes = async () =>
      (await Promise.allSettled(cached.map((each) => run(each())))).map((ended) => (ended.status === "fulfilled" ? ended.value : "error"));
    transport.takes = () => false;
    transport.deaf.add("register");
    await clock.until(() => !client.isConnected, 30_000);
    expect(await outcomes()).toEqual(["none", "error", "none", "error", "none", "error"]);
    expect(cache.stats().entries).toBe(0);
    transport.takes = () => true;
    transport.deaf.clear();
    await clock.until(() => client.isConnected, 30_000);
    expect(await outcomes()).toEqual([1, 1, [["a:1", 1]], [["a:1", 1]], 1, 1]);
    expect(cache.stats().entries).toBe(6);
  });

  test("while the commits before an own commit are missing also makes a result that is not kept", async () => {
    const { cache, open, run, clock, writer } = await objectWorld();
    const { client, transport } = await open("gap", { waitTimeoutMs: 1_000, requestTimeoutMs: 60_000 });
    const log = gate();
    transport.held.set("log", log.promise);
    transport.takes = () => false;
    await run(writer.put("b", 1));
    await run(client.put("a", 2));
    const cached = cache.cacheable(() => client.get("a").catch(() => "none"), { name: "read" });
    expect(await run(cached())).toBe("none");
    log.open();
    transport.takes = () => true;
    await clock.until(() => client.isConnected, 30_000);
    expect(await run(cached())).toBe(2);
  });

  for (const how of ["get", "list"] as const) {
    test(`while commits before its own are missing: a computation that began before them and reads after them (${how}) gives no result to later calls`, async () => {
      const { cache, open, run, clock, writer } = await objectWorld();
      const { client, transport } = await open("gap", { requestTimeoutMs: 60_000 });
      await run(client.put("a", 1));
      const log = gate();
      const [begun, going] = [gate(), gate()];
      const cached = cache.cacheable(
        async () => {
          const { value } = await client.read(async (reader) => {
            begun.open();
            await going.promise;
            return how === "get" ? reader.get("a") : (await all(reader.list("a")))[0]?.[1];
          });
          return value;
        },
        { name: "read" },
      );
      const early = cached();
      await run(begun.promise);
      transport.held.set("log", log.promise);
      transport.takes = () => false;
      await run(writer.put("b", 1));
      await run(client.put("a", 2));
      expect(client.status().early).toBe(1);
      const late = cached();
      going.open();
      expect(await run(early)).toBe(1);
      log.open();
      transport.takes = () => true;
      expect(await run(late)).toBe(2);
      expect(await run(cached())).toBe(2);
      await clock.until(() => client.isConnected, 30_000);
    });
  }
});

describe("a client", () => {
  test("that keeps nothing in memory still reports changes", async () => {
    for (const disk of [undefined, cacheDisk()]) {
      const { cache, open, run, clock, writer } = await objectWorld();
      const { client } = await open("small", { memoryBytesMax: 0, cache: disk?.open });
      const read = counted((key: string) => client.get(key));
      const cached = cache.cacheable(read, { name: "read" });
      await run(writer.put("a", 1));
      await run(client.read(() => 0, { serverSync: true }));
      expect([await run(cached("a")), await run(cached("none"))]).toEqual([1, undefined]);
      await run(writer.put("b", 1));
      await clock.advance(10);
      expect([await run(cached("a")), await run(cached("none"))]).toEqual([1, undefined]);
      expect(read.runs).toBe(2);
      await run(writer.transact((tx) => Promise.all([tx.put("a", 2), tx.put("none", 2)])));
      await clock.advance(10);
      expect([await run(cached("a")), await run(cached("none"))]).toEqual([2, 2]);
    }
  });

  test("hears of a transaction whose keys do not fit in a message", async () => {
    const { cache, reader, run, clock, writer } = await objectWorld();
    const cached = cache.cacheable((key: string) => reader.get(key), { name: "read" });
    const listed = cache.cacheable(async () => (await all(reader.list("k1000"))).length, { name: "list" });
    await run(Promise.all([cached("k7"), cached("other"), listed()]));
    const many = Array.from({ length: limits.invalidationKeysMax + 1 }, (_, n) => `k${n}`);
    const { tid } = await run(writer.transact(async (tx) => void (await Promise.all(many.map((key) => tx.put(key, key))))));
    await clock.until(() => reader.position.tid >= tid, 10_000);
    const { misses } = cache.stats();
    expect(await run(Promise.all([cached("k7"), cached("other"), listed()]))).toEqual(["k7", undefined, 2]);
    expect(cache.stats().misses - misses).toBe(2);
  });
});

describe("a client that is closed", () => {
  test("leaves no result that was read through it", async () => {
    const { cache, open, run, writer } = await objectWorld();
    await run(writer.put("a", 1));
    for (const end of ["close", "kill"] as const) {
      const { client } = await open(`to-${end}`);
      const cached = cache.cacheable((key: string) => client.get(key), { name: end });
      const listed = cache.cacheable(() => all(client.list("a")), { name: `list-${end}` });
      expect(await run(cached("a"))).toBe(1);
      expect(await run(listed())).toEqual([["a", 1]]);
      // From the call on, not only when it has ended.
      const ended = Promise.resolve(client[end]());
      await expect(run(cached("a"))).rejects.toMatchObject({ code: "ZOOID_CLOSED" });
      await expect(run(listed())).rejects.toMatchObject({ code: "ZOOID_CLOSED" });
      await run(ended);
    }
    expect(cache.stats().entries).toBe(0);
  });

  test("while a result is computed: the result is given, and not kept", async () => {
    const { cache, open, run, writer } = await objectWorld();
    await run(writer.put("a", 1));
    const { client } = await open("short");
    const held = gate();
    const cached = cache.cacheable(
      async () => {
        const value = await client.get("a");
        await held.promise;
        return value;
      },
      { name: "slow" },
    );
    const first = cached();
    await run(client.get("a"));
    await run(client.close());
    held.open();
    expect(await run(first)).toBe(1);
    expect(cache.stats().entries).toBe(0);
  });
});

describe("the maximum age of a snapshot", () => {
  test("a result of such a read is kept while its client knows that the snapshot is young enough", async () => {
    const { cache, open, run, clock, writer } = await objectWorld();
    await run(writer.put("a", 1));
    const { client, transport } = await open("cut");
    const read = counted((maxStaleMs?: number) =>
      client.read((tx) => tx.get("a"), maxStaleMs === undefined ? {} : { maxStaleMs }).then(({ value }) => value),
    );
    const cached = cache.cacheable(read, { name: "fresh" });
    const outer = cache.cacheable(async () => [await cached(20_000)], { name: "outer" });
    await run(Promise.all([cached(), cached(20_000)]));
    await run(outer());
    // The keep-alives of the client prove it.
    await clock.advance(60_000);
    expect(await run(Promise.all([cached(), cached(20_000), outer()]))).toEqual([1, 1, [1]]);
    expect(read.runs).toBe(2);
    transport.takes = () => false;
    for (const operation of ["register", "alive"]) transport.deaf.add(operation);
    await run(writer.put("a", 2));
    await clock.advance(14_000);
    expect(await run(cached(20_000))).toBe(1);
    await clock.advance(7_000);
    await expect(run(cached(20_000))).rejects.toMatchObject({ code: "ZOOID_STALE" });
    await expect(run(outer())).rejects.toMatchObject({ code: "ZOOID_STALE" });
    // The read itself would also return this, since it sets no maximum age.
    expect(await run(cached())).toBe(1);
  });

  test("a result that must be as fresh as its call is not kept", async () => {
    const { cache, reader, run } = await objectWorld();
    for (const options of [{ serverSync: true }, { maxStaleMs: 0 }, { serverSync: true, maxStaleMs: 60_000 }]) {
      const read = counted(() => reader.read((tx) => tx.get("a"), options));
      const cached = cache.cacheable(read, { name: JSON.stringify(options) });
      const outer = cache.cacheable(() => cached(), { name: `outer ${JSON.stringify(options)}` });
      await run(outer());
      await run(outer());
      await run(cached());
      expect(read.runs).toBe(3);
    }
  });

  test("a result of any age is kept, even with a client that has not reached its server yet", async () => {
    const { cache, open, run, server, writer } = await objectWorld();
    await run(writer.put("a", 1));
    const disk = cacheDisk();
    const { client: before } = await open("offline", { cache: disk.open });
    await run(before.get("a"));
    await run(before.close());
    await run(server.close());
    const { client } = await open("offline", { cache: disk.open });
    const read = counted((maxStaleMs: number | undefined) => client.read((tx) => tx.get("a"), { maxStaleMs }));
    const cached = cache.cacheable(read, { name: "old" });
    for (const maxStaleMs of [Infinity, undefined, Infinity]) expect(await run(cached(maxStaleMs))).toMatchObject({ value: 1 });
    expect(read.runs).toBe(2);
  });

  test("results with more different ages than can be watched are not kept", async () => {
    const { cache, reader, run, clock } = await objectWorld();
    const read = counted((maxStaleMs: number) => reader.read((tx) => tx.get("a"), { maxStaleMs }).then(({ value }) => value));
    const cached = cache.cacheable(read, { name: "fresh" });
    await run(reader.read(() => 0, { serverSync: true }));
    for (let n = 0; n <= limits.objectAgesMax; n++) await run(cached(60_000 + n));
    expect(cache.stats().entries).toBe(limits.objectAgesMax);
    await cache.clear();
    // Ages without dependents are removed when they are next checked.
    await clock.advance(61_000);
    await run(cached(70_000));
    expect(cache.stats().entries).toBe(1);
  });
});

describe("a snapshot that is older than the last transaction", () => {
  test("makes no result that is kept, if the objects read were changed since or may have been", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    await put("b", 1);
    await put("p:1", 1);
    await using tx = await run(reader.begin());
    await run(Promise.all([tx.get("a"), tx.get("b")]));
    await put("a", 2);
    const read = counted((key: string) => tx.get(key));
    const cached = cache.cacheable(read, { name: "old" });
    const listed = cache.cacheable(() => all(tx.list("p:")), { name: "listed" });
    expect(await run(cached("a"))).toBe(1);
    expect(await run(listed())).toEqual([["p:1", 1]]);
    expect(cache.stats().entries).toBe(0);
    // This revision is known to be the last.
    expect(await run(cached("b"))).toBe(1);
    expect(await run(cached("b"))).toBe(1);
    expect(read.runs).toBe(2);
    await put("b", 2);
    expect(await run(cached("b"))).toBe(1);
    expect(read.runs).toBe(3);
  });

  test("can make a result that is kept, when the objects read are known from another snapshot", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("p:1", 1);
    await using tx = await run(reader.begin());
    const listed = cache.cacheable((_how: string) => all(tx.list("p:")), { name: "listed" });
    await run(listed("as of the last"));
    await put("a", 2);
    await run(listed("as of the one before"));
    expect(cache.stats().entries).toBe(2);
    await put("p:2", 1);
    await run(listed("as of the last"));
    expect(cache.stats().misses).toBe(3);
  });
});

describe("several clients", () => {
  test("of two storages: a commit touches only results that read its storage", async () => {
    const { cache, broker, clock, open, run, reader, put } = await objectWorld();
    const second = await run(
      startStorageServer({
        realm: "test",
        log: silentLog,
        storages: { second: { open: new TestDisk("second").open } },
        transport: broker.connect(),
        clock,
        random: seededRandom(99),
        onFatal: (error) => {
          throw error;
        },
      }),
    );
    onTestFinished(() => {
      second.kill();
    });
    const { client } = await open("elsewhere", { storage: "second" });
    await put("a", "first");
    await run(client.put("a", "second"));
    const [one, other] = [counted(() => reader.get("a")), counted(() => client.get("a"))];
    const [cachedOne, cachedOther] = [cache.cacheable(one, { name: "one" }), cache.cacheable(other, { name: "other" })];
    const both = cache.cacheable(() => Promise.all([cachedOne(), cachedOther()]), { name: "both" });
    expect(await run(both())).toEqual(["first", "second"]);
    await run(client.put("a", "changed"));
    expect(await run(both())).toEqual(["first", "changed"]);
    expect([one.runs, other.runs]).toEqual([1, 2]);
    await put("a", "changed too");
    expect(await run(both())).toEqual(["changed too", "changed"]);
    expect([one.runs, other.runs]).toEqual([2, 2]);
    await run(client.close());
    await expect(run(both())).rejects.toMatchObject({ code: "ZOOID_CLOSED" });
    expect(await run(cachedOne())).toBe("changed too");
    expect(one.runs).toBe(2);
  });

  test("of one storage: each result is as fresh as the client that it was read through", async () => {
    const { cache, open, run, reader, put, writer } = await objectWorld();
    const { client, transport } = await open("late");
    await put("a", 1);
    await run(client.read(() => 0, { serverSync: true }));
    const [early, late] = [reader, client].map((through) =>
      cache.cacheable(() => through.get("a"), { name: `of ${through.status().client}` }),
    );
    await run(Promise.all([early?.(), late?.()]));
    transport.takes = () => false;
    await run(writer.put("a", 2));
    expect(await run(Promise.all([early?.(), late?.()]))).toEqual([2, 1]);
  });

  test("B8: an invalidation that overtakes the commit before it leaves no result older than the commit", async () => {
    const { broker: _, clock, open, openCache, run, writer } = await objectWorld();
    const hub = createInvalidationHub({ clock, random: seededRandom(7) });
    const [here, there] = [await openCache({ bus: hub.connect() }), await openCache({ bus: hub.connect() })];
    const { client, transport } = await open("there");
    await run(writer.put("a", 1));
    await run(client.read(() => 0, { serverSync: true }));
    const read = counted(() => client.get("a"));
    const cached = there.cacheable(read, { name: "read", deps: ["tag"] });
    expect(await run(cached())).toBe(1);
    const late: (() => void)[] = [];
    transport.takes = (_message, deliver) => {
      late.push(deliver);
      return false;
    };
    await run(writer.put("a", 2));
    expect(await here.invalidate("tag")).toBe("published");
    await clock.advance(0);
    expect(await run(cached())).toBe(1);
    expect(read.runs).toBe(2);
    transport.takes = () => true;
    for (const deliver of late) deliver();
    expect(await run(cached())).toBe(2);
    expect(await run(cached())).toBe(2);
    expect(read.runs).toBe(3);
  });
});

describe("a result that depends on objects", () => {
  test("is not kept in a folder, and removes an older result there", async () => {
    const { openCache, reader, run, put } = await objectWorld();
    const storageUrl = `lmdb:${await temporaryFolder()}`;
    let isFixed = true;
    const computed = counted(async (_name: string) => (isFixed ? "fixed" : reader.get("a")));
    const open = async () => {
      const cache = await openCache({ storageUrl, clock: systemClock });
      // From then on the node knows its position.
      await cache.invalidate("nothing");
      return { cache, cached: cache.cacheable(async (name: string) => computed(name), { name: "computed" }) };
    };
    await put("a", 1);
    const first = await open();
    expect([await run(first.cached("same")), await run(first.cached("other"))]).toEqual(["fixed", "fixed"]);
    isFixed = false;
    expect(await run(first.cached.refresh("other"))).toBe(1);
    expect(await run(first.cached("other"))).toBe(1);
    expect(await run(first.cached("third"))).toBe(1);
    expect(computed.runs).toBe(4);
    await first.cache.close();
    await put("a", 2);
    const second = await open();
    expect(await run(second.cached("same"))).toBe("fixed");
    expect(computed.runs).toBe(4);
    expect([await run(second.cached("other")), await run(second.cached("third"))]).toEqual([2, 2]);
  });

  test("past the bound on dependencies is given, and not kept, nor are results that contain it", async () => {
    const { cache, openCache, reader, run } = await objectWorld();
    const other = await openCache();
    const keys = Array.from({ length: limits.entryObjectsMax + 1 }, (_, n) => `k${n}`);
    const read = cache.cacheable((count: number) => reader.getMany(keys.slice(0, count)).then((values) => values.length), { name: "read" });
    const outer = cache.cacheable(async (count: number) => [await read(count)], { name: "outer" });
    const ofOther = other.cacheable(async (count: number) => [await read(count)], { name: "outer" });
    expect(await run(outer(keys.length))).toEqual([keys.length]);
    expect(await run(ofOther(keys.length))).toEqual([keys.length]);
    expect([cache.stats().entries, other.stats().entries]).toEqual([0, 0]);
    expect(await run(outer(keys.length - 1))).toEqual([keys.length - 1]);
    expect(await run(ofOther(keys.length - 1))).toEqual([keys.length - 1]);
    expect([cache.stats().entries, other.stats().entries]).toEqual([2, 1]);
  });
});
