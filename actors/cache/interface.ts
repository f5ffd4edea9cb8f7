import type { EntryStats } from "../../storage/results/entry-store.js";
import type { BusState } from "../../transport/bus.js";
import type { Duration } from "../../core/index.js";
import type { RuleOptions } from "./core.js";
import type { IntakeCounts } from "./invalidations.js";
import type { CacheObserver } from "./observers.js";
import type { Pruned } from "./pruner.js";
import type { Cacheable } from "./cacheable.js";
import type { CallCounts } from "./cached-calls.js";
import type { Publication } from "./outbox.js";
import type { BucketCounts } from "./shared-tier.js";
import type { Tags } from "./tag-list.js";

declare const moment: unique symbol;

/** The state of a node's knowledge at one moment: `now` returns it, `set` takes it. */
export interface Moment {
  readonly [moment]: true;
}

/** How a value that the caller provides is kept. */
export interface SetOptions extends RuleOptions {
  /** Tags that the value depends on. */
  readonly tags?: Tags | undefined;
  /** The moment before the value was computed. Default: the value counts as computed at the call. */
  readonly since?: Moment | undefined;
}

/** How a value that `getOrSet` computes is kept. */
export interface GetOrSetOptions extends RuleOptions {
  readonly tags?: Tags | undefined;
  /** An abort ends the wait of this caller only. */
  readonly signal?: AbortSignal | undefined;
}

/** Counts and state of a cache. */
export interface CacheStats extends CallCounts, IntakeCounts, BucketCounts, EntryStats {
  /** The folder, if the cache has one. The fields above count the memory in front of it. */
  readonly disk: EntryStats | undefined;
  /** Tags that have their own versions at this node. */
  readonly tags: number;
  /** Invalidations of this node that the bus has not acknowledged. */
  readonly outbox: number;
  /** Undefined: this process is alone. */
  readonly bus: BusState | undefined;
  /** Why the bus does not follow, or cannot publish; undefined: no known problem. */
  readonly busTrouble: string | undefined;
  /** Milliseconds since the bus last proved that no invalidation is missing; Infinity before the first proof. */
  readonly busHeardMs: number | undefined;
  /** Results that could not be kept. */
  readonly keepFailures: number;
  /** Whether this node knows the invalidations well enough to serve results. */
  readonly isInTouch: boolean;
}

/** Results of functions, kept under tags until one of the tags is invalidated, at any node. */
export interface Cache extends AsyncDisposable {
  /** Wraps a function and keeps its results; or decorates a method. */
  readonly cacheable: Cacheable;
  /** Adds `tags` to the running computation. Throws OutsideComputationError, InvalidTagError. */
  addDeps(tags: Tags): void;
  /**
   * Invalidates results under a tag and the tags below it: here at once, at other nodes once it is `published`. Rejects
   * with InvalidTagError, with ClosedError, with NotAuthorizedError if the broker does not let this node publish it,
   * and with WriteInDoubtError if LMDB can neither keep the invalidation nor be prevented from returning older results.
   */
  invalidate(tags: Tags): Promise<Publication>;
  /**
   * The value that `set` kept for `key`, or the result of a cached function whose `key(…)` it is; undefined: none is
   * kept. Computes nothing.
   */
  get<Value = unknown>(key: string): Promise<Value | undefined>;
  /** The kept value of `key`; without one, computes it once for all concurrent callers. */
  getOrSet<Value>(key: string, compute: () => Value | PromiseLike<Value>, options?: GetOrSetOptions): Promise<Value>;
  /** Keeps `value`, and invalidates the values of other nodes for `key`. */
  set(key: string, value: unknown, options?: SetOptions): Promise<Publication>;
  delete(key: string): Promise<Publication>;
  /** Invalidates everything, at all nodes. */
  clear(): Promise<Publication>;
  /**
   * Removes entries that lapsed, and tags that nothing has depended on for `unused`. Default: autoPruneSecs. Resolves
   * when a whole sweep that began after this call has ended. One sweep runs at a time: calls during a sweep share the
   * next one and its result, with the shortest `unused` among theirs. Rejects with ClosedError if the cache is closed
   * before the sweep has ended.
   */
  prune(unused?: Duration): Promise<Pruned>;
  /** Number of the latest invalidation that affects `tag`; 0: none is known. */
  tagVersion(tag: string): number;
  /** For the option `since` of `set`: call it before you compute the value. */
  now(): Moment;
  stats(): CacheStats;
  /** Notifies `observer` of durations, until the returned function is called. */
  observe(observer: CacheObserver): () => void;
  /**
   * Closes the cache; LMDB keeps its results. Invalidations in progress get a moment to be published if the bus is
   * there. An `invalidate` that is not published by then resolves to `queued` if LMDB keeps it, otherwise rejects with
   * ClosedError, as all later calls do. Idempotent. A silent link delays it by at most limits.cacheCloseTimeoutMs.
   */
  close(): Promise<void>;
}
