import type { Seams } from "../../core/index.js";
import { assert } from "../../core/assert.js";
import type { Clock } from "../../core/clock.js";
import { BehindError, ClosedError, SnapshotTooOldError, WriteInDoubtError } from "../../core/errors.js";
import type { KeyRange } from "../../core/key.js";
import { limits } from "../../core/limits.js";
import { type Tid, tidMinus, tidZero } from "../../core/tid.js";
import { CommitBatch, type WrittenBatch } from "./commit-batch.js";
import { InvalidationQueue } from "./invalidation-queue.js";
import type { StoreChange, OpenStore, OrderedStore, View } from "../kv/ordered-store.js";
import type { Outcomes } from "./outcomes.js";
import { HistoryPruner, type PrunePlan } from "./pruner.js";
import { decodePosition, decodeTid, emptyHistory, encodeTid, metaKey, type PositionRecord } from "./records.js";
import { checkFormat, restore } from "./restore.js";
import { listAt, type Listed, type Loaded, revisionAt } from "./revisions.js";
import { type LogPageAfter, pageOfLog, pageOfQueue } from "./log-page.js";
import { TidClock } from "./tid-clock.js";
import { chainAfter, firstAfter, headAt, keysAt, lastAt, type TransactionsAfter, transactionsAfter } from "./transaction-log.js";
import type { LoggedTransaction, Outcome, Position } from "../../core/transaction.js";

export { CommitBatch } from "./commit-batch.js";
export { digestAfter } from "./records.js";
export { olderRevisionLooks } from "./revisions.js";

/** Name of a storage and how much of its past it keeps; a bound that is left out is the one in limits. */
export interface ObjectStoreOptions extends Pick<Seams, "clock" | "log"> {
  /** Name of the storage. A store holds one storage, always with the same name. */
  readonly storage: string;
  readonly invalidationQueueSize?: number;
  readonly invalidationQueueKeysMax?: number;
  readonly outcomeAgeMs?: number;
  readonly outcomesMax?: number;
  readonly snapshotRetentionMs?: number;
}

const positionKey = metaKey("position");

/**
 * "writing": a batch is open or being written, or a floor or a step of pruning is being written. Callers begin no write
 * before the end of the previous one; group commit provides the order.
 */
type WriteState = "idle" | "writing" | "inDoubt" | "closed";

/**
 * Objects of one storage with their history and the log of its transactions, above any OrderedStore.
 *
 * 1. Position, outcomes and queue in memory change when a batch is durable, never before. A batch in doubt changes none
 *    of them.
 * 2. A revision and its as-of are read from one view.
 * 3. One batch is open or being written at a time; raising the floor and pruning come between batches.
 * 4. Pruning keeps every entry that a snapshot at or above the history floor needs. The floor is durable before the
 *    entries below it are removed.
 */
export class ObjectStore {
  readonly #openStore: OpenStore;
  readonly #options: Required<ObjectStoreOptions>;
  #ordered: OrderedStore;
  #state: WriteState = "idle";
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

  /** Opens the storage; creates it in an empty store. Rejects with InUseError, or StoreError for other data. */
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

  /** Snapshots below this tid cannot be read any more. */
  get historyFloor(): Tid {
    return this.#historyFloor;
  }

  /** Commits whose snapshot is below this tid are refused: their ids may be forgotten. */
  get idFloor(): Tid {
    return this.#outcomes.floor;
  }

  // ---- Reading

  /** Revision of `key` at `snapshot`. Throws SnapshotTooOldError (below the history floor), BehindError (too new). */
  load(key: string, snapshot: Tid): Loaded {
    return this.#readAt(snapshot, (view, asOf) => {
      const { serial, value, next } = revisionAt(view, key, snapshot);
      return { serial, value, next, asOf };
    });
  }

  /**
   * Page of `range` at `snapshot`: at most `rowsMax` objects are visited. The page has at most `bytesMax` bytes, but at
   * least one row. Throws as `load`.
   */
  list(range: KeyRange, snapshot: Tid, rowsMax: number, bytesMax: number): Listed {
    assert(rowsMax > 0, "a page has room for a row");
    return this.#readAt(snapshot, (view, asOf) => ({ ...listAt(view, range, snapshot, rowsMax, bytesMax), asOf }));
  }

  /** Outcome of a transaction. Undefined: it did not commit, or it is forgotten: its snapshot is below the id floor. */
  outcome(id: string): Outcome | undefined {
    return this.#outcomes.get(id);
  }

  /**
   * Transactions after `tid`, which is the tid of a transaction or 0: as many as the bounds allow, but one at least.
   * Empty and not `whole` when the log does not reach back to `tid` or never had it.
   */
  transactionsAfter(tid: Tid, countMax: number, keysMax: number): TransactionsAfter {
    const last = this.#position.tid;
    if (tid === last) return { transactions: [], whole: true };
    if (tid > last) return { transactions: [], whole: false };
    if (this.queueHas(tid)) return chainAfter(this.#queue.after(tid), tid, last, countMax, keysMax);
    return this.#read((view) => chainAfter(transactionsAfter(view, tid), tid, last, countMax, keysMax));
  }

  /** Number of transactions after `tid` in the log. Costs one look-up. */
  countAfter(tid: Tid): number {
    const { transactions } = this.#position;
    if (tid >= this.#position.tid) return 0;
    return this.#read((view) => {
      const first = firstAfter(view, tid);
      return first === undefined ? 0 : Math.max(0, transactions - first.place + 1);
    });
  }

  /**
   * Transactions after `tid` for a client that missed them: as many as a page holds, but one at least. Where the bounds
   * on keys and bytes allow, pages begin at the same transactions for all clients. Empty as for `transactionsAfter`.
   */
  pageAfter(tid: Tid): LogPageAfter {
    const last = this.#position.tid;
    if (tid === last) return { transactions: [], whole: true };
    if (tid > last) return { transactions: [], whole: false };
    if (this.queueHas(tid)) return pageOfQueue(this.#queue.after(tid), tid, last);
    return this.#read((view) => pageOfLog(view, tid, last));
  }

  /** Head of the transaction with this tid; undefined: there is none, or it was pruned. */
  headAt(tid: Tid): Pick<LoggedTransaction, "previous" | "tid" | "digest" | "id"> | undefined {
    return this.#queue.at(tid) ?? this.#read((view) => headAt(view, tid));
  }

  /** Digest of the durable history up to transaction `tid`, which may be above `position`; undefined as `headAt`. */
  digestAt(tid: Tid): string | undefined {
    if (tid === tidZero) return emptyHistory.digest;
    if (tid === this.#position.tid) return this.#position.digest;
    return this.#queue.at(tid)?.digest ?? this.#read((view) => headAt(view, tid)?.digest);
  }

  /** Keys `from` to `from + countMax` of a transaction. Throws SnapshotTooOldError (pruned), BehindError. */
  keysOf(tid: Tid, from: number, countMax: number): readonly string[] {
    if (tid > this.#position.tid) throw new BehindError({ snapshot: tid, last: this.#position.tid });
    const queued = this.#queue.at(tid);
    if (queued !== undefined) return queued.keys.slice(from, from + countMax);
    const keys = this.#read((view) => keysAt(view, tid, from, countMax));
    if (keys === undefined) throw new SnapshotTooOldError({ snapshot: tid, floor: this.#historyFloor });
    return keys;
  }

  /** Whether the invalidation queue in memory has every transaction after `tid`. */
  queueHas(tid: Tid): boolean {
    return tid >= this.#queue.reach && tid <= this.#position.tid;
  }

  /** Whether the invalidation queue shows that no transaction has `tid`, which is not above the last one. */
  queueLacks(tid: Tid): boolean {
    return tid > this.#queue.reach && this.#queue.at(tid) === undefined;
  }

  /** Sizes, from counters: the call reads no records. */
  stats() {
    return {
      objects: this.#position.objects,
      queue: this.#queue.size,
      outcomes: this.#outcomes.commitCount,
      fences: this.#outcomes.fenceCount,
    };
  }

  // ---- Writing

  /** Time in milliseconds from which the next tid is made. Throws ClockError. */
  nextTidMs(): number {
    return this.#tidClock.next(this.#position.tid);
  }

  /** Milliseconds by which the last tid is ahead of the wall clock; 0 if it is not. */
  get tidsAheadMs(): number {
    return this.#tidClock.aheadMs(this.#position.tid);
  }

  /** The next batch, once the last one was written or discarded. Throws WriteInDoubtError until `reopen`. */
  openBatch(): CommitBatch {
    this.#begin();
    return new CommitBatch({
      position: this.#position,
      historyFloor: this.#historyFloor,
      outcomes: this.#outcomes,
      outcomesMax: this.#options.outcomesMax,
      wallMs: this.#options.clock.now(),
      queue: this.#queue,
      read: (use) => this.#read(use),
      write: (batch, alone) => this.#writeBatch(batch, alone),
      discard: () => this.#end("idle"),
    });
  }

  /**
   * Raises the history floor to the last transaction at `to`, or as far as retention allows; durable when it resolves.
   * Between batches only. Rejects with WriteInDoubtError.
   */
  async raiseHistoryFloor(to: Tid): Promise<Tid> {
    const allowed = tidMinus(this.#position.tid, this.#options.snapshotRetentionMs);
    // The floor is the tid of a transaction: it is the snapshot that clients read until the next one commits.
    const floor = this.#read((view) => lastAt(view, to < allowed ? to : allowed));
    if (floor === undefined || floor <= this.#historyFloor) return this.#historyFloor;
    this.#begin();
    await this.#write([{ key: metaKey("historyFloor"), value: encodeTid(floor) }], false);
    this.#historyFloor = floor;
    this.#outcomes.raiseFloor(floor);
    this.#options.log.info({ storage: this.#options.storage, floor }, "history floor raised");
    return floor;
  }

  /**
   * Removes entries below the floors, for about `budgetMs` of this process's time at most. Between batches only.
   * Rejects with WriteInDoubtError; a later step finds the entries that this one left.
   */
  async pruneStep(budgetMs: number, clock: Clock): Promise<Pick<PrunePlan, "removed" | "done">> {
    this.#begin();
    const plan = this.#planPruning(budgetMs, clock);
    if (plan.changes.length === 0) this.#end("idle");
    else await this.#write(plan.changes, false);
    plan.apply();
    return { removed: plan.removed, done: plan.done };
  }

  /** Opens the store again and reads the state in memory from the disk. Rejects with InUseError or StoreError. */
  async reopen(): Promise<Position> {
    assert(this.#state !== "writing", "a store is reopened when nothing is being written");
    if (this.#state === "idle") this.#state = "inDoubt";
    // A store that failed may also fail to close. Only a failure to open it counts.
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
    this.#state = "idle";
    return this.#position;
  }

  /** Closes the storage after the write in progress. Idempotent. */
  async close(): Promise<void> {
    this.#state = "closed";
    await this.#ordered.close();
  }

  #planPruning(budgetMs: number, clock: Clock): PrunePlan {
    try {
      return this.#read((view) => this.#pruner.plan(view, this.#historyFloor, this.#outcomes, budgetMs, clock));
    } catch (error) {
      this.#end("idle");
      throw error;
    }
  }

  #writeBatch(batch: WrittenBatch, alone: boolean): Promise<void> | undefined {
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

  #begin(): void {
    if (this.#state === "inDoubt") throw new WriteInDoubtError({ folder: this.#ordered.path });
    if (this.#state === "closed") throw new ClosedError({ what: this.#ordered.path });
    assert(this.#state === "idle", "one batch is open or being written at a time");
    this.#state = "writing";
  }

  /** A store that was closed meanwhile stays closed. */
  #end(state: "idle" | "inDoubt"): void {
    if (this.#state === "writing") this.#state = state;
  }

  #write(changes: readonly StoreChange[], alone: boolean): Promise<void> | undefined {
    const writing = this.#ordered.batch(changes, { alone });
    if (writing !== undefined) return this.#written(writing);
    this.#end("idle");
    return undefined;
  }

  async #written(writing: Promise<void>): Promise<void> {
    try {
      await writing;
    } catch (error) {
      this.#end("inDoubt");
      throw error;
    }
    this.#end("idle");
  }

  #readAt<T>(snapshot: Tid, use: (view: View, asOf: Position) => T): T {
    if (snapshot < this.#historyFloor) throw new SnapshotTooOldError({ snapshot, floor: this.#historyFloor });
    return this.#read((view) => {
      const asOf = this.#positionIn(view);
      if (snapshot > asOf.tid) throw new BehindError({ snapshot, last: asOf.tid });
      return use(view, asOf);
    });
  }

  /** Position of the view. The position in memory may be older: a revision could then have a next above its as-of. */
  #positionIn(view: View): Position {
    const record = view.get(positionKey);
    if (record === undefined) return emptyHistory;
    return decodeTid(record) === this.#position.tid ? this.#position : decodePosition(record);
  }

  #read<T>(use: (view: View) => T): T {
    // A view may show a batch in doubt, and the batch may turn out not to be on disk.
    if (this.#state === "inDoubt") throw new WriteInDoubtError({ folder: this.#ordered.path });
    return this.#ordered.read(use);
  }
}
