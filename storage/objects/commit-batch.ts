import { assert } from "../../core/assert.js";
import { BehindError, ConflictError, ServerBusyError, SnapshotTooOldError } from "../../core/errors.js";
import { type Tid, tidAfter } from "../../core/tid.js";
import type { Restored } from "./restore.js";
import type { StoreChange, View } from "../kv/ordered-store.js";
import {
  digestAfter,
  encodeKeys,
  encodeLog,
  encodePosition,
  encodeRevision,
  encodeTid,
  fenceKey,
  historyKey,
  keysKey,
  keysPerPart,
  logKey,
  metaKey,
  objectKey,
  type PositionRecord,
  tidOfRevision,
  withTid,
} from "./records.js";
import { RangeSet } from "./range-set.js";
import { isPresent } from "./revisions.js";
import { transactionsAfter } from "./transaction-log.js";
import type { CommitRequest, LoggedTransaction, Outcome } from "../../core/transaction.js";

/**
 * Maximum number of keys of the log that the ranges of one commit are compared with, so that its validation does not
 * delay other commits. A commit with an older snapshot must begin again.
 */
const comparedKeysMax = 10_000;

/** Base of a batch: the durable state, which does not change while the batch is open. */
export interface BatchBase extends Restored {
  readonly outcomesMax: number;
  /** Wall clock when the batch was opened. */
  readonly wallMs: number;
  read<T>(use: (view: View) => T): T;
  /** Writes the batch and ends it; undefined: it is durable already. Rejects with WriteInDoubtError. */
  write(batch: WrittenBatch, alone: boolean): Promise<void> | undefined;
  /** Ends the batch without writing. */
  discard(): void;
}

/** Changes of a batch, and the state that holds once they are durable. */
export interface WrittenBatch {
  readonly changes: readonly StoreChange[];
  readonly transactions: readonly LoggedTransaction[];
  readonly fences: ReadonlyMap<string, Tid>;
  readonly position: PositionRecord;
}

/**
 * Transactions that become durable together. Each is validated against the durable state and the transactions before it
 * in the batch; it gets its tid and its predecessor when it is added. Nothing of the batch is visible before `write`
 * resolves.
 */
export class CommitBatch {
  readonly #base: BatchBase;
  readonly #changes: StoreChange[] = [];
  readonly #transactions: LoggedTransaction[] = [];
  readonly #tids = new Map<string, Tid>();
  readonly #fences = new Map<string, Tid>();
  /** Serial of each key written in this batch. */
  readonly #written = new Map<string, Tid>();
  /** Durable records of keys that were validated for writing: `addTransaction` needs them again, as history. */
  readonly #replaced = new Map<string, Uint8Array | undefined>();
  #position: PositionRecord;
  #bytes = 0;
  #isOpen = true;

  constructor(base: BatchBase) {
    this.#base = base;
    this.#position = base.position;
  }

  get transactions(): readonly LoggedTransaction[] {
    return this.#transactions;
  }

  /** Bytes of the keys and values to write. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#changes.length === 0;
  }

  /**
   * Validates against the durable state and the transactions before it in this batch; adds nothing. Throws
   * ConflictError, SnapshotTooOldError or BehindError.
   * The caller must look up the id with `outcome` first: a copy of a commit would conflict with itself.
   */
  validate(request: CommitRequest): void {
    assert(this.#isOpen, "a batch validates only while it is open");
    const { snapshot } = request;
    const floor = Math.max(this.#base.historyFloor, this.#base.outcomes.floor) as Tid;
    if (snapshot < floor) throw new SnapshotTooOldError({ snapshot, floor });
    const last = this.#base.position.tid;
    if (snapshot > last) throw new BehindError({ snapshot, last });
    this.#base.read((view) => {
      for (const { key } of request.writes) {
        const record = this.#durable(view, key);
        this.#check(key, snapshot, record);
      }
      if (!request.serializable) return;
      for (const key of request.reads) {
        const record = this.#replaced.has(key) ? this.#replaced.get(key) : view.get(objectKey(key));
        this.#check(key, snapshot, record);
      }
      if (request.ranges.length > 0) this.#checkRanges(view, new RangeSet(request.ranges), snapshot);
    });
  }

  /** Gives a validated transaction the next tid and adds its writes, log record and id. */
  addTransaction(request: CommitRequest, nowMs: number): LoggedTransaction {
    assert(this.#isOpen, "a batch takes transactions only while it is open");
    const { id, writes } = request;
    assert(this.outcome(id) === undefined, "a transaction is added once");
    const previous = this.#position.tid;
    const tid = tidAfter(previous, nowMs);
    const keys: string[] = [];
    let { objects } = this.#position;
    const transactions = this.#position.transactions + 1;
    this.#base.read((view) => {
      for (const { key, value } of writes) {
        assert(!this.#written.has(key), "an object is written once in a batch");
        this.#written.set(key, tid);
        keys.push(key);
        const replaced = this.#durable(view, key);
        if (replaced !== undefined) this.#put(historyKey(key, tidOfRevision(replaced)), withTid(replaced, tid));
        this.#put(objectKey(key), encodeRevision(tid, value));
        objects += (value === undefined ? 0 : 1) - (isPresent(replaced) ? 1 : 0);
      }
    });
    const digest = digestAfter(this.#position.digest, id, tid);
    const transaction: LoggedTransaction = { previous, tid, digest, id, keys };
    this.#put(logKey(tid), encodeLog(transaction, transactions));
    for (let part = 1; part * keysPerPart < keys.length; part++) this.#put(keysKey(tid, part), encodeKeys(keys, part));
    this.#transactions.push(transaction);
    this.#tids.set(id, tid);
    this.#position = { tid, digest, objects, transactions, wallMs: this.#base.wallMs };
    return transaction;
  }

  /**
   * Adds a fence: once the batch is durable, `outcome(id)` is "fenced", so that no late copy commits.
   * Throws ServerBusyError when the maximum number of fences is kept.
   */
  fence(id: string): void {
    assert(this.#isOpen, "a batch takes fences only while it is open");
    const outcome = this.outcome(id);
    if (outcome?.type === "fenced") return;
    assert(outcome === undefined, "a committed transaction is not fenced");
    const { outcomes, outcomesMax } = this.#base;
    if (outcomes.fenceCount + this.#fences.size >= outcomesMax) throw new ServerBusyError({ what: "fences", countMax: outcomesMax });
    const last = this.#position.tid;
    this.#fences.set(id, last);
    this.#put(fenceKey(id), encodeTid(last));
  }

  /**
   * Outcome of an id of this batch, otherwise the durable one. The outcome of an id of this batch is valid only once
   * the batch is durable.
   */
  outcome(id: string): Outcome | undefined {
    const tid = this.#tids.get(id);
    if (tid !== undefined) return { type: "committed", tid };
    return this.#fences.has(id) ? { type: "fenced" } : this.#base.outcomes.get(id);
  }

  /**
   * Writes the batch. It is durable when the promise resolves, or at once when the call returns undefined; then, and
   * only then, position, outcomes and queue of the store change. Rejects with WriteInDoubtError.
   */
  write(options: { readonly alone: boolean }): Promise<void> | undefined {
    assert(!this.isEmpty, "a batch that is written is not empty");
    this.#end();
    const position = this.#position;
    if (this.#transactions.length > 0) this.#put(metaKey("position"), encodePosition(position));
    return this.#base.write({ changes: this.#changes, transactions: this.#transactions, fences: this.#fences, position }, options.alone);
  }

  /** Ends the batch; nothing of it is written. */
  discard(): void {
    this.#end();
    this.#base.discard();
  }

  #end(): void {
    assert(this.#isOpen, "a batch ends once");
    this.#isOpen = false;
  }

  #put(key: Uint8Array, value: Uint8Array): void {
    this.#changes.push({ key, value });
    this.#bytes += key.length + value.length;
  }

  #durable(view: View, key: string): Uint8Array | undefined {
    const known = this.#replaced.get(key);
    if (known !== undefined || this.#replaced.has(key)) return known;
    const record = view.get(objectKey(key));
    this.#replaced.set(key, record);
    return record;
  }

  #check(key: string, snapshot: Tid, durable: Uint8Array | undefined): void {
    const current = this.#written.get(key) ?? (durable === undefined ? undefined : tidOfRevision(durable));
    if (current !== undefined && current > snapshot) throw new ConflictError({ key, base: snapshot, current });
  }

  /**
   * Throws ConflictError when a key in a range was created, changed or deleted since the snapshot. The keys come from
   * the queue if it reaches back to the snapshot, otherwise from the log.
   */
  #checkRanges(view: View, ranges: RangeSet, snapshot: Tid): void {
    const { queue } = this.#base;
    if (snapshot >= queue.reach) {
      for (const transaction of queue.after(snapshot)) checkRangesAgainst(transaction, ranges, snapshot);
    } else {
      let compared = 0;
      for (const transaction of transactionsAfter(view, snapshot)) {
        compared += 1 + transaction.keys.length;
        if (compared > comparedKeysMax) throw new SnapshotTooOldError({ snapshot, floor: queue.reach });
        checkRangesAgainst(transaction, ranges, snapshot);
      }
    }
    for (const transaction of this.#transactions) checkRangesAgainst(transaction, ranges, snapshot);
  }
}

function checkRangesAgainst({ tid, keys }: LoggedTransaction, ranges: RangeSet, snapshot: Tid): void {
  for (const key of keys) {
    if (ranges.has(key)) throw new ConflictError({ key, base: snapshot, current: tid });
  }
}
