import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openLmdbStore } from "../../../storage/kv/lmdb-store.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { ObjectStore, type ObjectStoreOptions } from "../../../storage/objects/object-store.js";
import type { CommitRequest } from "../../../core/transaction.js";
import type { OpenStore } from "../../../storage/kv/ordered-store.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import {
  BehindError,
  ConflictError,
  type KeyRange,
  rangeHas,
  silentLog,
  SnapshotTooOldError,
  type Tid,
  tidAfter,
  tidZero,
} from "../../../core/index.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

/**
 * The object store compared with the simplest model: a list of all transactions, searched from the beginning for every
 * question.
 * Random work, random snapshots, conflicts, batches, fences, floors, pruning and openings.
 */
const seed = Number(process.env["ZOOID_TEST_SEED"] ?? Date.now() % 1_000_000_000);
const makeFolder = temporaryFolders();

const keys = ["a", "a/1", "a/2", "a/é", "b", "b/1", "c"];
const ranges: readonly KeyRange[] = [
  { from: "", to: undefined },
  { from: "a", to: "b" },
  { from: "a/", to: "a/2" },
  { from: "b/", to: undefined },
];

const key = fc.constantFrom(...keys);
const back = fc.nat(6);
const commitSpec = fc.record({
  writes: fc.uniqueArray(fc.tuple(key, fc.option(fc.string({ maxLength: 3 }), { freq: 2 })), { selector: ([name]) => name, maxLength: 3 }),
  reads: fc.array(key, { maxLength: 2 }),
  ranges: fc.array(fc.constantFrom(...ranges), { maxLength: 1 }),
  back,
  serializable: fc.boolean(),
  isFence: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});
type CommitSpec = typeof commitSpec extends fc.Arbitrary<infer T> ? T : never;

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("batch" as const),
      commits: fc.array(commitSpec, { minLength: 1, maxLength: 4 }),
      alone: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("wait" as const), ms: fc.integer({ min: -3, max: 30 }) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("floor" as const), back }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("prune" as const), budgetMs: fc.constantFrom(0, 1_000) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("open" as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Done {
  readonly tid: Tid;
  readonly id: string;
  readonly writes: readonly (readonly [string, string | null])[];
}

const bounds = {
  outcomeAgeMs: 40,
  outcomesMax: 12,
  snapshotRetentionMs: 2,
  invalidationQueueSize: 4,
  invalidationQueueKeysMax: 7,
} satisfies Partial<ObjectStoreOptions>;

async function run(openStore: OpenStore, steps: readonly Step[]): Promise<void> {
  const open = () => ObjectStore.open(openStore, { storage: "main", log: silentLog, clock: new SimulatedClock(), ...bounds });
  let store = await open();
  const done: Done[] = [];
  const fenced = new Map<string, Tid>();
  const snapshots: Tid[] = [tidZero];
  let nowMs = 1_000;
  let ids = 0;
  const snapshotBack = (count: number): Tid => snapshots[Math.max(0, snapshots.length - 1 - count)] ?? tidZero;

  const commitAll = async (specs: readonly CommitSpec[], alone: boolean): Promise<void> => {
    const batch = store.openBatch();
    const before = done.length;
    const durable = snapshots.at(-1) ?? tidZero;
    for (const spec of specs) {
      const id = `id-${ids++}`;
      if (spec.isFence) {
        if (store.stats().fences >= bounds.outcomesMax - specs.length) continue;
        batch.fence(id);
        fenced.set(id, done.at(-1)?.tid ?? tidZero);
        continue;
      }
      const snapshot = snapshotBack(spec.back);
      const request: CommitRequest = {
        id,
        snapshot,
        serializable: spec.serializable,
        reads: spec.reads,
        ranges: spec.ranges,
        writes: spec.writes.map(([name, text]) => ({ key: name, value: text === null ? undefined : Buffer.from(text) })),
      };
      const refusal = attempt(() => batch.validate(request));
      const isTooOld = snapshot < store.historyFloor || snapshot < store.idFloor;
      const touched = (name: string) =>
        spec.writes.some(([written]) => written === name) ||
        (spec.serializable && (spec.reads.includes(name) || spec.ranges.some((range) => rangeHas(range, name))));
      // Later writes, durable or in this batch, of keys that the transaction wrote or read.
      const isConflict = done.some(({ tid, writes }) => tid > snapshot && writes.some(([name]) => touched(name)));
      expect(refusal?.constructor).toBe(isTooOld ? SnapshotTooOldError : isConflict ? ConflictError : undefined);
      if (refusal !== undefined) continue;
      const { tid, previous, keys: written } = batch.addTransaction(request, nowMs);
      expect(tid).toBe(tidAfter(previous, nowMs));
      expect(previous).toBe(done.at(-1)?.tid ?? tidZero);
      expect(written).toEqual(spec.writes.map(([name]) => name));
      done.push({ tid, id, writes: spec.writes });
    }
    expect(store.position.tid).toBe(durable);
    if (batch.isEmpty) batch.discard();
    else await batch.write({ alone });
    for (const { tid } of done.slice(before)) snapshots.push(tid);
  };

  for (const next of steps) {
    switch (next.type) {
      case "batch":
        await commitAll(next.commits, next.alone);
        break;
      case "wait":
        nowMs = Math.max(1_000, nowMs + next.ms);
        break;
      case "floor":
        await store.raiseHistoryFloor(snapshotBack(next.back));
        break;
      case "prune":
        await store.pruneStep(next.budgetMs, new SimulatedClock());
        break;
      case "open":
        await store.close();
        store = await open();
    }
    compare(store, done, fenced, snapshots);
  }
  await store.close();
}

/** Compares all answers at every snapshot. */
function compare(store: ObjectStore, done: readonly Done[], fenced: ReadonlyMap<string, Tid>, snapshots: readonly Tid[]): void {
  const last = done.at(-1)?.tid ?? tidZero;
  expect(store.position.tid).toBe(last);
  for (const snapshot of snapshots) {
    if (snapshot < store.historyFloor) {
      expect(attempt(() => store.load("a", snapshot))).toBeInstanceOf(SnapshotTooOldError);
      expect(attempt(() => store.list({ from: "", to: undefined }, snapshot, 10, 1_000))).toBeInstanceOf(SnapshotTooOldError);
      continue;
    }
    const picture = new Map<string, { serial: Tid; text: string | null; next: Tid | undefined }>();
    for (const { tid, writes } of done) {
      for (const [name, text] of writes) {
        const known = picture.get(name);
        if (tid <= snapshot) picture.set(name, { serial: tid, text, next: undefined });
        else if (known === undefined) picture.set(name, { serial: tidZero, text: null, next: tid });
        else known.next ??= tid;
      }
    }
    for (const name of keys) {
      const expected = picture.get(name) ?? { serial: tidZero, text: null, next: undefined };
      const { serial, value, next, asOf } = store.load(name, snapshot);
      expect(value === undefined ? null : Buffer.from(value).toString()).toBe(expected.text);
      // Without a deletion a key is known to be absent only from the floor on. A deletion at the floor or before it may
      // be pruned.
      const { historyFloor } = store;
      const mayBePruned = expected.text === null && expected.serial <= historyFloor;
      const serials = expected.serial === tidZero ? [historyFloor] : mayBePruned ? [expected.serial, historyFloor] : [expected.serial];
      expect(serials).toContain(serial);
      expect(next).toBe(expected.next);
      expect(asOf.tid).toBe(last);
    }
    for (const range of ranges) {
      const rows = store
        .list(range, snapshot, 100, 10_000)
        .rows.map((row) => [row.key, row.serial, Buffer.from(row.value).toString(), row.next]);
      const expected = keys.filter((name) => rangeHas(range, name) && (picture.get(name)?.text ?? null) !== null);
      expect(rows).toEqual(expected.map((name) => [name, picture.get(name)?.serial, picture.get(name)?.text, picture.get(name)?.next]));
    }
  }
  expect(attempt(() => store.load("a", (last + 1) as Tid))).toBeInstanceOf(BehindError);

  for (const { id, tid } of done) {
    const outcome = store.outcome(id);
    if (tid > store.idFloor) expect(outcome).toEqual({ type: "committed", tid });
    else if (outcome !== undefined) expect(outcome).toEqual({ type: "committed", tid });
  }
  for (const [id, tid] of fenced) {
    if (tid >= store.idFloor) expect(store.outcome(id)).toEqual({ type: "fenced" });
  }
  expect(store.idFloor).toBeLessThanOrEqual(last);
  expect(store.stats().outcomes).toBeLessThanOrEqual(bounds.outcomesMax);

  const tids = [tidZero, ...done.map(({ tid }) => tid)];
  for (const [index, tid] of tids.entries()) {
    const { transactions, whole } = store.transactionsAfter(tid, 1_000, 1_000);
    if (tid >= store.historyFloor) expect(store.countAfter(tid)).toBe(done.length - index);
    const page = store.pageAfter(tid);
    expect([page.whole, page.transactions.map((each) => [each.tid, each.keys])]).toEqual([
      whole,
      transactions.map((each) => [each.tid, each.keys]),
    ]);
    if (tid < store.historyFloor && !whole) {
      expect(transactions).toEqual([]);
      continue;
    }
    expect(whole).toBe(true);
    expect(transactions.map((each) => [each.tid, each.id, each.keys])).toEqual(
      done.slice(index).map((each) => [each.tid, each.id, each.writes.map(([name]) => name)]),
    );
  }
}

function attempt(act: () => unknown): Error | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

describe("the object store agrees with a list of all transactions", () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 25 });
  const settings = { seed, endOnFailure: false };

  test(`in memory (ZOOID_TEST_SEED=${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, (work) => run(new MemoryDisk("disk").open, work)),
      { ...settings, numRuns: 120 },
    );
  });

  test(`in LMDB (ZOOID_TEST_SEED=${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (work) => {
        const folder = await makeFolder();
        await run(() => openLmdbStore({ folder, durable: false, bootId: "boot" }), work);
      }),
      { ...settings, numRuns: 25 },
    );
  });
});
