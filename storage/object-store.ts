import { assert } from "../words/assert.js";
import type { Clock } from "../words/clock.js";
import type { KeyRange } from "../words/key.js";
import type { Log } from "../words/log.js";
import type { Tid } from "../words/tid.js";
import { CommitBatch } from "./commit-batch.js";
import type { OpenStore } from "./ordered-store.js";
import type { LoggedTransaction, Outcome, Position } from "./transaction.js";

export { CommitBatch } from "./commit-batch.js";
export type { CommitRequest, LoggedTransaction, Outcome, Position, Write } from "./transaction.js";

/** What a key held at a snapshot, and for how long. */
export interface Revision {
  /** Tid of the transaction that wrote it; of the deletion, or 0, when absent. */
  readonly serial: Tid;
  /** Undefined: absent at the snapshot. */
  readonly value: Uint8Array | undefined;
  /** Tid of the transaction that replaced it; undefined: current at `asOf`. */
  readonly next: Tid | undefined;
}

export interface Loaded extends Revision {
  /** Last durable position of the view that the revision was read from. */
  readonly asOf: Position;
}

export interface ListedRow {
  readonly key: string;
  readonly serial: Tid;
  readonly value: Uint8Array;
  readonly next: Tid | undefined;
}

export interface Listed {
  /** In the order of keys. */
  readonly rows: readonly ListedRow[];
  readonly asOf: Position;
  /** Listed up to this key (not included), because the page is full; undefined: the whole range. */
  readonly end: string | undefined;
}

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

export interface TransactionsAfter {
  /** In the order of commits, the first one following the tid that was asked for. */
  readonly transactions: readonly LoggedTransaction[];
  /** They reach the last durable tid. */
  readonly whole: boolean;
}

export interface PruneStep {
  /** Entries removed by this step. */
  readonly removed: number;
  /** Nothing below the floor is left. */
  readonly done: boolean;
}

export interface ObjectStoreStats {
  readonly queue: { readonly transactions: number; readonly keys: number };
  readonly outcomes: number;
  readonly fences: number;
}

/** The objects, history and log of one storage, above any OrderedStore. */
export class ObjectStore {
  static open(_openStore: OpenStore, _options: ObjectStoreOptions): Promise<ObjectStore> {
    return Promise.reject(new Error("in the making"));
  }
  /** Last durable tid and its digest. */
  declare readonly position: Position;
  declare readonly historyFloor: Tid;
  declare readonly idFloor: Tid;
  declare load: (key: string, snapshot: Tid) => Loaded;
  declare list: (range: KeyRange, snapshot: Tid, rowsMax: number, bytesMax: number) => Listed;
  declare outcome: (id: string) => Outcome | undefined;
  declare openBatch: () => CommitBatch;
  declare transactionsAfter: (tid: Tid, countMax: number, keysMax: number) => TransactionsAfter;
  declare digestAt: (tid: Tid) => string | undefined;
  declare keysOf: (tid: Tid, from: number, countMax: number) => readonly string[];
  declare queueHas: (tid: Tid) => boolean;
  declare raiseHistoryFloor: (to: Tid) => Promise<Tid>;
  declare pruneStep: (budgetMs: number, clock: Clock) => Promise<PruneStep>;
  declare reopen: () => Promise<Position>;
  declare stats: () => ObjectStoreStats;
  declare close: () => Promise<void>;
  private constructor() {
    assert(true, "the skeleton stands");
  }
}
