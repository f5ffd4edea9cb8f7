import { cp } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { bootId } from "../../../storage/kv/boot-id.js";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import type { OrderedStore } from "../../../storage/kv/ordered-store.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { encodeValue, limits, type Log, silentLog, systemClock } from "../../../core/index.js";
import { answer, apply, at, coherenceSuite, give, keptLog, load, openCache, persistenceSuite, tid } from "../../suites/client-cache.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const makeFolder = temporaryFolders();
const inLmdb = async () => {
  const folder = await makeFolder();
  return () => openLmdbStore({ folder, durable: false, bootId: "boot-1" });
};

coherenceSuite("without a disk", async () => ({ open: undefined }));
coherenceSuite("over a disk in memory", async () => ({ open: new MemoryDisk("disk").open }));
coherenceSuite("over a disk in memory, without decoded values", async () => ({ open: new MemoryDisk("disk").open, memoryBytesMax: 0 }));
coherenceSuite("in LMDB", async () => ({ open: await inLmdb() }));
coherenceSuite("in LMDB, without decoded values", async () => ({ open: await inLmdb(), memoryBytesMax: 0 }));
persistenceSuite("on a disk in memory", async () => new MemoryDisk("disk").open);
persistenceSuite("in LMDB", inLmdb);

/** A disk whose batches wait in `air` until the test decides. */
function slowDisk() {
  const air: { land: () => void; fail: () => void }[] = [];
  const disk = new MemoryDisk("slow", (onDisk) => {
    return new Promise((resolve, reject) => {
      const land = () => {
        onDisk();
        resolve();
      };
      air.push({ land, fail: () => reject(new Error("no space left")) });
    });
  });
  const next = async () => {
    for (let turn = 0; air.length === 0 && turn < 100; turn++) await Promise.resolve();
    const batch = air.shift();
    expect(batch, "a batch is in the air").toBeDefined();
    return batch as { land: () => void; fail: () => void };
  };
  return { air, disk, next };
}

async function drained(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
}

describe("writing the client cache", () => {
  test("changes are collected and written together, with one batch in flight", async () => {
    const { air, disk, next } = slowDisk();
    const clock = new SimulatedClock();
    const cache = await openCache({ open: disk.open, clock });
    for (let n = 1; n <= 50; n++) apply(cache, n);
    await drained();
    expect(air).toHaveLength(0);
    await clock.advance(limits.cacheWriteDelayMs);
    expect(air).toHaveLength(1);
    apply(cache, 60, "a");
    await clock.advance(1_000);
    expect(air, "the next batch waits for the one in flight").toHaveLength(1);
    (await next()).land();
    await drained();
    await clock.advance(limits.cacheWriteDelayMs);
    (await next()).land();
    await drained();
    expect(clock.timerCount, "no write is pending").toBe(0);
    cache.kill();
    disk.crash();
    expect((await openCache({ open: disk.open })).position).toEqual(at(60));
  });

  test("A12: a key that is dropped and loaded again while its older revision is being written is never found at the older revision", async () => {
    const { disk, next } = slowDisk();
    const cache = await openCache({ open: disk.open, memoryBytesMax: 0 });
    apply(cache, 10);
    load(cache, 10, "a", { serial: 5, value: "old", asOf: 10 });
    const first = cache.flush();
    const batch = await next();
    apply(cache, 11, "a");
    expect(give(cache, "a", 11)).toBe("unknown");
    load(cache, 11, "a", { serial: 11, value: "new", asOf: 11 });
    batch.land();
    await first;
    expect(give(cache, "a", 11)).toBe("new");
    const second = cache.flush();
    (await next()).land();
    await second;
    expect(give(cache, "a", 11)).toBe("new");
    expect(give(cache, "a", 10)).toBe("unknown");
    cache.kill();
    disk.crash();
    const again = await openCache({ open: disk.open });
    expect(again.position).toEqual(at(11));
    expect(give(again, "a", 11)).toBe("new");
  });

  test("a revision is read from the disk only after it was written", async () => {
    const { disk, next } = slowDisk();
    let reads = 0;
    const open = async (): Promise<OrderedStore> => {
      const store = await disk.open();
      return {
        path: store.path,
        read: (use) => {
          reads++;
          return store.read(use);
        },
        batch: (changes, options) => store.batch(changes, options),
        close: () => store.close(),
      };
    };
    const cache = await openCache({ open, memoryBytesMax: 0 });
    apply(cache, 10);
    load(cache, 10, "a", { serial: 5, value: 1, asOf: 10 });
    reads = 0;
    const flushed = cache.flush();
    const batch = await next();
    expect(give(cache, "a", 10)).toBe(1);
    expect(reads).toBe(0);
    batch.land();
    await flushed;
    expect(give(cache, "a", 10)).toBe(1);
    expect(reads).toBe(1);
  });

  test("after a kill at any moment, the position on disk is not ahead of the invalidations on disk", async () => {
    for (const lands of [false, true]) {
      const { disk, next } = slowDisk();
      const cache = await openCache({ open: disk.open });
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: "old", asOf: 10 });
      const first = cache.flush();
      (await next()).land();
      await first;
      apply(cache, 11, "a");
      void cache.flush();
      const batch = await next();
      apply(cache, 12);
      if (lands) batch.land();
      cache.kill();
      disk.crash();
      const again = await openCache({ open: disk.open });
      expect(again.position).toEqual(at(lands ? 11 : 10));
      expect(give(again, "a", again.position.tid)).toBe(lands ? "unknown" : "old");
      again.kill();
    }
  });

  test("the as-of of a load is written to disk together with its entry", async () => {
    const { disk, next } = slowDisk();
    const cache = await openCache({ open: disk.open });
    apply(cache, 10);
    const ticket = cache.beginLoad(tid(10));
    const flushed = cache.flush();
    const batch = await next();
    answer(cache, ticket, "a", { serial: 5, value: 1, asOf: 30 });
    batch.land();
    await flushed;
    expect((await openCache({ open: disk.copy("first").open })).asOf).toEqual(at(10));
    const second = cache.flush();
    (await next()).land();
    await second;
    const again = await openCache({ open: disk.copy("second").open });
    expect(again.asOf).toEqual(at(30));
    expect(give(again, "a", 10)).toBe(1);
  });

  test("beyond cachePendingBytesMax new entries are not written to disk, but removals and the position are", async () => {
    const { disk, next } = slowDisk();
    const cache = await openCache({ open: disk.open });
    apply(cache, 10);
    load(cache, 10, "a", { serial: 5, value: "old", asOf: 10 });
    const first = cache.flush();
    (await next()).land();
    await first;
    const value = "x".repeat(1024 * 1024);
    for (let n = 0; n < 8; n++) load(cache, 10, `large-${n}`, { serial: 5, value, asOf: 10 });
    expect(cache.stats()).toMatchObject({ entries: 4, memoryEntries: 9 });
    apply(cache, 20, "a");
    load(cache, 20, "a", { serial: 20, value: "new ".repeat(1024 * 1024), asOf: 20 });
    expect(cache.stats().entries).toBe(3);
    const second = cache.flush();
    (await next()).land();
    await second;
    const again = await openCache({ open: disk.copy("copy").open });
    expect(again.position).toEqual(at(20));
    expect(give(again, "a", 20)).toBe("unknown");
    expect(again.stats().entries).toBe(3);
    load(cache, 20, "later", { serial: 5, value: 1, asOf: 20 });
    expect(cache.stats().entries, "room again").toBe(4);
  });

  test("after a failed write the cache logs it once, continues in memory, and never uses the data on disk again", async () => {
    const { disk, next } = slowDisk();
    const { lines, log } = keptLog();
    const cache = await openCache({ open: disk.open, log });
    apply(cache, 10);
    load(cache, 10, "a", { serial: 5, value: 1, asOf: 10 });
    const first = cache.flush();
    (await next()).land();
    await first;
    apply(cache, 20, "b");
    const second = cache.flush();
    (await next()).fail();
    (await next()).land();
    await second;
    expect(lines).toEqual(["cache goes on in memory, its disk cannot be used"]);
    expect(give(cache, "a", 20)).toBe(1);
    apply(cache, 30, "a");
    expect(give(cache, "a", 30)).toBe("unknown");
    load(cache, 30, "a", { serial: 30, value: 2, asOf: 30 });
    expect(give(cache, "a", 30)).toBe(2);
    await cache.flush();
    await cache.close();
    const again = await openCache({ open: disk.open, log });
    expect(lines.slice(1)).toEqual(["cache discarded at opening"]);
    expect(again.isNew).toBe(true);
    expect(give(again, "a", 10)).toBe("unknown");
  });

  test("a cache that is killed while it gives up its disk does not open the disk again", async () => {
    const { air, disk, next } = slowDisk();
    const killing: Log = { ...silentLog, error: () => cache.kill() };
    const cache = await openCache({ open: disk.open, log: killing });
    apply(cache, 10);
    void cache.flush();
    (await next()).fail();
    await drained();
    expect(air).toHaveLength(0);
    await expect(disk.open(), "the disk has no owner").resolves.toBeDefined();
  });

  test("a disk that cannot be marked as discarded is left as it is, and this is logged", async () => {
    const { disk, next } = slowDisk();
    const { lines, log } = keptLog();
    const cache = await openCache({ open: disk.open, log });
    apply(cache, 10);
    const flushed = cache.flush();
    (await next()).fail();
    (await next()).fail();
    await flushed;
    expect(lines).toEqual(["cache goes on in memory, its disk cannot be used", "cache on disk cannot be marked as discarded"]);
    await cache.close();
  });

  test("a cache that was open when the system went down begins anew; one that was closed, or whose process was killed, is used again", async () => {
    for (const [end, boot, isKept] of [
      ["killed", "boot-1", true],
      ["killed", "boot-2", false],
      ["closed", "boot-2", true],
    ] as const) {
      const folder = await makeFolder();
      const cache = await openCache({ open: () => openLmdbStore({ folder, durable: false, bootId: "boot-1" }) });
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: 1, asOf: 10 });
      await cache.flush();
      // A copy of the folder while it is open: its state after a kill of the process.
      const left = await makeFolder();
      await cp(folder, left, { recursive: true });
      await cache.close();
      const found = end === "killed" ? left : folder;
      const again = await openCache({ open: () => openLmdbStore({ folder: found, durable: false, bootId: boot }) });
      expect(again.isNew).toBe(!isKept);
      expect(again.position.tid).toBe(isKept ? 10 : 0);
      expect(give(again, "a", 10)).toBe(isKept ? 1 : "unknown");
      await again.close();
    }
  });

  test("closed revisions are bounded: a revision that does not fit is loaded again", async () => {
    const cache = await openCache({ open: undefined, memoryBytesMax: limits.messageBytesMax });
    const value = encodeValue("x".repeat(4 * 1024 * 1024));
    apply(cache, 10);
    cache.openSnapshot(tid(10));
    for (let n = 0; n < 6; n++) {
      const ticket = cache.beginLoad(tid(10));
      cache.admit(ticket, `large-${n}`, { serial: tid(5), value, next: tid(9 + 2) }, at(11));
      cache.endLoad(ticket);
      if (cache.position.tid === 10) apply(cache, 11, `large-${n}`);
    }
    expect(cache.stats().closedRevisions).toBe(3);
    expect(give(cache, "large-0", 10)).toHaveLength(4 * 1024 * 1024);
    expect(give(cache, "large-5", 10)).toBe("unknown");
    cache.closeSnapshot(tid(10));
    expect(cache.stats().closedRevisions).toBe(0);
  });
});

test("the boot id is the same within one start of the system", () => {
  expect(bootId(systemClock)).toBe(bootId(systemClock));
  expect(bootId(systemClock)).not.toBe("");
});
