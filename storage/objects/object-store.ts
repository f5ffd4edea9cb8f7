import { assert } from "../../core/assert.js";
import type { Clock } from "../../core/clock.js";
import { BehindError, ClosedError, SnapshotTooOldError, WriteInDoubtError } from "../../core/errors.js";
import type { KeyRange } from "../../core/key.js";
import { limits } from "../../core/limits.js";
import type { Log } from "../../core/log.js";
import { type Tid, tidMinus, tidZero } from "../../core/tid.js";
import { CommitBatch, type WrittenBatch } from "./commit-batch.js";
import { InvalidationQueue } from "./invalidation-queue.js";
import type { StoreChange, OpenStore, OrderedStore, View } from "../kv/ordered-store.js";
import type { Outcomes } from "./outcomes.js";
import { HistoryPruner } from "./pruner.js";
import { decodePosition, decodeTid, emptyHistory, encodeTid, metaKey, type PositionRecord } from "./records.js";
import { checkFormat, restore } from "./restore.js";
import { listAt, type Listed, type Loaded, revisionAt } from "./revisions.js";
import { type LogPageAfter, pageOfLog, pageOfQueue } from "./log-page.js";
import { TidClock } from "./tid-clock.js";
import { chainAfter, firstAfter, headAt, keysAt, lastAt, type TransactionsAfter, transactionsAfter } from "./transaction-log.js";
import type { LoggedTransaction, Outcome, Position } from "../../core/transaction.js";

export { CommitBatch } from "./commit-batch.js";
export { digestAfter } from "./records.js";
export type { LogPageAfter, PagedTransaction } from "./log-page.js";
export { olderRevisionLooks } from "./revisions.js";
export type { Listed, ListedRow, Loaded, Revision } from "./revisions.js";
export type { TransactionsAfter } from "./transaction-log.js";

/** What a storage is and how much of its past it keeps; bounds left out are those of limits. */
export interface ObjectStoreOptions {
  /** Name of the storage; a folder holds one and keeps its name. */
  readonly storage: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly invalidationQueueSize?: number;
  readonly invalidationQueueKeysMax?: number;
  readonly outcomeAgeMs?: number;
  readonly outcomesMax?: number;
  readonly snapshotRetentionMs?: number;
}

/** What one step of pruning did. */
export interface PruneStep {
  /** Entries removed by this step. */
  readonly removed: number;
  /** Nothing below the floors is left. */
  readonly done: boolean;
}

/** Sizes of what a storage keeps. */
export interface ObjectStoreStats {
  /** Objects that are there now. */
  readonly objects: number;
  readonly queue: { readonly transactions: number; readonly keys: number };
  readonly outcomes: number;
  readonly fences: number;
}

const positionKey = metaKey("position");

/** What is being written or open; whatever else writes waits for it, which is the caller's part. */
type Use = "idle" | "batch" | "writing" | "inDoubt" | "closed";

/**
 * The objects of one storage with their history and the log of its transactions, above any OrderedStore.
 *
 * 1. Position, outcomes and queue in memory move when a batch is durable, never before; what is in doubt moves nothing.
 * 2. A revision and its as-of are read from one view.
 * 3. One batch is open or being written at a time; raising the floor and pruning come between batches.
 * 4. Nothing that a snapshot at or above the history floor needs is removed, and the floor is durable before anything is.
 */
export class ObjectStore {
  readonly #openStore: OpenStore;
  readonly #options: Required<ObjectStoreOptions>;
  #ordered: OrderedStore;
  #use: Use = "idle";
  #position: PositionRecord = emptyHistory;
  #historyFloor: Tid = tidZero;
  #queue: InvalidationQueue;
  #outcomes: Outcomes;
  #pruner = new HistoryPruner();
  readonly #tidClock: TidClock;

  private constructor(openStore: OpenStore, options: Required<ObjectStoreOptions>, ordered: OrderedStore) {
    this.#openStore = openStore;
    this.#options = options;
    this.#ordered = ordered;
    const restored = ordered.read((view) => restore(view, ordered.path, options));
    this.#position = restored.position;
    this.#tidClock = new TidClock(options, restored.position);
    this.#historyFloor = restored.historyFloor;
    this.#queue = restored.queue;
    this.#outcomes = restored.outcomes;
  }

  /** Opens the storage, making it if the store is empty. Rejects with InUseError, or StoreError when the store holds something else. */
  static async open(openStore: OpenStore, options: ObjectStoreOptions): Promise<ObjectStore> {
    const all: Required<ObjectStoreOptions> = {
      invalidationQueueSize: limits.invalidationQueueSize,
      invalidationQueueKeysMax: limits.invalidationQueueKeysMax,
      outcomeAgeMs: limits.outcomeAgeMs,
      outcomesMax: limits.outcomesMax,
      snapshotRetentionMs: limits.snapshotRetentionMs,
      ...options,
    };
    const ordered = await openStore();
    try {
      await checkFormat(ordered, all.storage);
      const store = new ObjectStore(openStore, all, ordered);
      all.log.info({ storage: all.storage, tid: store.position.tid, path: ordered.path }, "storage opened");
      return store;
    } catch (error) {
      await ordered.close();
      throw error;
    }
  }

  /** Last durable tid and its digest. */
  get position(): Position {
    return this.#position;
  }

  /** Snapshots below it cannot be read any more. */
  get historyFloor(): Tid {
    return this.#historyFloor;
  }

  /** Ids of transactions that began before it may be forgotten; commits of such snapshots are refused. */
  get idFloor(): Tid {
    return this.#outcomes.floor;
  }

  // ---- Reading

  /** Revision of `key` at `snapshot`. Throws SnapshotTooOldError below the history floor, BehindError above the last tid. */
  load(key: string, snapshot: Tid): Loaded {
    return this.#readAt(snapshot, (view, asOf) => {
      const { serial, value, next } = revisionAt(view, key, snapshot);
      return { serial, value, next, asOf };
    });
  }

  /** A page of `range` at `snapshot`: at most `rowsMax` objects looked at, `bytesMax` of keys and values but one row at least. Throws as `load`. */
  list(range: KeyRange, snapshot: Tid, rowsMax: number, bytesMax: number): Listed {
    assert(rowsMax > 0, "a page has room for a row");
    return this.#readAt(snapshot, (view, asOf) => ({ ...listAt(view, range, snapshot, rowsMax, bytesMax), asOf }));
  }

  /** What became of a transaction. Undefined: it did not commit, if it began at the id floor or later; below it nothing is known. */
  outcome(id: string): Outcome | undefined {
    return this.#outcomes.get(id);
  }

  /**
   * Transactions after `tid`, which is the tid of a transaction or 0: as many as the bounds allow, but one at least, whatever its keys.
   * None, and not whole, when the log does not reach back to it or never had it.
   */
  transactionsAfter(tid: Tid, countMax: number, keysMax: number): TransactionsAfter {
    const last = this.#position.tid;
    if (tid === last) return { transactions: [], whole: true };
    if (tid > last) return { transactions: [], whole: false };
    if (this.queueHas(tid)) return chainAfter(this.#queue.after(tid), tid, last, countMax, keysMax);
    return this.#read((view) => chainAfter(transactionsAfter(view, tid), tid, last, countMax, keysMax));
  }

  /** How many transactions after `tid` the log has. Costs one look-up. */
  countAfter(tid: Tid): number {
    const { transactions } = this.#position;
    if (tid >= this.#position.tid) return 0;
    return this.#read((view) => {
      const first = firstAfter(view, tid);
      return first === undefined ? 0 : Math.max(0, transactions - first.place + 1);
    });
  }

  /**
   * The transactions after `tid` for a client that missed them: as many as a page holds, but one at least. Pages begin at the same
   * transactions whoever asks, wherever the bounds on keys and bytes allow. None, and not whole, as `transactionsAfter`.
   */
  pageAfter(tid: Tid): LogPageAfter {
    const last = this.#position.tid;
    if (tid === last) return { transactions: [], whole: true };
    if (tid > last) return { transactions: [], whole: false };
    if (this.queueHas(tid)) return pageOfQueue(this.#queue.after(tid), tid, last);
    return this.#read((view) => pageOfLog(view, tid, last));
  }

  /** Head of the transaction with this tid; undefined: no transaction has it, or it was pruned. */
  headAt(tid: Tid): Pick<LoggedTransaction, "previous" | "tid" | "digest" | "id"> | undefined {
    return this.#queue.at(tid) ?? this.#read((view) => headAt(view, tid));
  }

  /** Digest of the history up to transaction `tid`, durable but perhaps above `position` yet; undefined: there is none of this tid, or it was pruned. */
  digestAt(tid: Tid): string | undefined {
    if (tid === tidZero) return emptyHistory.digest;
    if (tid === this.#position.tid) return this.#position.digest;
    return this.#queue.at(tid)?.digest ?? this.#read((view) => headAt(view, tid)?.digest);
  }

  /** Keys `from` to `from + countMax` of a transaction. Throws SnapshotTooOldError when the log has it no more, BehindError when it is not there yet. */
  keysOf(tid: Tid, from: number, countMax: number): readonly string[] {
    if (tid > this.#position.tid) throw new BehindError({ snapshot: tid, last: this.#position.tid });
    const queued = this.#queue.at(tid);
    if (queued !== undefined) return queued.keys.slice(from, from + countMax);
    const keys = this.#read((view) => keysAt(view, tid, from, countMax));
    if (keys === undefined) throw new SnapshotTooOldError({ snapshot: tid, floor: this.#historyFloor });
    return keys;
  }

  /** The invalidation queue in memory has every transaction after `tid`. */
  queueHas(tid: Tid): boolean {
    return tid >= this.#queue.reach && tid <= this.#position.tid;
  }

  /** Whether the invalidation queue shows that no transaction has `tid`. Call it for a tid that is not above the last one. */
  queueLacks(tid: Tid): boolean {
    return tid > this.#queue.reach && this.#queue.at(tid) === undefined;
  }

  /** Sizes, at no cost. */
  stats(): ObjectStoreStats {
    return {
      objects: this.#position.objects,
      queue: this.#queue.size,
      outcomes: this.#outcomes.commitCount,
      fences: this.#outcomes.fenceCount,
    };
  }

  // ---- Writing

  /** Milliseconds that the next tid is given for. Throws ClockError. */
  nextTidMs(): number {
    return this.#tidClock.next(this.#position.tid);
  }

  /** Milliseconds that the last tid is ahead of the wall clock; 0 if it is not. */
  get tidsAheadMs(): number {
    return this.#tidClock.aheadMs(this.#position.tid);
  }

  /** The next batch. One is open at a time, until it was written or discarded. Throws WriteInDoubtError until the store was reopened. */
  openBatch(): CommitBatch {
    this.#begin("batch");
    return new CommitBatch({
      position: this.#position,
      historyFloor: this.#historyFloor,
      outcomes: this.#outcomes,
      outcomesMax: this.#options.outcomesMax,
      wallMs: this.#options.clock.now(),
      queue: this.#queue,
      read: (use) => this.#read(use),
      write: (batch, alone) => this.#writeBatch(batch, alone),
      discard: () => {
        this.#use = "idle";
      },
    });
  }

  /** Raises the history floor to the last transaction at `to`, or as far as retention allows; durable when it resolves. Between batches only. Rejects with WriteInDoubtError. */
  async raiseHistoryFloor(to: Tid): Promise<Tid> {
    const allowed = tidMinus(this.#position.tid, this.#options.snapshotRetentionMs);
    // A transaction's: between two of them the snapshots that are read are those of the earlier, which may still be the newest there is.
    const floor = this.#read((view) => lastAt(view, to < allowed ? to : allowed));
    if (floor === undefined || floor <= this.#historyFloor) return this.#historyFloor;
    this.#begin("writing");
    await this.#write([{ key: metaKey("historyFloor"), value: encodeTid(floor) }], false);
    this.#historyFloor = floor;
    this.#outcomes.raiseFloor(floor);
    this.#options.log.info({ storage: this.#options.storage, floor }, "history floor raised");
    return floor;
  }

  /**
   * Removes what lies below the floors, for at most about `budgetMs` of this process's time. Between batches only.
   * Rejects with WriteInDoubtError; what was interrupted is found again.
   */
  async pruneStep(budgetMs: number, clock: Clock): Promise<PruneStep> {
    this.#begin("writing");
    const plan = this.#planPruning(budgetMs, clock);
    if (plan.changes.length === 0) {
      this.#use = "idle";
    } else {
      await this.#write(plan.changes, false);
    }
    plan.apply();
    return { removed: plan.removed, done: plan.done };
  }

  /** Opens the store again after a write in doubt: position, outcomes and queue are then what is on disk. Rejects with InUseError or StoreError. */
  async reopen(): Promise<Position> {
    assert(this.#use !== "batch" && this.#use !== "writing", "a store is reopened when nothing is being written");
    if (this.#use === "idle") this.#use = "inDoubt";
    // A store that failed may fail to close, too; what matters is whether it opens.
    await this.#ordered.close().catch((error: unknown) => {
      this.#options.log.warn({ storage: this.#options.storage, error: String(error) }, "store in doubt did not close");
    });
    const reopened = await ObjectStore.open(this.#openStore, this.#options);
    this.#ordered = reopened.#ordered;
    this.#position = reopened.#position;
    this.#historyFloor = reopened.#historyFloor;
    this.#queue = reopened.#queue;
    this.#outcomes = reopened.#outcomes;
    this.#pruner = new HistoryPruner();
    this.#use = "idle";
    return this.#position;
  }

  /** Ends it, after what is being written. Idempotent. */
  async close(): Promise<void> {
    this.#use = "closed";
    await this.#ordered.close();
  }

  #planPruning(budgetMs: number, clock: Clock): ReturnType<HistoryPruner["plan"]> {
    try {
      return this.#read((view) => this.#pruner.plan(view, this.#historyFloor, this.#outcomes, budgetMs, clock));
    } catch (error) {
      this.#use = "idle";
      throw error;
    }
  }

  #writeBatch(batch: WrittenBatch, alone: boolean): Promise<void> | undefined {
    this.#use = "writing";
    const writing = this.#write(batch.changes, alone);
    if (writing !== undefined) return writing.then(() => this.#move(batch));
    this.#move(batch);
    return undefined;
  }

  #move({ transactions, fences, position }: WrittenBatch): void {
    this.#position = position;
    for (const transaction of transactions) {
      this.#queue.push(transaction);
      this.#outcomes.addCommit(transaction.id, transaction.tid);
    }
    for (const [id, last] of fences) this.#outcomes.addFence(id, last);
    this.#outcomes.forgetTo(tidMinus(position.tid, this.#options.outcomeAgeMs));
  }

  #begin(use: "batch" | "writing"): void {
    if (this.#use === "inDoubt") throw new WriteInDoubtError({ folder: this.#ordered.path });
    if (this.#use === "closed") throw new ClosedError({ what: this.#ordered.path });
    assert(this.#use === "idle", "one batch is open or being written at a time");
    this.#use = use;
  }

  #write(changes: readonly StoreChange[], alone: boolean): Promise<void> | undefined {
    const writing = this.#ordered.batch(changes, { alone });
    if (writing !== undefined) return this.#written(writing);
    this.#use = "idle";
    return undefined;
  }

  async #written(writing: Promise<void>): Promise<void> {
    try {
      await writing;
    } catch (error) {
      if (this.#isWriting) this.#use = "inDoubt";
      throw error;
    }
    if (this.#isWriting) this.#use = "idle";
  }

  get #isWriting(): boolean {
    return this.#use === "writing";
  }

  #readAt<T>(snapshot: Tid, use: (view: View, asOf: Position) => T): T {
    if (snapshot < this.#historyFloor) throw new SnapshotTooOldError({ snapshot, floor: this.#historyFloor });
    return this.#read((view) => {
      const asOf = this.#positionIn(view);
      if (snapshot > asOf.tid) throw new BehindError({ snapshot, last: asOf.tid });
      return use(view, asOf);
    });
  }

  /** The position in memory may lag behind a view: taken for its as-of, a revision could name a successor that comes after it. */
  #positionIn(view: View): Position {
    const record = view.get(positionKey);
    if (record === undefined) return emptyHistory;
    return decodeTid(record) === this.#position.tid ? this.#position : decodePosition(record);
  }

  #read<T>(use: (view: View) => T): T {
    // What a view shows then may turn out not to be on disk.
    if (this.#use === "inDoubt") throw new WriteInDoubtError({ folder: this.#ordered.path });
    return this.#ordered.read(use);
  }
}
