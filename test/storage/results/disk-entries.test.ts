import { describe, expect, test } from "vitest";
import { DiskEntryStore, type DiskEntryStoreOptions } from "../../../storage/results/disk-entries.js";
import type { PersistentEntryStore } from "../../../storage/results/entry-store.js";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import {
  asTag,
  InUseError,
  InvalidValueError,
  limits,
  rootTag,
  silentLog,
  StoreError,
  systemClock,
  WriteInDoubtError,
} from "../../../core/index.js";
import { keptLog } from "../../suites/client-cache.js";
import { entryStoreSuite, tags } from "../../suites/entry-store.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const makeFolder = temporaryFolders();
const start = { epoch: "e1", sequence: 10, time: 1_000 };
const at = (sequence: number) => ({ sequence, time: 1_000 + sequence });

function openTier(options: Partial<DiskEntryStoreOptions> & Pick<DiskEntryStoreOptions, "open">): Promise<DiskEntryStore> {
  return DiskEntryStore.open({ name: "test", countedBy: "bus", clock: new SimulatedClock(), log: silentLog, ...options });
}

async function openFresh(options: Partial<DiskEntryStoreOptions> & Pick<DiskEntryStoreOptions, "open">): Promise<DiskEntryStore> {
  const store = await openTier(options);
  store.reset(start);
  return store;
}

const put = (
  store: PersistentEntryStore,
  key: string,
  value: unknown,
  how: { ttlMs?: number; slides?: boolean; tags?: readonly string[] } = {},
) => store.put(key, value, { began: store.begin(), ...how, tags: tags(...(how.tags ?? [])) });
const value = (store: PersistentEntryStore, key: string) => store.get(key)?.value;

for (const [name, makeOpen] of [
  [
    "in LMDB",
    async () =>
      (
        (folder) => () =>
          openLmdbStore({ folder })
      )(await makeFolder()),
  ],
  [
    "in LMDB without syncs",
    async () =>
      (
        (folder) => () =>
          openLmdbStore({ folder, durable: false, bootId: "boot" })
      )(await makeFolder()),
  ],
  ["on a disk in memory", () => Promise.resolve(new MemoryDisk("disk").open)],
] as const) {
  entryStoreSuite(name, async (options) => {
    const clock = new SimulatedClock();
    const store = await openFresh({ open: await makeOpen(), clock, ...options });
    return {
      store,
      clock,
      invalidate: (tag) => {
        store.apply(tag, at(store.begin().sequence + 1));
      },
    };
  });
}

describe("a tier that is opened again", () => {
  test("has the same entries, position and versions", async () => {
    const { open } = new MemoryDisk("disk");
    let store = await openFresh({ open });
    put(store, "a", { n: 1 }, { tags: ["x:y"] });
    put(store, "b", undefined);
    put(store, "gone", 1, { tags: ["z:1"] });
    const crossed = store.begin();
    store.apply(asTag("z"), at(12));
    store.advance(at(15));
    await store.close();
    store = await openTier({ open });
    expect(store.position).toEqual({ epoch: "e1", sequence: 15, time: 1_015 });
    expect(store.get("a")).toMatchObject({ value: { n: 1 }, tags: ["x:y"] });
    expect(store.get("b")).toHaveProperty("value", undefined);
    expect(store.get("gone")).toBeUndefined();
    expect(store.put("late", 1, { tags: tags("z:2"), began: crossed }), "its computation began before the restart").toBeUndefined();
    await store.close();
  });

  test("expires entries by the wall clock; when that was put back, no entry lives longer than its time to live", async () => {
    const { open } = new MemoryDisk("disk");
    const clock = new SimulatedClock();
    const store = await openFresh({ open, clock });
    put(store, "k", 1, { ttlMs: 10_000 });
    put(store, "for ever", 1);
    await clock.advance(2_000);
    await store.close();
    for (const [wallMs, liveMs] of [
      [clock.now() + 3_000, 5_000],
      [clock.now() - 3_600_000, 10_000],
    ] as const) {
      const anew = new SimulatedClock({ startMs: wallMs });
      const again = await openTier({ open, clock: anew });
      await anew.advance(liveMs - 100);
      expect(value(again, "k")).toBe(1);
      await again.flush();
      await anew.advance(200);
      // `get` is not used here, because it would remove the entry.
      expect((again.get("for ever")?.expiresMs ?? 0) > liveMs).toBe(true);
      const { removed } = again.sweep(0);
      expect(removed).toBe(1);
      if (wallMs > clock.now()) put(again, "k", 1, { ttlMs: 10_000 });
      await again.close();
    }
    const late = await openTier({ open, clock: new SimulatedClock({ startMs: clock.now() + 3_600_000 }) });
    expect(value(late, "k")).toBeUndefined();
    expect(value(late, "for ever")).toBe(1);
    await late.close();
  });

  test("evicts the least recently used entries first, by their uses before it was closed", async () => {
    const { open } = new MemoryDisk("disk");
    const clock = new SimulatedClock();
    let store = await openFresh({ open, clock });
    for (const key of ["a", "b", "c", "d"]) {
      put(store, key, key);
      await clock.advance(100);
    }
    store.get("a");
    await clock.advance(100);
    store.get("c");
    await store.close();
    store = await openTier({ open, clock, entriesMax: 2 });
    expect([...store.keys()].sort()).toEqual(["a", "c"]);
    await store.close();
    store = await openTier({ open, clock });
    expect([...store.keys()].sort(), "the others were removed from the disk too").toEqual(["a", "c"]);
    await store.close();
  });

  test("has the uses and slides that are written once per interval, and a kill loses no more", async () => {
    const disk = new MemoryDisk("disk");
    const clock = new SimulatedClock();
    let store = await openFresh({ open: disk.open, clock, lruUpdateIntervalMs: 5_000, slideFlushMs: 2_000 });
    put(store, "slides", 1, { ttlMs: 10_000, slides: true });
    put(store, "stays", 1);
    await clock.advance(1_000);
    store.get("slides");
    await store.flush();
    for (const [advanceMs, isThere] of [
      [9_500, false],
      [1_500, true],
    ] as const) {
      if (isThere) {
        await clock.advance(advanceMs);
        store.touch("slides");
        await store.flush();
      }
      const copy = await openTier({ open: disk.copy("copy").open, clock: new SimulatedClock({ startMs: clock.now() + 9_500 }) });
      expect(copy.get("slides") !== undefined).toBe(isThere);
      await copy.close();
    }
    await clock.advance(5_000);
    store.get("stays");
    await store.flush();
    disk.crash();
    store = await openTier({ open: disk.open, clock, entriesMax: 1 });
    expect([...store.keys()]).toEqual(["stays"]);
  });

  test("has its queued invalidations, which count until they have a sequence, and then by the sequence", async () => {
    const disk = new MemoryDisk("disk");
    let store = await openFresh({ open: disk.open });
    put(store, "k", 1, { tags: ["a:b"] });
    put(store, "other", 1, { tags: ["b"] });
    store.queue({ id: "i1", tag: asTag("a") });
    store.queue({ id: "i2", tag: rootTag });
    store.settle("i2", 0);
    store.queue({ id: "i3", tag: asTag("a:b") });
    store.queue({ id: "i3", tag: asTag("a:b") });
    expect(put(store, "k", 2, { tags: ["a:b:c"] })).toBeUndefined();
    await store.flush();
    disk.crash();
    store = await openTier({ open: disk.open });
    expect(store.queued()).toEqual([
      { id: "i1", tag: "a" },
      { id: "i3", tag: "a:b" },
    ]);
    expect(value(store, "k")).toBeUndefined();
    const began = store.begin();
    store.settle("i3", 20);
    expect(store.put("k", 3, { tags: tags("a:b"), began })).toBeUndefined();
    store.settle("i1", 21);
    store.settle("unknown", 22);
    expect(store.put("k", 3, { tags: tags("a:b"), began }), "began before its sequence").toBeUndefined();
    store.advance(at(21));
    expect(put(store, "k", 4, { tags: ["a:b"] })).toBeDefined();
    expect(store.queued()).toEqual([]);
    expect(value(store, "other")).toBe(1);
    await store.close();
    store = await openTier({ open: disk.open });
    expect([store.queued(), value(store, "k")]).toEqual([[], 4]);
    await store.close();
  });
});

test("an invalidation that got its sequence in another epoch leaves no entry under its tag, even before the reset", async () => {
  const store = await openFresh({ open: new MemoryDisk("disk").open });
  put(store, "k", 1, { tags: ["a:b"] });
  put(store, "other", 1, { tags: ["b"] });
  store.queue({ id: "i", tag: asTag("a") });
  store.settle("i", undefined);
  expect([value(store, "k"), value(store, "other")]).toEqual([undefined, 1]);
  expect(put(store, "k", 2, { tags: ["a:b"] })).toBeUndefined();
  store.reset({ epoch: "e2", ...at(1) });
  expect(put(store, "k", 3, { tags: ["a:b"] })).toBeDefined();
  await store.close();
});

describe("versions", () => {
  test("beyond tagVersionsMax leave a floor: older entries are stale with any tags, younger ones are judged exactly", async () => {
    const { open } = new MemoryDisk("disk");
    let store = await openFresh({ open, tagVersionsMax: 100 });
    put(store, "old", 1, { tags: ["untouched"] });
    const crossed = store.begin();
    for (let n = 1; n <= 150; n++) store.apply(asTag(`t${n}`), at(10 + n));
    expect(value(store, "old")).toBeUndefined();
    expect(store.put("k", 1, { tags: tags("t1"), began: crossed })).toBeUndefined();
    const exact = { epoch: "e1", sequence: 140 };
    store.put("good", 1, { tags: tags("t100"), began: exact });
    expect(store.put("bad", 1, { tags: tags("t140"), began: exact })).toBeUndefined();
    await store.close();
    store = await openTier({ open, tagVersionsMax: 100 });
    expect(value(store, "good")).toBe(1);
    expect(store.put("k", 1, { tags: tags("untouched"), began: crossed })).toBeUndefined();
    expect(store.put("bad", 1, { tags: tags("t140"), began: exact })).toBeUndefined();
    await store.close();
  });

  test("of a replay that begins below the position revert nothing", async () => {
    const store = await openFresh({ open: new MemoryDisk("disk").open });
    store.apply(asTag("a"), at(20));
    store.apply(asTag("a"), at(12));
    store.apply(asTag("b"), at(15));
    expect(store.position?.sequence).toBe(20);
    expect(store.put("k", 1, { tags: tags("a"), began: { epoch: "e1", sequence: 15 } })).toBeUndefined();
    expect(store.put("k", 1, { tags: tags("b"), began: { epoch: "e1", sequence: 15 } })).toBeDefined();
    await store.close();
  });

  test("of another epoch count anew, no earlier entry is kept, and no result that began earlier is accepted", async () => {
    const { open } = new MemoryDisk("disk");
    let store = await openFresh({ open });
    put(store, "k", 1);
    store.apply(asTag("a"), at(500));
    const before = store.begin();
    store.reset({ epoch: "e2", ...at(3) });
    expect(store.stats().entries).toBe(0);
    expect(store.put("late", 1, { tags: [], began: before })).toBeUndefined();
    put(store, "k2", 2, { tags: ["a"] });
    await store.close();
    store = await openTier({ open });
    expect(store.position).toEqual({ epoch: "e2", ...at(3) });
    expect([...store.keys()]).toEqual(["k2"]);
    expect(value(store, "k2")).toBe(2);
    await store.close();
  });
});

test("an entry is left out, and its predecessor removed, when too many bytes wait to be written; versions never are", async () => {
  const disk = new MemoryDisk("disk");
  const clock = new SimulatedClock();
  const store = await openFresh({ open: disk.open, clock });
  put(store, "k", "before");
  await store.flush();
  const big = "x".repeat(1_000_000);
  const count = Math.floor(limits.cachePendingBytesMax / 1_000_000);
  for (let n = 0; n < count; n++) expect(put(store, `big${n}`, big)).toBeDefined();
  expect(put(store, "k", big)).toBeUndefined();
  expect(store.get("k")).toBeUndefined();
  store.apply(asTag("a"), at(11));
  await store.flush();
  expect(put(store, "k", big)).toBeDefined();
  await store.close();
  const again = await openTier({ open: disk.open });
  expect(again.stats().entries).toBe(count + 1);
  expect(again.position?.sequence).toBe(11);
  await again.close();
});

test("an entry that is removed in any way leaves nothing on the disk", async () => {
  const disk = new MemoryDisk("disk");
  const clock = new SimulatedClock();
  const store = await openFresh({ open: disk.open, clock, entriesMax: 6 });
  const later: (() => void)[] = [
    () => store.delete("k0"),
    () => {
      store.apply(asTag("t:k1"), at(11));
    },
    () => put(store, "k2", "again"),
    () => put(store, "new", 1),
  ];
  for (let n = 0; n < 6; n++) put(store, `k${n}`, n, { tags: [`t:k${n}`], ...(n === 3 ? { ttlMs: 100 } : {}) });
  for (const each of later) {
    await store.flush();
    each();
    await clock.advance(200);
    store.sweep(1_000);
  }
  put(store, "not yet written", 1);
  store.delete("not yet written");
  const left = [...store.keys()].sort();
  expect(left).toEqual(["k2", "k4", "k5", "new"]);
  await store.close();
  const raw = await disk.open();
  for (const prefix of [1, 2]) {
    const range = { from: Uint8Array.of(prefix), to: Uint8Array.of(prefix + 1) };
    // The key after kind and generation.
    expect(raw.read((view) => Array.from(view.range(range), ([key]) => Buffer.from(key).toString("utf8", 8)))).toEqual(left);
  }
  await raw.close();
});

test("a value that cannot be stored is refused with the path of the bad part", async () => {
  const store = await openFresh({ open: new MemoryDisk("disk").open });
  expect(() => put(store, "k", { a: [new URL("http://a")] })).toThrow(InvalidValueError);
  await store.close();
});

test("a folder of a cache with another name, or with other data, is refused and left unchanged", async () => {
  const { open } = new MemoryDisk("disk");
  await (await openFresh({ open })).close();
  await expect(openTier({ open, name: "other" })).rejects.toThrow(StoreError);
  const other = new MemoryDisk("other");
  const raw = await other.open();
  await raw.batch([{ key: Buffer.from("k"), value: Buffer.from("v") }]);
  await raw.close();
  await expect(openTier({ open: other.open })).rejects.toThrow(/something other than cached results/);
  const store = await openTier({ open });
  await expect(openTier({ open })).rejects.toThrow(InUseError);
  await store.close();
});

test("an incomplete record of an entry removes that entry, one of a version removes all entries", async () => {
  const { lines, log } = keptLog();
  for (const [prefix, left] of [
    ["\u0001", 2],
    ["\u0002", 2],
    ["\u0003", 0],
    ["\u0000", 0],
  ] as const) {
    const disk = new MemoryDisk("disk");
    const store = await openFresh({ open: disk.open, log });
    for (const key of ["a", "b", "c"]) put(store, key, key.repeat(50));
    store.apply(asTag("t"), at(11));
    store.queue({ id: "i", tag: asTag("q") });
    await store.close();
    const raw = await disk.open();
    const [first = expect.fail("a record exists")] = raw.read((view) => [
      ...view.range({ from: Buffer.from(prefix), to: Buffer.from(`${prefix}\u00ff`) }),
    ]);
    await raw.batch([{ key: first[0], value: Buffer.from("\u00c1") }]);
    await raw.close();
    lines.length = 0;
    const again = await openTier({ open: disk.open, log });
    expect([..."abc"].filter((key) => value(again, key) === key.repeat(50))).toHaveLength(left);
    expect(lines).toHaveLength(1);
    // A tier in an unknown format loses its queued invalidations too.
    expect(again.queued()).toHaveLength(prefix === "\u0000" ? 0 : 1);
    await again.close();
    lines.length = 0;
    await (await openTier({ open: disk.open, log })).close();
    expect(lines, "the tier was repaired").toEqual([]);
  }
});

test("after a batch in doubt nothing more is returned or kept, the disk is marked as discarded, and the next opening begins anew", async () => {
  const { lines, log } = keptLog();
  let fails = false;
  const disk = new MemoryDisk("disk", (apply) => {
    if (fails) {
      fails = false;
      return Promise.reject(new Error("no room"));
    }
    apply();
    return Promise.resolve();
  });
  const store = await openFresh({ open: disk.open, log });
  put(store, "k", 1);
  store.queue({ id: "i", tag: asTag("q") });
  await store.flush();
  fails = true;
  put(store, "k2", 2);
  await store.flush();
  expect(["k", "k2"].map((key) => store.get(key))).toEqual([undefined, undefined]);
  expect(put(store, "k", 3)).toBeUndefined();
  store.apply(asTag("a"), at(20));
  await store.flush();
  expect(lines).toEqual(["cached results on disk cannot be used any more"]);
  lines.length = 0;
  await (await openTier({ open: disk.copy("as it is when flush resolves").open, log })).close();
  expect(lines).toEqual(["cached results discarded at opening"]);
  lines.length = 0;
  await store.close();
  expect(lines).toEqual([]);
  const again = await openTier({ open: disk.open, log });
  expect(again.stats().entries).toBe(0);
  expect(again.position).toBeUndefined();
  expect(again.queued(), "a promised invalidation is still published").toEqual([{ id: "i", tag: "q" }]);
  await again.close();
});

test("a disk that accepts not even the mark is emptied; when that fails too, flush rejects", async () => {
  for (const [isRemovable, rejection] of [
    [true, undefined],
    [false, WriteInDoubtError],
  ] as const) {
    const { lines, log } = keptLog();
    let fails = false;
    const disk = new MemoryDisk("disk", (apply) => {
      if (fails) return Promise.reject(new Error("no room"));
      apply();
      return Promise.resolve();
    });
    let removed = 0;
    const remove = async () => {
      removed++;
      if (!isRemovable) throw new Error("nor that");
    };
    const store = await openFresh({ open: disk.open, log, remove });
    put(store, "k", 1);
    await store.flush();
    fails = true;
    store.apply(asTag("a"), at(20));
    const flushed = await store.flush().catch((error: unknown) => error);
    if (rejection === undefined) expect(flushed).toBeUndefined();
    else expect(flushed).toBeInstanceOf(rejection);
    expect(removed).toBe(1);
    expect(lines).toHaveLength(isRemovable ? 1 : 2);
    await store.close();
  }
});

test("clear and another epoch forget all entries at once; their records on disk are removed step by step, also after a kill", async () => {
  const disk = new MemoryDisk("disk");
  const clock = new SimulatedClock();
  let store = await openFresh({ open: disk.open, clock });
  const records = async () => {
    const raw = await disk.copy("copy").open();
    const count = raw.read((view) => [...view.range({ from: Uint8Array.of(1), to: Uint8Array.of(5) })].length);
    await raw.close();
    return count;
  };
  const fill = () => {
    for (let n = 0; n < 3_000; n++) put(store, `k${n}`, n);
    for (let n = 0; n < 2_000; n++) store.apply(asTag(`t:n${n}`), at(start.sequence + 1 + n));
  };
  fill();
  await store.flush();
  expect(await records()).toBe(8_000);
  store.clear();
  put(store, "new", 1);
  store.reset({ epoch: "e2", ...at(5) });
  put(store, "newer", 1);
  store.apply(asTag("t"), at(6));
  await store.flush();
  const afterOneBatch = await records();
  expect(afterOneBatch).toBeGreaterThan(6_000);
  disk.crash();

  store = await openTier({ open: disk.open, clock });
  expect([[...store.keys()], store.position?.epoch]).toEqual([["newer"], "e2"]);
  expect(store.put("late", 1, { tags: tags("t:n1"), began: { epoch: "e2", sequence: 5 } })).toBeUndefined();
  await clock.advance(1_000);
  expect(await records(), "an entry, its value, and the version of t").toBe(3);
  // The most records: all entries and versions at once.
  fill();
  await store.flush();
  store.apply(rootTag, at(1_000_000));
  await clock.advance(1_000);
  expect(store.sweep(1_000).removed).toBe(3_001);
  await store.flush();
  expect(await records()).toBe(0);
  await store.close();
});

test("a large tier is opened in steps between which other work runs, and is then unchanged", async () => {
  const disk = new MemoryDisk("disk");
  const clock = new SimulatedClock();
  const count = 20_000;
  let store = await openFresh({ open: disk.open, clock });
  for (let n = 0; n < count; n++) {
    put(store, `k${n}`, n, { tags: [`t:n${n}`] });
    if (n % 2 === 0) store.apply(asTag(`other:n${n}`), at(start.sequence + 1 + n));
    if (n % 1_000 === 0) await clock.advance(100);
  }
  store.get("k0");
  await store.close();

  let nowMs = 0;
  let rests = 0;
  let read = 0;
  let readAtOnce = 0;
  const rested = () => {
    readAtOnce = Math.max(readAtOnce, read);
    read = 0;
  };
  store = await openTier({
    entriesMax: count / 2,
    // Each reading of the clock takes a millisecond.
    clock: {
      ...systemClock,
      now: () => clock.now(),
      monotonic: () => nowMs++,
      setTimeout: (action, delayMs) => {
        if (delayMs > 0) return systemClock.setTimeout(action, delayMs);
        rests++;
        rested();
        return setImmediate(action);
      },
    },
    open: async () => {
      const raw = await disk.open();
      return {
        path: raw.path,
        batch: (changes, options) => raw.batch(changes, options),
        close: () => raw.close(),
        read: (use) =>
          raw.read((view) =>
            use({
              get: (key) => view.get(key),
              range: function* (range) {
                for (const record of view.range(range)) {
                  read++;
                  yield record;
                }
              },
            }),
          ),
      };
    },
  });
  rested();
  expect(rests).toBeGreaterThan(10);
  expect(readAtOnce).toBeLessThan(count / 5);
  expect(store.stats().entries).toBe(count / 2);
  expect(["k0", "k1", `k${count - 1}`].map((key) => value(store, key))).toEqual([0, undefined, count - 1]);
  await store.close();
});

test("a tier in LMDB has the entries of an earlier process of the same start of the system", async () => {
  const folder = await makeFolder();
  const open = () => openLmdbStore({ folder, durable: false, bootId: "boot" });
  let store = await openFresh({ open, clock: systemClock });
  for (let n = 0; n < 2_000; n++) put(store, `k${n}`, { n }, { tags: [`t:n${n}`] });
  await store.close();
  store = await openTier({ open, clock: systemClock });
  expect(store.stats().entries).toBe(2_000);
  expect(value(store, "k1234")).toEqual({ n: 1234 });
  store.apply(asTag("t"), at(11));
  expect(value(store, "k1234")).toBeUndefined();
  await store.close();
});
