import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { digestAfter, ObjectStore, type ObjectStoreOptions } from "../../storage/objects/object-store.js";
import type { CommitRequest, LoggedTransaction } from "../../core/transaction.js";
import type { OpenStore } from "../../storage/kv/ordered-store.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import {
  AssertionError,
  BehindError,
  ClosedError,
  ConflictError,
  type KeyRange,
  prefixRange,
  ServerBusyError,
  silentLog,
  SnapshotTooOldError,
  StoreError,
  systemClock,
  type Tid,
  tidMinus,
  tidZero,
} from "../../core/index.js";

/** Tests the object store above one kind of ordered store. `makeSetup` returns a new, empty place on each call. */
export function objectStoreSuite(name: string, makeSetup: () => Promise<OpenStore>): void {
  describe(`the object store ${name}`, () => {
    let openStore: OpenStore;
    let store: ObjectStore;
    let ids = 0;
    const clock = new SimulatedClock();
    const startMs = Date.UTC(2026, 10, 21);
    let nowMs = startMs;

    const open = (options: Partial<ObjectStoreOptions> = {}) =>
      ObjectStore.open(openStore, { storage: "main", log: silentLog, clock, ...options });
    const openAgain = async (options: Partial<ObjectStoreOptions> = {}): Promise<void> => {
      await store.close();
      store = await open(options);
    };
    const request = (writes: Record<string, string | undefined>, rest: Partial<CommitRequest> = {}): CommitRequest => ({
      id: `id-${++ids}`,
      snapshot: store.position.tid,
      serializable: true,
      reads: [],
      ranges: [],
      writes: Object.entries(writes).map(([key, text]) => ({ key, value: text === undefined ? undefined : Buffer.from(text) })),
      ...rest,
    });
    /** Commits the requests in one batch, one millisecond after the batch before. */
    const commitAll = async (...requests: readonly CommitRequest[]): Promise<readonly LoggedTransaction[]> => {
      const batch = store.openBatch();
      nowMs += 1;
      for (const each of requests) {
        try {
          batch.validate(each);
        } catch (error) {
          batch.discard();
          throw error;
        }
        batch.addTransaction(each, nowMs);
      }
      await batch.write({ alone: requests.length === 1 });
      return batch.transactions;
    };
    const commit = async (writes: Record<string, string | undefined>, rest: Partial<CommitRequest> = {}): Promise<Tid> => {
      await commitAll(request(writes, rest));
      return store.position.tid;
    };
    const textAt = (key: string, snapshot: Tid) => text(store.load(key, snapshot).value);
    const rowsAt = (range: KeyRange, snapshot: Tid) =>
      store.list(range, snapshot, 1_000, 1_000_000).rows.map(({ key, value }) => `${key}=${text(value)}`);
    const prune = async (): Promise<number> => {
      let removed = 0;
      for (;;) {
        const step = await store.pruneStep(5, systemClock);
        removed += step.removed;
        if (step.done) return removed;
      }
    };

    beforeEach(async () => {
      nowMs = startMs;
      openStore = await makeSetup();
      store = await open();
    });
    afterEach(() => store.close());

    describe("reading", () => {
      test("an empty storage is at tid 0 and has nothing", () => {
        expect(store.position).toMatchObject({ tid: 0, digest: "0000000000000000" });
        expect(store.load("a", tidZero)).toMatchObject({ serial: 0, value: undefined, next: undefined, asOf: { tid: 0 } });
        expect(store.list(prefixRange(""), tidZero, 10, 1_000)).toMatchObject({ rows: [], end: undefined });
      });

      test("each snapshot shows the revision that is current at it, with the interval in which it is current", async () => {
        const t1 = await commit({ other: "0" });
        const t2 = await commit({ a: "2" });
        const t3 = await commit({ a: "3" });
        const t4 = await commit({ a: undefined });
        const t5 = await commit({ a: "5" });
        const asOf = store.position;
        const at = (snapshot: Tid) => {
          const { value, ...rest } = store.load("a", snapshot);
          return { ...rest, text: text(value) };
        };
        expect(at(t1)).toEqual({ serial: 0, text: undefined, next: t2, asOf });
        expect(at(t2)).toEqual({ serial: t2, text: "2", next: t3, asOf });
        expect(at(t3)).toEqual({ serial: t3, text: "3", next: t4, asOf });
        expect(at((t4 - 1) as Tid)).toEqual({ serial: t3, text: "3", next: t4, asOf });
        expect(at(t4)).toEqual({ serial: t4, text: undefined, next: t5, asOf });
        expect(at(t5)).toEqual({ serial: t5, text: "5", next: undefined, asOf });
        expect(store.load("none", t3)).toEqual({ serial: 0, value: undefined, next: undefined, asOf });
      });

      test("keys that are prefixes of each other do not mix", async () => {
        const t1 = await commit({ a: "1", "a\u0001": "1", ab: "1", "a/b": "1" });
        const t2 = await commit({ a: "2", ab: undefined });
        expect(textAt("a", t1)).toBe("1");
        expect(textAt("a\u0001", t2)).toBe("1");
        expect(rowsAt(prefixRange("a"), t1)).toEqual(["a=1", "a\u0001=1", "a/b=1", "ab=1"]);
        expect(rowsAt(prefixRange("a"), t2)).toEqual(["a=2", "a\u0001=1", "a/b=1"]);
        expect(rowsAt({ from: "a", to: "a/b" }, t2)).toEqual(["a=2", "a\u0001=1"]);
        expect(rowsAt({ from: "", to: undefined }, t2)).toHaveLength(3);
      });

      test("a list is in the order of UTF-8 bytes", async () => {
        const keys = ["z", "é", "\uffee", "😀", "ｆ", "\ud7ff", "a"];
        const tid = await commit(Object.fromEntries(keys.map((key) => [key, "v"])));
        const rows = store.list(prefixRange(""), tid, 100, 10_000).rows.map(({ key }) => key);
        expect(rows).toEqual(keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
      });

      test("a page begins where the one before ended, also across deleted keys", async () => {
        const keys = Array.from({ length: 25 }, (_, n) => `k${String(n).padStart(2, "0")}`);
        await commit(Object.fromEntries(keys.map((key) => [key, "value"])));
        const tid = await commit(Object.fromEntries(keys.slice(5, 18).map((key) => [key, undefined])));
        for (const [rowsMax, bytesMax] of [
          [4, 1_000_000],
          [1, 1_000_000],
          [1_000, 20],
          [1_000, 1],
        ] as const) {
          const found: string[] = [];
          let from: string | undefined = "";
          let pages = 0;
          while (from !== undefined) {
            const page = store.list({ from, to: undefined }, tid, rowsMax, bytesMax);
            found.push(...page.rows.map(({ key }) => key));
            from = page.end;
            pages += 1;
          }
          expect(found).toEqual([...keys.slice(0, 5), ...keys.slice(18)]);
          expect(pages).toBeGreaterThan(5);
        }
      });

      test("reading a snapshot that is not reached yet throws BehindError, and never returns an older state", async () => {
        const tid = await commit({ a: "1" });
        expect(() => store.load("a", (tid + 1) as Tid)).toThrow(BehindError);
        expect(() => store.list(prefixRange(""), (tid + 1) as Tid, 10, 100)).toThrow(BehindError);
      });
    });

    describe("committing", () => {
      test("tids rise with the clock, and also while it goes back or stands still; each transaction names the one before", async () => {
        const batch = store.openBatch();
        const tids = [nowMs, nowMs, nowMs - 5_000, nowMs + 1].map((ms, n) => batch.addTransaction(request({ [`k${n}`]: "v" }), ms));
        await batch.write({ alone: false });
        expect(tids.map(({ tid }) => tid - nowMs * 1024)).toEqual([0, 1, 2, 1024]);
        expect(tids.map(({ previous }) => previous)).toEqual([0, ...tids.slice(0, 3).map(({ tid }) => tid)]);
        let digest = "0".repeat(16);
        for (const transaction of tids) {
          digest = digestAfter(digest, transaction.id, transaction.tid);
          expect(transaction.digest).toBe(digest);
          expect(store.digestAt(transaction.tid)).toBe(digest);
        }
        expect(store.position).toMatchObject({ tid: tids[3]?.tid, digest });
      });

      test("a batch is invisible before it is written, and after it is discarded", async () => {
        const batch = store.openBatch();
        const { id, tid } = batch.addTransaction(request({ a: "1" }), nowMs);
        expect(store.position.tid).toBe(0);
        expect(store.outcome(id)).toBeUndefined();
        expect(batch.outcome(id)).toEqual({ type: "committed", tid });
        expect(store.load("a", tidZero).value).toBeUndefined();
        batch.discard();
        expect(store.position.tid).toBe(0);
        expect(store.outcome(id)).toBeUndefined();
        await commit({ b: "1" });
        expect(textAt("a", store.position.tid)).toBeUndefined();
      });

      test("one batch is open at a time", () => {
        const batch = store.openBatch();
        expect(() => store.openBatch()).toThrow(AssertionError);
        batch.discard();
        store.openBatch().discard();
      });

      const conflicts: readonly [string, Partial<CommitRequest>, boolean][] = [
        ["a key that it writes", { writes: [{ key: "a", value: Buffer.from("mine") }] }, false],
        ["a key that it deletes", { writes: [{ key: "a", value: undefined }] }, false],
        ["a key that it read", { reads: ["x", "a"] }, true],
        ["a range that it listed", { ranges: [prefixRange("x"), prefixRange("a")] }, true],
      ];
      const changes: readonly [string, Record<string, string>, Record<string, string | undefined>][] = [
        ["changed", { a: "1" }, { a: "2" }],
        ["deleted", { a: "1" }, { a: undefined }],
        ["created", { z: "1" }, { a: "2" }],
      ];
      for (const [what, parts, isRead] of conflicts) {
        for (const [how, before, change] of changes) {
          test(`${what}, ${how} after the snapshot, is a conflict, durable or earlier in the batch`, async () => {
            const base = await commit(before);
            const durable = request({ own: "1" }, { snapshot: base, ...parts });
            const late = request(change, { snapshot: base });
            const batch = store.openBatch();
            batch.validate(durable);
            const { tid } = batch.addTransaction(late, nowMs + 1);
            expect(conflictOf(() => batch.validate(durable))).toEqual({ key: "a", base, current: tid });
            if (isRead) batch.validate({ ...durable, serializable: false });
            await batch.write({ alone: false });
            await expect(commitAll(durable)).rejects.toThrow(ConflictError);
            for (const invalidationQueueSize of [100, 0]) {
              await openAgain({ invalidationQueueSize });
              const next = store.openBatch();
              expect(conflictOf(() => next.validate(durable))).toEqual({ key: "a", base, current: tid });
              if (isRead) next.validate({ ...durable, serializable: false });
              next.validate({ ...durable, snapshot: tid });
              next.discard();
            }
          });
        }
      }

      test("a range conflicts neither with a change of its end key, nor with changes up to the snapshot", async () => {
        const base = await commit({ a: "1", c: "1" });
        await commit({ c: "2", b: "0" });
        await commitAll(request({ own: "1" }, { snapshot: base, ranges: [{ from: "a", to: "b" }] }));
      });

      test("a request with a range and a snapshot older than the compared transactions throws SnapshotTooOldError", async () => {
        const base = await commit({ a: "1" });
        for (let n = 0; n < 6; n++) await commit(Object.fromEntries(Array.from({ length: 2_000 }, (_, k) => [`k${n}-${k}`, "v"])));
        await openAgain({ invalidationQueueSize: 1 });
        await expect(commitAll(request({ own: "1" }, { snapshot: base, ranges: [prefixRange("x")] }))).rejects.toThrow(SnapshotTooOldError);
      });

      test("a request with a snapshot that is not durable yet throws BehindError", async () => {
        const tid = await commit({ a: "1" });
        await expect(commitAll(request({ a: "2" }, { snapshot: (tid + 1) as Tid }))).rejects.toThrow(BehindError);
      });

      test("a transaction without writes has a tid and no keys", async () => {
        const [transaction] = await commitAll(request({}, { reads: ["a"] }));
        expect(transaction?.keys).toEqual([]);
        expect(store.transactionsAfter(tidZero, 10, 10)).toEqual({ transactions: [transaction], whole: true });
      });

      test("objects are counted", async () => {
        await commit({ a: "1", b: "1", c: "1" });
        await commit({ a: "2", b: undefined, none: undefined });
        await openAgain();
        expect(store.stats().objects).toBe(2);
        await commit({ b: "3" });
        expect(store.stats().objects).toBe(3);
      });
    });

    describe("outcomes", () => {
      test("of commits and fences are known, and known again after opening", async () => {
        const [committed] = await commitAll(request({ a: "1" }));
        const batch = store.openBatch();
        batch.fence("late");
        batch.fence("late");
        expect(store.outcome("late")).toBeUndefined();
        await batch.write({ alone: true });
        for (const again of [false, true]) {
          if (again) await openAgain();
          expect(store.outcome(committed?.id ?? "")).toEqual({ type: "committed", tid: committed?.tid });
          expect(store.outcome("late")).toEqual({ type: "fenced" });
          expect(store.outcome("never")).toBeUndefined();
        }
      });

      test("a fence moves no position", async () => {
        const before = store.position;
        const batch = store.openBatch();
        batch.fence("late");
        await batch.write({ alone: true });
        expect(store.position).toEqual(before);
        await openAgain();
        expect(store.position).toEqual(before);
      });

      test("are kept for outcomeAgeMs; older snapshots are refused; the same after opening", async () => {
        const first = await commit({ a: "1" });
        const batch = store.openBatch();
        batch.fence("late");
        await batch.write({ alone: true });
        nowMs += 5 * 60_000;
        const second = await commit({ a: "2" });
        nowMs += 5 * 60_000;
        const third = await commit({ a: "3" });
        for (const again of [false, true]) {
          if (again) await openAgain();
          expect(tidMinus(third, 10 * 60_000)).toBeGreaterThan(first);
          expect(store.idFloor).toBe(first);
          expect(store.outcome("id-unknown")).toBeUndefined();
          const next = store.openBatch();
          expect(() => next.validate(request({ b: "1" }, { snapshot: (first - 1) as Tid }))).toThrow(SnapshotTooOldError);
          next.validate(request({ b: "1" }, { snapshot: first }));
          next.validate(request({ b: "1" }, { snapshot: second }));
          next.discard();
          expect(textAt("a", first)).toBe("1");
          expect(store.stats().outcomes).toBe(2);
        }
      });

      test("a transaction whose snapshot is the last transaction before a long rest commits, also after another commit", async () => {
        const last = await commit({ a: "1" });
        nowMs += 24 * 3_600_000;
        await commit({ a: "2" });
        for (const again of [false, true]) {
          if (again) await openAgain();
          const next = store.openBatch();
          next.validate(request({ b: "1" }, { snapshot: last }));
          next.discard();
        }
      });

      test("above their bound raise the floor, the same after opening", async () => {
        await openAgain({ outcomesMax: 3 });
        const tids: Tid[] = [];
        for (let n = 0; n < 5; n++) tids.push(await commit({ a: `${n}` }));
        for (const again of [false, true]) {
          if (again) await openAgain({ outcomesMax: 3 });
          expect(store.idFloor).toBe(tids[1]);
          expect(store.stats().outcomes).toBe(3);
        }
      });

      test("fences above their bound are refused", async () => {
        await openAgain({ outcomesMax: 2 });
        const batch = store.openBatch();
        batch.fence("one");
        batch.fence("two");
        expect(() => batch.fence("three")).toThrow(ServerBusyError);
        batch.fence("two");
        await batch.write({ alone: true });
      });

      test("a fence is kept while a late copy of its commit could succeed, and pruned once the snapshot of that copy is refused", async () => {
        const base = await commit({ a: "1" });
        const batch = store.openBatch();
        batch.fence("late");
        await batch.write({ alone: true });
        nowMs += 10 * 60_000 - 10;
        await commit({ a: "2" });
        expect(store.idFloor).toBeLessThan(base);
        expect(await prune()).toBe(0);
        expect(store.outcome("late")).toEqual({ type: "fenced" });
        nowMs += 10 * 60_000;
        await commit({ a: "3" });
        expect(store.idFloor).toBeGreaterThan(base);
        expect(await prune()).toBe(1);
        expect(store.outcome("late")).toBeUndefined();
        const floor = store.idFloor;
        // A longer outcomeAgeMs set later cannot restore the fence: the floor stays.
        await openAgain({ outcomeAgeMs: 60 * 60_000 });
        expect(store.idFloor).toBe(floor);
      });
    });

    describe("the log", () => {
      test("returns the same transactions after a tid from the queue and from the disk", async () => {
        for (let n = 0; n < 20; n++) await commit({ [`k${n}`]: "v", shared: `${n}` });
        const inMemory = store.transactionsAfter(tidZero, 100, 1_000);
        expect(inMemory.whole).toBe(true);
        expect(inMemory.transactions).toHaveLength(20);
        for (const invalidationQueueSize of [0, 7, 100]) {
          await openAgain({ invalidationQueueSize });
          expect(store.stats().queue.transactions).toBe(Math.min(20, invalidationQueueSize));
          expect(store.transactionsAfter(tidZero, 100, 1_000)).toEqual(inMemory);
          for (const [index, { tid, digest, keys, previous }] of inMemory.transactions.entries()) {
            expect(store.transactionsAfter(tid, 100, 1_000).transactions).toEqual(inMemory.transactions.slice(index + 1));
            expect(store.digestAt(tid)).toBe(digest);
            expect(store.keysOf(tid, 0, 10)).toEqual(keys);
            expect(store.queueHas(previous)).toBe(index >= 20 - invalidationQueueSize);
          }
        }
      });

      test("stops at the bounds, but returns at least one transaction", async () => {
        const tids: Tid[] = [];
        for (let n = 0; n < 5; n++) tids.push(await commit({ a: `${n}`, b: `${n}` }));
        for (const invalidationQueueSize of [0, 100]) {
          await openAgain({ invalidationQueueSize });
          const tidsOf = (countMax: number, keysMax: number) => {
            const { transactions, whole } = store.transactionsAfter(tidZero, countMax, keysMax);
            return [transactions.map(({ tid }) => tid), whole];
          };
          expect(tidsOf(3, 100)).toEqual([tids.slice(0, 3), false]);
          expect(tidsOf(5, 100)).toEqual([tids, true]);
          expect(tidsOf(100, 5)).toEqual([tids.slice(0, 2), false]);
          expect(tidsOf(100, 1)).toEqual([tids.slice(0, 1), false]);
        }
      });

      test("a tid that no transaction has begins no chain and has no digest", async () => {
        const first = await commit({ a: "1" });
        const last = await commit({ a: "2" });
        for (const invalidationQueueSize of [0, 100]) {
          await openAgain({ invalidationQueueSize });
          for (const strange of [1, first - 1, first + 1, last - 1, last + 1] as Tid[]) {
            expect(store.transactionsAfter(strange, 10, 10)).toEqual({ transactions: [], whole: false });
            expect(store.digestAt(strange)).toBeUndefined();
          }
          expect(store.transactionsAfter(last, 10, 10)).toEqual({ transactions: [], whole: true });
          expect(store.digestAt(tidZero)).toBe("0000000000000000");
        }
      });

      test("the queue is bounded by keys too, and the keys of a large transaction are read in parts", async () => {
        const keys = Array.from({ length: 2_500 }, (_, n) => `k${n}`);
        await openAgain({ invalidationQueueKeysMax: 1_000 });
        await commit({ a: "1" });
        const tid = await commit(Object.fromEntries(keys.map((key) => [key, "v"])));
        expect(store.stats().queue).toEqual({ transactions: 0, keys: 0 });
        expect(store.queueHas(tid)).toBe(true);
        const parts: string[] = [];
        for (let from = 0; ; from += 700) {
          const part = store.keysOf(tid, from, 700);
          if (part.length === 0) break;
          parts.push(...part);
        }
        expect(parts).toEqual(keys);
        expect(store.transactionsAfter(tidZero, 10, 10_000).transactions[1]?.keys).toEqual(keys);
        expect(() => store.keysOf((tid + 1) as Tid, 0, 1)).toThrow(BehindError);
        expect(() => store.keysOf((tid - 1) as Tid, 0, 1)).toThrow(SnapshotTooOldError);
      });
    });

    describe("pruning", () => {
      const retention = { snapshotRetentionMs: 10 };

      test("the floor stays behind the last tid by the retention, never goes back, and is durable", async () => {
        const first = await commit({ a: "1" });
        nowMs += 10;
        const second = await commit({ a: "2" });
        expect(await store.raiseHistoryFloor(second)).toBe(tidZero);
        await openAgain(retention);
        const floor = await store.raiseHistoryFloor(second);
        expect(floor).toBe(first);
        expect(await store.raiseHistoryFloor(tidMinus(first, 100))).toBe(floor);
        await openAgain(retention);
        expect(store.historyFloor).toBe(floor);
        expect(store.idFloor).toBeGreaterThanOrEqual(floor);
      });

      test("the floor is the tid of a transaction: the last snapshot before a long rest can still be read", async () => {
        await openAgain(retention);
        await commit({ a: "1" });
        const last = await commit({ a: "2", b: "1" });
        nowMs += 24 * 3_600_000;
        const next = await commit({ a: "3" });
        expect(await store.raiseHistoryFloor(tidMinus(next, 3_600_000))).toBe(last);
        expect(await prune()).toBeGreaterThan(0);
        expect(textAt("a", last)).toBe("2");
        expect(textAt("b", last)).toBe("1");
        expect(store.transactionsAfter(last, 10, 10)).toMatchObject({ transactions: [{ tid: next }], whole: true });
      });

      test("reads below the floor throw SnapshotTooOldError, also after opening; reads at it and above do not change", async () => {
        await openAgain({ snapshotRetentionMs: 0 });
        const tids: Tid[] = [];
        for (let n = 0; n < 10; n++) {
          tids.push(
            await commit({
              [`k${n % 3}`]: `${n}`,
              gone: n === 4 ? undefined : n < 4 ? "here" : undefined,
              late: n < 8 ? `${n}` : undefined,
              stays: n === 0 ? "yes" : "still",
            }),
          );
        }
        const floor = tids[6] as Tid;
        const pictures = () =>
          tids
            .slice(6)
            .map((tid) => [rowsAt(prefixRange(""), tid), ["k0", "k1", "k2", "gone", "late", "stays"].map((key) => textAt(key, tid))]);
        const before = pictures();
        const digest = store.position.digest;
        expect(await store.raiseHistoryFloor(floor)).toBe(floor);
        expect(await prune()).toBeGreaterThan(15);
        expect(await prune()).toBe(0);
        for (const again of [false, true]) {
          if (again) await openAgain({ snapshotRetentionMs: 0, invalidationQueueSize: 0 });
          expect(pictures()).toEqual(before);
          for (const tid of tids.slice(0, 6)) {
            expect(() => store.load("k0", tid)).toThrow(SnapshotTooOldError);
            expect(() => store.list(prefixRange(""), tid, 10, 100)).toThrow(SnapshotTooOldError);
          }
          const batch = store.openBatch();
          expect(() => batch.validate(request({ x: "1" }, { snapshot: tids[5] as Tid }))).toThrow(SnapshotTooOldError);
          batch.discard();
        }
        expect(store.position).toMatchObject({ tid: tids[9], digest });
        expect(store.transactionsAfter(tids[2] as Tid, 10, 10)).toEqual({ transactions: [], whole: false });
        expect(store.digestAt(tids[2] as Tid)).toBeUndefined();
        expect(store.transactionsAfter(floor, 10, 100).whole).toBe(true);
        expect(() => store.keysOf(tids[2] as Tid, 0, 1)).toThrow(SnapshotTooOldError);
      });

      test("leaves one revision of each object and no tombstone when it removes all history", async () => {
        await openAgain({ snapshotRetentionMs: 0 });
        for (let n = 0; n < 30; n++) await commit({ [`k${n % 5}`]: n >= 25 && n % 5 === 2 ? undefined : `${n}` });
        const last = await commit({ last: "1" });
        const picture = rowsAt(prefixRange(""), last);
        await store.raiseHistoryFloor(last);
        await prune();
        expect(rowsAt(prefixRange(""), last)).toEqual(picture);
        await store.close();
        const ordered = await openStore();
        const keys = ordered.read((view) =>
          Array.from(view.range({ from: Buffer.of(0), to: Buffer.of(0xff) }), ([key]) =>
            Buffer.from(key).toString("latin1").replace(/\0.*/s, ""),
          ),
        );
        await ordered.close();
        store = await open();
        expect(keys.filter((key) => key.startsWith("h"))).toEqual([]);
        expect(keys.filter((key) => key.startsWith("o"))).toEqual(["ok0", "ok1", "ok3", "ok4", "olast"]);
        expect(keys.filter((key) => key.startsWith("l"))).toHaveLength(1);
      });

      test("a key without a stored deletion is absent from the history floor on, and not earlier", async () => {
        await openAgain({ snapshotRetentionMs: 0 });
        const t1 = await commit({ pruned: "1", kept: "1" });
        await commit({ pruned: undefined });
        const floor = await commit({ other: "1" });
        const t4 = await commit({ kept: undefined });
        const t5 = await commit({ late: "1" });
        expect(store.load("never", t1)).toMatchObject({ serial: 0, value: undefined, next: undefined });
        await store.raiseHistoryFloor(floor);
        await prune();
        for (const again of [false, true]) {
          if (again) await openAgain({ snapshotRetentionMs: 0 });
          expect(store.load("pruned", t5)).toMatchObject({ serial: floor, value: undefined, next: undefined });
          expect(store.load("never", t5)).toMatchObject({ serial: floor, value: undefined, next: undefined });
          expect(store.load("late", floor)).toMatchObject({ serial: floor, value: undefined, next: t5 });
          expect(store.load("kept", t5)).toMatchObject({ serial: t4, value: undefined, next: undefined });
        }
      });

      test("a step without a time budget makes progress, also in a large transaction, and pruning continues after opening", async () => {
        await openAgain({ snapshotRetentionMs: 0 });
        const keys = Array.from({ length: 1_200 }, (_, n) => `k${n}`);
        await commit(Object.fromEntries(keys.map((key) => [key, "1"])));
        await commit(Object.fromEntries(keys.map((key) => [key, "2"])));
        const last = await commit({ last: "1" });
        await store.raiseHistoryFloor(last);
        for (let n = 0; n < 30; n++) expect((await store.pruneStep(0, systemClock)).done).toBe(false);
        await openAgain({ snapshotRetentionMs: 0 });
        await prune();
        expect(rowsAt(prefixRange("k1"), last).every((row) => row.endsWith("=2"))).toBe(true);
        expect(await prune()).toBe(0);
      });
    });

    describe("its place", () => {
      test("holds one storage, and keeps its name", async () => {
        await store.close();
        await expect(open({ storage: "other" })).rejects.toThrow(StoreError);
        store = await open();
      });

      test("is refused and not changed if it holds something else", async () => {
        await store.close();
        const setup = await makeSetup();
        const ordered = await setup();
        await ordered.batch([{ key: Buffer.from("cache"), value: Buffer.from("other") }]);
        await ordered.close();
        await expect(ObjectStore.open(setup, { storage: "main", log: silentLog, clock })).rejects.toThrow(StoreError);
        const after = await setup();
        expect(after.read((view) => Array.from(view.range({ from: Buffer.of(0), to: Buffer.of(0xff) })))).toHaveLength(1);
        await after.close();
        store = await open();
      });

      test("accepts no call after it is closed", async () => {
        await store.close();
        expect(() => store.openBatch()).toThrow(ClosedError);
        expect(() => store.load("a", tidZero)).toThrow(ClosedError);
      });

      test("stays closed when an open batch is discarded", async () => {
        const batch = store.openBatch();
        await store.close();
        batch.discard();
        expect(() => store.openBatch()).toThrow(ClosedError);
      });

      test("closes after the current write, and stays closed", async () => {
        const batch = store.openBatch();
        const { id } = batch.addTransaction(request({ a: "1" }), nowMs);
        const written = batch.write({ alone: false });
        await Promise.all([store.close(), written]);
        expect(() => store.openBatch()).toThrow(ClosedError);
        store = await open();
        expect(store.outcome(id)?.type).toBe("committed");
      });

      test("a stored value does not change when the caller changes the bytes after adding the transaction", async () => {
        const value = Buffer.from("one");
        const batch = store.openBatch();
        batch.addTransaction({ ...request({}), writes: [{ key: "a", value }] }, nowMs);
        value.fill(0);
        await batch.write({ alone: true });
        expect(textAt("a", store.position.tid)).toBe("one");
      });
    });
  });
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}

function conflictOf(act: () => void): ConflictError["facts"] | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof ConflictError) return error.facts;
    throw error;
  }
  return undefined;
}
