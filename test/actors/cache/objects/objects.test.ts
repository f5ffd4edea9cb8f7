import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ClientCache } from "../../../../storage/client-cache/client-cache.js";
import { isAnythingComputing } from "../../../../actors/tracking/computations.js";
import { all } from "../../../support/client-world.js";
import { counted, objectWorld } from "./object-world.js";
import { gate } from "../open.js";

/** A cached function that reads one key. */
async function cachedGet() {
  const world = await objectWorld();
  const { cache, reader, run } = world;
  const read = counted((key: string) => reader.get(key));
  const cached = cache.cacheable(read, { name: "read" });
  return { ...world, read, get: (key: string) => run(cached(key)), start: (key: string) => cached(key) };
}

describe("a result that read an object", () => {
  test("is kept, and is not stale after an unrelated commit", async () => {
    const { get, put, read } = await cachedGet();
    await put("a", 1);
    expect(await get("a")).toBe(1);
    await put("b", 1);
    await put("aa", 1);
    expect(await get("a")).toBe(1);
    expect(read.runs).toBe(1);
  });

  test("is stale once its client has processed another client's commit", async () => {
    const { get, put, read, cache } = await cachedGet();
    await put("a", 1);
    expect(await get("a")).toBe(1);
    await put("a", 2);
    expect(await get("a")).toBe(2);
    expect(await get("a")).toBe(2);
    expect(read.runs).toBe(2);
    expect(cache.stats().entries).toBe(1);
  });

  test("is stale after a commit of its own client", async () => {
    const { get, reader, run } = await cachedGet();
    await run(reader.put("a", 1));
    expect(await get("a")).toBe(1);
    await run(reader.update("a", () => 2));
    expect(await get("a")).toBe(2);
    await run(reader.delete("a"));
    expect(await get("a")).toBeUndefined();
  });

  test("depends on an absent key", async () => {
    const { get, put, remove, read } = await cachedGet();
    expect(await get("a")).toBeUndefined();
    expect(await get("a")).toBeUndefined();
    expect(read.runs).toBe(1);
    await put("a", 1);
    expect(await get("a")).toBe(1);
    await remove("a");
    expect(await get("a")).toBeUndefined();
    expect(read.runs).toBe(3);
  });

  test("depends on it, read from the server or from the client's cache", async () => {
    const { get, put, reader, run } = await cachedGet();
    await put("a", 1);
    await run(reader.get("a"));
    expect(await get("a")).toBe(1);
    await put("a", 2);
    expect(await get("a")).toBe(2);
  });

  test("can come from `getOrSet` too, and passes its dependency to a computation that gets it", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    const own = () => cache.getOrSet("own", () => reader.get("a"));
    const outer = cache.cacheable(async () => [await cache.get("own")], { name: "outer" });
    expect(await run(own())).toBe(1);
    expect(await run(outer())).toEqual([1]);
    await put("a", 2);
    expect(await cache.get("own")).toBeUndefined();
    expect(await run(outer())).toEqual([undefined]);
    expect(await run(own())).toBe(2);
  });

  test("depends on what `read`, `getMany` and a transaction read", async () => {
    const { cache, reader, run, put } = await objectWorld();
    const read = counted(async () => {
      const { value: a } = await reader.read((tx) => tx.get("a"));
      const [b, c] = await reader.getMany(["b", "c"]);
      const { value: d } = await reader.transact((tx) => tx.get("d"));
      return [a, b, c, d];
    });
    const cached = cache.cacheable(read, { name: "all" });
    for (const key of ["a", "b", "c", "d"]) {
      await put(key, "old");
      await run(cached());
      const { runs } = read;
      await run(cached());
      expect(read.runs).toBe(runs);
      await put(key, "new");
      await run(cached());
      expect(read.runs).toBe(runs + 1);
    }
    expect(await run(cached())).toEqual(["new", "new", "new", "new"]);
  });

  test("does not depend on keys that its transaction wrote before it read them", async () => {
    const { cache, reader, run, put } = await objectWorld();
    const read = counted(async () => {
      await using tx = await reader.begin();
      await tx.put("a", "mine");
      return await tx.get("a");
    });
    const cached = cache.cacheable(read, { name: "own" });
    await run(cached());
    await put("a", 1);
    expect(await run(cached())).toBe("mine");
    expect(read.runs).toBe(1);
  });

  test("is not kept when its computation wrote what it read", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("n", 0);
    const count = counted(() => reader.update("n", (n) => (n as number) + 1).then(({ value }) => value));
    const cached = cache.cacheable(count, { name: "count" });
    expect(await run(cached())).toBe(1);
    expect(await run(cached())).toBe(2);
  });

  test("depends on a failed read", async () => {
    const { cache, reader, run, put } = await objectWorld();
    let fails = true;
    const read = counted(async () => {
      const value = await reader.get("a");
      if (fails) throw new Error("no");
      return value;
    });
    const cached = cache.cacheable(read, { name: "failing", cacheErrors: true });
    await expect(run(cached())).rejects.toThrow("no");
    fails = false;
    await expect(run(cached())).rejects.toThrow("no");
    await put("a", 1);
    expect(await run(cached())).toBe(1);
    expect(read.runs).toBe(2);
  });

  test("is invalidated by its tags too", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    const read = counted(() => reader.get("a"));
    const cached = cache.cacheable(read, { name: "tagged", deps: ["x:y"] });
    await run(cached());
    await cache.invalidate("z");
    await run(cached());
    expect(read.runs).toBe(1);
    await cache.invalidate("x");
    await run(cached());
    expect(read.runs).toBe(2);
  });

  test("stands in for a failure with staleIfError, though it is stale", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    let fails = false;
    const inner = cache.cacheable(
      async () => {
        if (fails) throw new Error("no");
        return reader.get("a");
      },
      { name: "inner", staleIfError: "1m" },
    );
    const outer = cache.cacheable(async () => [await inner()], { name: "outer" });
    expect(await run(outer())).toEqual([1]);
    fails = true;
    await put("a", 2);
    expect(await run(outer())).toEqual([1]);
    fails = false;
    expect(await run(outer())).toEqual([2]);
  });
});

describe("a result that listed a prefix", () => {
  async function cachedList() {
    const world = await objectWorld();
    const { cache, reader, run } = world;
    const list = counted(async (prefix: string) => (await all(reader.list(prefix))).map(([key]) => key));
    const cached = cache.cacheable(list, { name: "list" });
    return { ...world, list, keys: (prefix: string) => run(cached(prefix)) };
  }

  test("is stale when a key with the prefix is created, written or deleted, and not for other keys", async () => {
    const { keys, put, remove, list } = await cachedList();
    expect(await keys("a:")).toEqual([]);
    await put("a", 0);
    await put("b:", 0);
    expect(await keys("a:")).toEqual([]);
    expect(list.runs).toBe(1);
    await put("a:1", 0);
    expect(await keys("a:")).toEqual(["a:1"]);
    await put("a:1", 1);
    expect(await keys("a:")).toEqual(["a:1"]);
    expect(list.runs).toBe(3);
    await remove("a:1");
    expect(await keys("a:")).toEqual([]);
    expect(await keys("a:")).toEqual([]);
    expect(list.runs).toBe(4);
  });

  test("of all keys is stale with every commit", async () => {
    const { keys, put } = await cachedList();
    expect(await keys("")).toEqual([]);
    await put("x", 0);
    expect(await keys("")).toEqual(["x"]);
  });

  test("depends on the prefix in whole characters, not in UTF-16 units", async () => {
    const { keys, put, list } = await cachedList();
    expect(await keys("😀")).toEqual([]);
    await put("😁", 0);
    expect(await keys("😀")).toEqual([]);
    expect(list.runs).toBe(1);
    await put("😀!", 0);
    expect(await keys("😀")).toEqual(["😀!"]);
  });

  test("depends on it even when the listing began elsewhere", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a:1", 0);
    await put("a:2", 0);
    const rows = reader.list("a:");
    await run(rows.next());
    const next = cache.cacheable(() => rows.next(), { name: "next" });
    expect((await run(next())).value).toEqual(["a:2", 0]);
    expect(cache.stats().entries).toBe(1);
    await put("a:3", 0);
    await run(next());
    expect(cache.stats().misses).toBe(2);
  });

  test("at one snapshot with other reads is kept, while others commit unrelated keys", async () => {
    const [begun, ended] = [vi.spyOn(ClientCache.prototype, "beginLoad"), vi.spyOn(ClientCache.prototype, "endLoad")];
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    const { cache, reader, run, put } = await objectWorld();
    await put("a:1", 1);
    await put("b:1", 1);
    const between = gate();
    const read = counted(async () => {
      const { value } = await reader.read(async (tx) => {
        const a = await all(tx.list("a:"));
        await between.promise;
        return [...a, ...(await all(tx.list("b:"))), await tx.get("c")];
      });
      return value;
    });
    const cached = cache.cacheable(read, { name: "both" });
    const first = cached();
    await put("d", 1);
    await put("e", 1);
    between.open();
    expect(await run(first)).toEqual([["a:1", 1], ["b:1", 1], undefined]);
    await run(cached());
    expect(read.runs).toBe(1);
    // Commits of others were remembered as long as the snapshot was open, and no longer.
    const open = new Set(begun.mock.results.map(({ value }) => value as unknown));
    for (const [ticket] of ended.mock.calls) open.delete(ticket);
    expect(begun.mock.calls.length).toBeGreaterThan(3);
    expect(open.size).toBe(0);
  });

  test("at one snapshot is not kept when the objects it read last were changed since", async () => {
    for (const changed of ["b:2", "c"]) {
      const { cache, reader, run, put } = await objectWorld();
      const between = gate();
      const read = counted(async () => {
        const { value } = await reader.read(async (tx) => {
          await all(tx.list("a:"));
          await between.promise;
          return [...(await all(tx.list("b:"))), await tx.get("c")];
        });
        return value;
      });
      const cached = cache.cacheable(read, { name: "both" });
      const first = cached();
      await put(changed, 1);
      between.open();
      expect(await run(first)).toEqual([undefined]);
      expect(await run(cached())).not.toEqual([undefined]);
      expect(read.runs).toBe(2);
    }
  });
});

describe("results of results that read objects", () => {
  test("are stale with them, also when the inner ones were hits", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    await put("b", 1);
    const inner = cache.cacheable((key: string) => reader.get(key), { name: "inner" });
    const middle = counted(async () => [await inner("a")]);
    const outer = counted(async () => [await cachedMiddle(), await inner("b")]);
    const cachedMiddle = cache.cacheable(middle, { name: "middle" });
    const cachedOuter = cache.cacheable(outer, { name: "outer" });
    await run(inner("a"));
    await run(cachedMiddle());
    expect(await run(cachedOuter())).toEqual([[1], 1]);
    await put("b", 2);
    expect(await run(cachedOuter())).toEqual([[1], 2]);
    expect([middle.runs, outer.runs]).toEqual([1, 2]);
    await put("a", 2);
    expect(await run(cachedOuter())).toEqual([[2], 2]);
    expect([middle.runs, outer.runs]).toEqual([2, 3]);
  });

  test("are stale with them when neither is asynchronous, and when the inner one failed", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    await run(reader.get("a"));
    const failing = new Error("no");
    for (const fails of [false, true]) {
      let runs = 0;
      const inner = cache.cacheable(
        () => {
          void reader.get("a");
          if (fails) throw failing;
        },
        { name: `inner ${fails}` },
      );
      const outer = cache.cacheable(
        () => {
          runs++;
          try {
            inner();
          } catch (error) {
            expect(error).toBe(failing);
          }
          return runs;
        },
        { name: `outer ${fails}` },
      );
      expect([outer(), outer()]).toEqual([1, 1]);
      await put("b", 1);
      expect(outer()).toBe(1);
      await put("a", 2);
      expect(outer()).toBe(2);
      await run(reader.get("a"));
    }
  });

  test("are kept though the nested result was read long before", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    const inner = cache.cacheable((key: string) => reader.get(key), { name: "inner" });
    await run(inner("a"));
    await put("b", 1);
    await put("b", 2);
    const outer = counted(async () => [await inner("a"), await reader.get("b")]);
    const cached = cache.cacheable(outer, { name: "outer" });
    expect(await run(cached())).toEqual([1, 2]);
    expect(await run(cached())).toEqual([1, 2]);
    expect(outer.runs).toBe(1);
  });

  test("are stale with them when they joined a flight of the inner ones", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    const ready = gate();
    const inner = cache.cacheable(() => ready.promise.then(() => reader.get("a")), { name: "inner" });
    const outer = cache.cacheable(async () => [await inner()], { name: "outer" });
    const leader = inner();
    const joined = outer();
    ready.open();
    expect(await run(Promise.all([leader, joined]))).toEqual([1, [1]]);
    await put("a", 2);
    expect(await run(outer())).toEqual([2]);
  });

  test("of another cache are stale with them: when computed in it, on hits, and on joined flights", async () => {
    const { cache, openCache, reader, run, put } = await objectWorld();
    const second = await openCache();
    await put("a", 1);
    let ready = gate();
    const inner = second.cacheable(() => ready.promise.then(() => reader.get("a")), { name: "inner" });
    const outer = cache.cacheable(async (_how: string) => [await inner()], { name: "outer" });
    ready.open();
    expect(await run(outer("computed"))).toEqual([1]);
    expect(await run(outer("hit"))).toEqual([1]);
    await put("a", 2);
    ready = gate();
    const leader = inner();
    const joined = outer("joined");
    ready.open();
    expect(await run(Promise.all([leader, joined]))).toEqual([2, [2]]);
    await put("a", 3);
    expect(await run(Promise.all(["computed", "hit", "joined"].map((how) => outer(how))))).toEqual([[3], [3], [3]]);
  });
});

describe("a result of another cache that stands in for a failure", () => {
  test.each(["asynchronous", "synchronous"])("is not part of a kept result, since its reads are unknown: %s", async (how) => {
    const { cache, openCache, reader, run, put } = await objectWorld();
    const second = await openCache();
    await put("a", 1);
    await run(reader.get("a"));
    let fails = false;
    const failing = () => {
      if (fails) throw new Error("no");
      return reader.get("a");
    };
    const inner =
      how === "asynchronous"
        ? second.cacheable(async () => failing(), { name: "inner", staleIfError: "1m" })
        : second.cacheable(
            () => {
              void failing();
              return 1;
            },
            { name: "inner", staleIfError: "1m" },
          );
    const outer = cache.cacheable(async () => [await inner()], { name: "outer" });
    expect(await run(outer())).toEqual([1]);
    await put("a", 2);
    fails = true;
    expect(await run(outer())).toEqual([1]);
    expect(cache.stats().entries).toBe(0);
  });
});

test("once all computations have ended, reads skip the search for their computation", async () => {
  const { cache, reader, run } = await objectWorld();
  const held = gate();
  const failing = (): never => {
    throw new Error("no");
  };
  const [sync, throwing] = [cache.cacheable(() => 1, { name: "sync" }), cache.cacheable(failing, { name: "throwing" })];
  const rejecting = cache.cacheable(async () => failing(), { name: "rejecting" });
  const slow = cache.cacheable(() => held.promise.then(() => reader.get("a")), { name: "slow" });
  expect(sync()).toBe(1);
  expect(throwing).toThrow("no");
  await expect(rejecting()).rejects.toThrow("no");
  expect(isAnythingComputing()).toBe(false);
  const computing = slow();
  expect(isAnythingComputing()).toBe(true);
  held.open();
  await run(computing);
  expect(isAnythingComputing()).toBe(false);
});

describe("a commit while a result is computed", () => {
  test("of an object it read: the result is given, and not kept", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    const held = gate();
    const read = counted(async () => {
      const value = await reader.get("a");
      await held.promise;
      return value;
    });
    const cached = cache.cacheable(read, { name: "slow" });
    const first = cached();
    await put("a", 2);
    held.open();
    expect(await run(first)).toBe(1);
    expect(cache.stats().entries).toBe(0);
    expect(await run(cached())).toBe(2);
  });

  test("while the load is in flight: the result is given, and not kept", async () => {
    const { cache, open, clock, run, writer } = await objectWorld();
    await run(writer.put("a", 1));
    const { client, transport } = await open("slow");
    const cached = cache.cacheable(() => client.get("a"), { name: "slow" });
    const answer = gate();
    transport.heldAnswers.set("load", answer.promise);
    const first = cached();
    await clock.advance(0);
    const tid = await run(writer.put("a", 2));
    while (client.position.tid < tid) await clock.advance(1);
    answer.open();
    transport.heldAnswers.clear();
    expect(await run(first)).toBe(1);
    expect(await run(cached())).toBe(2);
  });

  test("of an object it has not read yet: the result is kept", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    const held = gate();
    const read = counted(async () => {
      await held.promise;
      return reader.get("a");
    });
    const cached = cache.cacheable(read, { name: "slow" });
    const first = cached();
    await put("a", 2);
    held.open();
    expect(await run(first)).toBe(2);
    expect(await run(cached())).toBe(2);
    expect(read.runs).toBe(1);
  });

  test("gives later calls one new computation, and earlier calls the older result", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    const held = gate();
    const read = counted(async () => {
      const value = await reader.get("a");
      await held.promise;
      return value;
    });
    const cached = cache.cacheable(read, { name: "slow" });
    const early = [cached(), cached()];
    await put("a", 2);
    const late = [cached(), cached()];
    held.open();
    expect(await run(Promise.all(early))).toEqual([1, 1]);
    expect(await run(Promise.all(late))).toEqual([2, 2]);
    expect(read.runs).toBe(2);
  });

  test("of an unrelated object gives later calls the same result", async () => {
    const { cache, reader, run, put } = await objectWorld();
    await put("a", 1);
    const held = gate();
    const read = counted(async () => {
      const value = await reader.get("a");
      await held.promise;
      return value;
    });
    const cached = cache.cacheable(read, { name: "slow" });
    const early = cached();
    await put("b", 2);
    const late = cached();
    held.open();
    expect(await run(Promise.all([early, late]))).toEqual([1, 1]);
    expect(read.runs).toBe(1);
  });
});
