import { describe, expect, test, vi } from "vitest";
import { ObjectReads } from "../../../storage/client-cache/object-reads.js";
import { objectChanges, type ObjectRead, staleRead } from "../../../core/object-read.js";
import type { ClientCache } from "../../../storage/client-cache/client-cache.js";
import { limits, type Tid } from "../../../core/index.js";
import { apply, at, openCache, tid } from "../../suites/client-cache.js";

const never = () => false;

const now = 100 as Tid;

function held(read: ObjectRead): ObjectRead {
  read.hold();
  return read;
}

describe("the reads of a storage", () => {
  test("share one object for all reads of a key until the key is touched; the next read gets a new one", () => {
    const reads = new ObjectReads();
    const [first, second] = [reads.key("a", now), reads.key("a", 110 as Tid)];
    expect(second).toBe(first);
    expect(first.since).toBe(now);
    const before = objectChanges.count;
    reads.touch(["b", "aa", ""]);
    expect([first.isStale, objectChanges.count]).toEqual([false, before]);
    reads.touch(["b", "a"]);
    expect([first.isStale, objectChanges.count]).toEqual([true, before + 1]);
    const third = reads.key("a", 120 as Tid);
    expect(third).not.toBe(first);
    expect([third.isStale, third.since]).toEqual([false, 120]);
  });

  test("distinguish a key from a prefix with the same text", () => {
    const reads = new ObjectReads();
    const [key, prefix] = [reads.key("a", now), reads.prefix("a", now)];
    reads.touch(["ab"]);
    expect([key.isStale, prefix.isStale]).toEqual([false, true]);
  });

  test("become stale for every prefix that a touched key begins with, also when several have the same length", () => {
    const reads = new ObjectReads();
    const prefixes = ["", "a", "b", "ab", "abc"].map((prefix) => reads.prefix(prefix, now));
    reads.touch(["ab"]);
    expect(prefixes.map(({ isStale }) => isStale)).toEqual([true, true, false, true, false]);
    reads.touch(["b"]);
    reads.touch(["abcd"]);
    expect(prefixes.map(({ isStale }) => isStale)).toEqual([true, true, true, true, true]);
    expect(reads.size).toBe(0);
  });

  test("cost a commit one look-up for each key and prefix length, for any number of reads", () => {
    const reads = new ObjectReads();
    for (let n = 0; n < 50_000; n++) reads.key(`k${n}`, now);
    for (let n = 0; n < 50_000; n++) reads.prefix(`prefix ${n % 10_000}:`.padEnd(20 + (n % 5)), now);
    const keys = Array.from({ length: 1_000 }, (_, n) => `other ${n}`.padEnd(30));
    const begun = performance.now();
    for (let times = 0; times < 10; times++) reads.touch(keys);
    // 10,000 keys and 5 lengths; a search through all reads would take a minute.
    expect(performance.now() - begun).toBeLessThan(1_000);
  });

  test("are stale from the beginning after close", () => {
    const reads = new ObjectReads();
    const read = held(reads.key("a", now));
    reads.close();
    reads.close();
    expect(read.isStale).toBe(true);
    for (const late of [reads.key("a", now), reads.prefix("a", now), reads.age(1, now, never).read]) expect(late).toBe(staleRead);
    read.release();
    expect(reads.size).toBe(0);
  });

  test("are all stale when any key may have changed, and later reads are not", () => {
    const reads = new ObjectReads();
    const old = [reads.key("a", now), reads.prefix("a", now), reads.age(5, now, never).read];
    reads.touchAll();
    expect(old.every(({ isStale }) => isStale)).toBe(true);
    expect(reads.key("a", now).isStale).toBe(false);
    reads.touch(["b"]);
    expect(reads.prefix("a", now).isStale).toBe(false);
  });
});

describe("a listing at a snapshot before the last transaction", () => {
  const prefixAt = async (between: (cache: ClientCache) => void, isRemembered = true) => {
    const cache = await openCache({ open: undefined });
    apply(cache, 10, "a:1");
    const ticket = isRemembered ? cache.beginLoad(tid(10)) : undefined;
    between(cache);
    return cache.listedAt(cache.reads.prefix("a:", cache.position.tid), tid(10), ticket);
  };

  test("is current when the remembered invalidations since then touched nothing below its prefix", async () => {
    expect(await prefixAt((cache) => apply(cache, 20, "a", "b:1"))).toMatchObject({ isStale: false, since: 10 });
    expect(await prefixAt((cache) => apply(cache, 20, "b", "a:2"))).toBe(staleRead);
    expect(await prefixAt((cache) => apply(cache, 20, "b"), false)).toBe(staleRead);
  });

  test("is stale when too many keys were touched to be remembered", async () => {
    const many = Array.from({ length: limits.rememberedKeysMax }, (_, n) => `b:${n}`);
    const fits = (cache: ClientCache) => apply(cache, 20, ...many);
    expect((await prefixAt(fits)).isStale).toBe(false);
    const doesNot = (cache: ClientCache) => {
      apply(cache, 15, "a:2");
      fits(cache);
    };
    expect(await prefixAt(doesNot)).toBe(staleRead);
  });

  test("is stale when the cache was discarded since then", async () => {
    expect(await prefixAt((cache) => void cache.discard(at(20)))).toBe(staleRead);
  });
});

describe("the bounds of reads", () => {
  test("beyond readsMax, the least recently used read without a holder is dropped", () => {
    const onFull = vi.fn();
    const reads = new ObjectReads({ readsMax: 3, onFull });
    const [a, b] = [held(reads.key("a", now)), reads.key("b", now)];
    const c = reads.prefix("c", now);
    reads.key("b", now);
    const d = reads.key("d", now);
    expect([a, b, c, d].map(({ isStale }) => isStale)).toEqual([false, false, true, false]);
    for (const read of [b, d]) read.hold();
    expect(onFull).not.toHaveBeenCalled();
    expect(reads.key("e", now)).toBe(staleRead);
    expect(reads.prefix("e", now)).toBe(staleRead);
    expect(onFull).toHaveBeenCalledOnce();
    expect(reads.key("b", now)).toBe(b);
    expect(reads.size).toBe(3);
    b.release();
    expect(b.isStale).toBe(false);
    expect(reads.key("e", now).isStale).toBe(false);
    expect(b.isStale).toBe(true);
    held(reads.key("e", now));
    reads.key("f", now);
    expect(onFull).toHaveBeenCalledTimes(2);
  });

  test("above unusedMax, the oldest sixteenth is dropped at once, and a full storage drops a sixteenth of its reads without a holder", () => {
    for (const bounds of [{ unusedMax: 32 }, { readsMax: 32 }]) {
      const reads = new ObjectReads(bounds);
      const all = Array.from({ length: 33 }, (_, n) => reads.key(`k${n}`, now));
      const stale = all.findIndex(({ isStale }) => !isStale);
      expect([stale, all.slice(stale).some(({ isStale }) => isStale), reads.size]).toEqual(
        "unusedMax" in bounds ? [3, false, 30] : [2, false, 31],
      );
    }
  });

  test("at most unusedMax reads without a holder are kept", () => {
    const reads = new ObjectReads({ unusedMax: 2 });
    const [a, b, c] = [held(reads.key("a", now)), reads.key("b", now), reads.key("c", now)];
    a.release();
    expect([a, b, c].map(({ isStale }) => isStale)).toEqual([false, true, false]);
    held(a).hold();
    a.release();
    const d = reads.key("d", now);
    expect([a, c, d].map(({ isStale }) => isStale)).toEqual([false, false, false]);
    expect(reads.size).toBe(3);
  });

  test("a shorter prefix is used when there are too many prefix lengths", () => {
    const reads = new ObjectReads({ prefixLengthsMax: 2 });
    const [long, short] = [reads.prefix("abcd", now), reads.prefix("ab", now)];
    const between = reads.prefix("abc", now);
    expect(between).toBe(short);
    expect(reads.prefix("xyz", now).text).toBe("xy");
    expect(reads.prefix("x", now).text).toBe("");
    reads.touch(["abd"]);
    expect([long, short].map(({ isStale }) => isStale)).toEqual([false, true]);
    reads.touch(["abcd", "xy", ""]);
    expect(reads.size).toBe(0);
    expect(reads.prefix("abc", now).text).toBe("abc");
  });

  test("the number of different ages is bounded", () => {
    const reads = new ObjectReads();
    const ages = Array.from({ length: limits.objectAgesMax }, (_, n) => reads.age(n, now, never));
    expect(ages.every(({ isNew }) => isNew)).toBe(true);
    expect(reads.age(3, now, never)).toEqual({ read: ages[3]?.read, isNew: false });
    expect(reads.age(limits.objectAgesMax, now, never)).toEqual({ read: staleRead, isNew: false });
    reads.end(ages[3]?.read);
    expect(ages[3]?.read.isStale).toBe(true);
    expect(reads.age(limits.objectAgesMax, now, never).isNew).toBe(true);
  });
});
