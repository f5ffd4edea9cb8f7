import { describe, expect, test } from "vitest";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { ObjectStore } from "../../../storage/objects/object-store.js";
import type { CommitRequest } from "../../../core/transaction.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { BehindError, ClosedError, silentLog, type Tid, WriteInDoubtError } from "../../../core/index.js";

/** Fate of one batch on the disk, which the test chooses. */
type Fate = "written" | "lost, in doubt" | "written, in doubt";

function setup() {
  const fates: Fate[] = [];
  /** Called when a batch is on the disk and its writer does not know yet. */
  const watchers: (() => void)[] = [];
  const disk = new MemoryDisk("disk", async (apply) => {
    const fate = fates.shift() ?? "written";
    if (fate !== "lost, in doubt") apply();
    for (const watch of watchers.splice(0)) watch();
    if (fate !== "written") throw new Error("the disk failed");
  });
  const open = () => ObjectStore.open(disk.open, { storage: "main", log: silentLog, clock: new SimulatedClock(), snapshotRetentionMs: 0 });
  return { disk, fates, watchers, open };
}

function request(store: ObjectStore, id: string, key: string): CommitRequest {
  const writes = [{ key, value: Buffer.from(id) }];
  return { id, snapshot: store.position.tid, serializable: true, reads: [], ranges: [], writes };
}

async function commit(store: ObjectStore, id: string, key = "a"): Promise<void> {
  const batch = store.openBatch();
  batch.validate(request(store, id, key));
  batch.addTransaction(request(store, id, key), 1_000);
  await batch.write({ alone: true });
}

describe("a write in doubt", () => {
  for (const fate of ["lost, in doubt", "written, in doubt"] as const) {
    test(`that was ${fate}: nothing changes and nothing can be read until the store is reopened; then the state on disk holds`, async () => {
      const { fates, open } = setup();
      const store = await open();
      await commit(store, "first");
      const before = store.position;
      fates.push(fate);
      await expect(commit(store, "second")).rejects.toThrow(WriteInDoubtError);

      expect(store.position).toEqual(before);
      expect(store.outcome("second")).toBeUndefined();
      expect(() => store.openBatch()).toThrow(WriteInDoubtError);
      expect(() => store.load("a", before.tid)).toThrow(WriteInDoubtError);
      await expect(store.pruneStep(5, new SimulatedClock())).rejects.toThrow(WriteInDoubtError);

      const isThere = fate === "written, in doubt";
      const position = await store.reopen();
      expect(position).toEqual(store.position);
      expect(position.tid > before.tid).toBe(isThere);
      expect(store.outcome("first")?.type).toBe("committed");
      expect(store.outcome("second")?.type).toBe(isThere ? "committed" : undefined);
      expect(store.transactionsAfter(before.tid, 10, 10)).toMatchObject({ transactions: isThere ? [{ id: "second" }] : [], whole: true });
      expect(String(store.load("a", position.tid).value && Buffer.from(store.load("a", position.tid).value ?? []))).toBe(
        isThere ? "second" : "first",
      );
      await commit(store, "third");
      expect(store.outcome("third")?.type).toBe("committed");
      await store.close();
    });

    test(`of the floor, ${fate}: after reopening it is the one on disk, and pruning removes no more than it allows`, async () => {
      const { fates, open } = setup();
      const store = await open();
      const tids: Tid[] = [];
      for (const id of ["1", "2", "3"]) {
        await commit(store, id);
        tids.push(store.position.tid);
      }
      fates.push(fate);
      await expect(store.raiseHistoryFloor(tids[1] as Tid)).rejects.toThrow(WriteInDoubtError);
      await store.reopen();
      const isThere = fate === "written, in doubt";
      expect(store.historyFloor).toBe(isThere ? tids[1] : 0);
      await store.pruneStep(1_000, new SimulatedClock());
      expect(store.transactionsAfter((isThere ? tids[1] : 0) as Tid, 10, 10).transactions).toHaveLength(isThere ? 1 : 3);
      await store.close();
    });

    test(`of pruning, ${fate}: it is resumed and completes`, async () => {
      const { fates, open } = setup();
      const store = await open();
      for (const id of ["1", "2", "3", "4"]) await commit(store, id);
      await store.raiseHistoryFloor(store.position.tid);
      fates.push(fate);
      await expect(store.pruneStep(1_000, new SimulatedClock())).rejects.toThrow(WriteInDoubtError);
      await store.reopen();
      expect((await store.pruneStep(1_000, new SimulatedClock())).done).toBe(true);
      expect(await store.pruneStep(1_000, new SimulatedClock())).toEqual({ removed: 0, done: true });
      expect(String(Buffer.from(store.load("a", store.position.tid).value ?? []))).toBe("4");
      await store.close();
    });
  }
});

describe("a batch that is on disk but not acknowledged yet", () => {
  test("is loaded with the as-of of the same view, and does not change the position", async () => {
    const { watchers, open } = setup();
    const store = await open();
    await commit(store, "first");
    const first = store.position;
    let seen = false;
    watchers.push(() => {
      seen = true;
      expect(store.position).toEqual(first);
      const loaded = store.load("a", first.tid);
      // Its own as-of shows that it was replaced; with the as-of from memory, a replaced revision would count as
      // current.
      expect(loaded.next).toBe(loaded.asOf.tid);
      expect(loaded.asOf.tid).toBeGreaterThan(first.tid);
      const listed = store.list({ from: "", to: undefined }, first.tid, 10, 100);
      expect(listed.asOf).toEqual(loaded.asOf);
      expect(listed.rows[0]?.next).toBe(loaded.next);
      expect(() => store.load("a", (loaded.asOf.tid + 1) as Tid)).toThrow(BehindError);
      expect(store.outcome("second")).toBeUndefined();
      expect(store.transactionsAfter(first.tid, 10, 10)).toEqual({ transactions: [], whole: true });
    });
    await commit(store, "second");
    expect(seen).toBe(true);
    await store.close();
  });

  test("survives a crash of its server, and one that is not on disk does not", async () => {
    for (const onDisk of [true, false]) {
      const air: (() => void)[] = [];
      let holds = false;
      const disk = new MemoryDisk("disk", async (apply) => {
        if (!holds) return apply();
        air.push(apply);
        await new Promise(() => undefined);
      });
      const open = () => ObjectStore.open(disk.open, { storage: "main", log: silentLog, clock: new SimulatedClock() });
      const store = await open();
      await commit(store, "first");
      holds = true;
      void commit(store, "second");
      while (air.length === 0) await Promise.resolve();
      if (onDisk) air[0]?.();
      disk.crash();
      holds = false;
      expect(() => store.load("a", store.position.tid)).toThrow(ClosedError);
      const next = await open();
      expect(next.outcome("second")?.type).toBe(onDisk ? "committed" : undefined);
      expect(next.outcome("first")?.type).toBe("committed");
      await commit(next, onDisk ? "third" : "second");
      await next.close();
    }
  });
});
