import type { Clock } from "../words/clock.js";
import type { Log } from "../words/log.js";
import type { Tid } from "../words/tid.js";
import type { Value } from "../words/value.js";
import type { OpenStore } from "./ordered-store.js";
import type { Position } from "./transaction.js";

/** One revision of one object, held in memory. Immutable; where the cache holds the revision twice they are equal. */
export interface CachedRevision {
  readonly serial: Tid;
  /** Decoded and frozen; undefined: absent. With a Date or bytes in it, only `give()` may leave the client. */
  readonly value: Value | undefined;
  /** The value, already resolved: what `get` returns when it can be shared. */
  readonly promise: Promise<Value | undefined>;
  /** The value, or a copy of it when it holds what cannot be frozen. */
  give(): Value | undefined;
}

/** A load under way. Invalidations newer than the oldest of these are remembered until it is ended. */
export interface LoadTicket {
  readonly snapshot: Tid;
}

/** A revision as a load brought it: valid in [serial, next), or in [serial, as-of] when `next` is undefined. */
export interface AdmittedRevision {
  readonly serial: Tid;
  /** Undefined: absent. */
  readonly value: Uint8Array | undefined;
  readonly next: Tid | undefined;
}

/** What one committed transaction replaced. Its place in the chain is checked. */
export interface AppliedInvalidation {
  readonly previous: Tid;
  readonly tid: Tid;
  readonly digest: string;
  readonly keys: readonly string[];
}

export interface ClientCacheOptions {
  readonly storage: string;
  readonly realm: string;
  /** Undefined: the cache is transient, in memory only. Opened with `durable: false`: it has to survive the process, not the system. */
  readonly open: OpenStore | undefined;
  readonly cacheBytesMax?: number;
  readonly memoryBytesMax?: number;
  /** Of this start of the system (storage/boot-id.ts). */
  readonly bootId: string;
  readonly log: Log;
  readonly clock: Clock;
}

export interface ClientCacheStats {
  readonly entries: number;
  readonly bytes: number;
  readonly memoryEntries: number;
  readonly memoryBytes: number;
  readonly hits: { readonly memory: number; readonly disk: number };
  readonly misses: number;
  readonly evictions: number;
  readonly closedRevisions: number;
}

export class ClientCache {
  static open(_options: ClientCacheOptions): Promise<ClientCache> {
    return Promise.reject(new Error("in the making"));
  }
  declare readonly position: Position;
  declare readonly asOf: Position;
  declare readonly isNew: boolean;
  declare readonly oldestSnapshot: Tid | undefined;
  declare find: (key: string, snapshot: Tid) => CachedRevision | undefined;
  declare openSnapshot: (snapshot: Tid) => void;
  declare closeSnapshot: (snapshot: Tid) => void;
  declare beginLoad: (snapshot: Tid) => LoadTicket;
  declare endLoad: (ticket: LoadTicket) => void;
  declare admit: (ticket: LoadTicket, key: string, revision: AdmittedRevision, asOf: Position) => CachedRevision;
  declare admitCommitted: (
    ticket: LoadTicket,
    writes: readonly { readonly key: string; readonly value: Uint8Array | undefined }[],
    committed: Position,
  ) => void;
  declare apply: (invalidation: AppliedInvalidation) => void;
  declare discard: (position: Position) => Promise<void>;
  declare flush: () => Promise<void>;
  declare stats: () => ClientCacheStats;
  declare close: () => Promise<void>;
  declare kill: () => void;
}
