import type { EntryStats } from "../../storage/results/entry-store.js";
import type { BusState } from "../../transport/bus.js";
import type { Duration } from "../../core/index.js";
import type { RuleOptions } from "./core.js";
import type { IntakeCounts } from "./invalidations.js";
import type { CacheObserver } from "./observers.js";
import type { Pruned } from "./pruner.js";
import type { Cacheable } from "./cacheable.js";
import type { CallCounts } from "./cached-calls.js";
import type { Publication } from "./publication.js";
import type { BucketCounts } from "./shared-tier.js";
import type { Tags } from "./tag-list.js";

declare const moment: unique symbol;

/** What was known at one moment: given by `now`, taken by `set`. */
export interface Moment {
  readonly [moment]: true;
}

/** How a value of the caller's own is kept. */
export interface SetOptions extends RuleOptions {
  /** What the value depends on. */
  readonly tags?: Tags | undefined;
  /** What was known before the value was computed. Default: it counts as computed at the call. */
  readonly since?: Moment | undefined;
}

/** How a value is kept that is computed when there is none. */
export interface GetOrSetOptions extends RuleOptions {
  readonly tags?: Tags | undefined;
  /** Ends the wait of this caller, and nobody else's. */
  readonly signal?: AbortSignal | undefined;
}

/** What a cache holds, and how it is. */
export interface CacheStats extends CallCounts, IntakeCounts, BucketCounts {
  readonly entries: number;
  readonly bytes: number;
  readonly evictions: number;
  /** The folder, if the cache has one. The fields above count the memory in front of it. */
  readonly disk: EntryStats | undefined;
  /** Tags that have versions of their own here. */
  readonly tags: number;
  /** Invalidations of this node that the bus has not acknowledged. */
  readonly outbox: number;
  /** Undefined: this process is alone. */
  readonly bus: BusState | undefined;
  /** What keeps the bus from following, or from publishing: undefined when nothing does. */
  readonly busTrouble: string | undefined;
  /** Since the bus last proved that no invalidation is missing, in milliseconds; Infinity before it first did. */
  readonly busHeardMs: number | undefined;
  /** Results that could not be kept. */
  readonly keepFailures: number;
  /** What is kept is known well enough to be served. */
  readonly isInTouch: boolean;
}

/** Results of functions, kept under tags until one of those is invalidated, on any node. */
export interface Cache extends AsyncDisposable {
  /** A function whose results are kept; or a decorator of a method. */
  readonly cacheable: Cacheable;
  /** The computation that is running depends on `tags` too. Throws OutsideComputationError, InvalidTagError. */
  addDeps(tags: Tags): void;
  /**
   * What depends on a tag, or on one below it, is stale: here at once, at other nodes once it is `published`. Rejects with InvalidTagError,
   * ClosedError, NotAuthorizedError when the broker does not let this node publish it, and with WriteInDoubtError when LMDB can neither keep the invalidation nor be kept from giving what it held before.
   */
  invalidate(tags: Tags): Promise<Publication>;
  /** What was kept for `key` by `set`, or by a function whose `key(…)` it is; undefined when nothing is kept. Nothing is computed. */
  get<Value = unknown>(key: string): Promise<Value | undefined>;
  /** The value of `key`, computed once for all who ask when there is none. */
  getOrSet<Value>(key: string, compute: () => Value | PromiseLike<Value>, options?: GetOrSetOptions): Promise<Value>;
  /** Keeps `value`; what other nodes have for `key` is stale. */
  set(key: string, value: unknown, options?: SetOptions): Promise<Publication>;
  delete(key: string): Promise<Publication>;
  /** Everything is stale, at all nodes. */
  clear(): Promise<Publication>;
  /**
   * Removes entries that lapsed, and tags that nothing has depended on for `unused`. Default: autoPruneSecs. Resolves
   * when a whole sweep that began after this call has ended. One sweep runs at a time: calls during a sweep share the
   * next one and its result, with the shortest `unused` among theirs. Rejects with ClosedError if the cache is closed
   * before the sweep has ended.
   */
  prune(unused?: Duration): Promise<Pruned>;
  /** Number of the latest invalidation that counts for `tag`; 0: none is known. */
  tagVersion(tag: string): number;
  /** For the `since` of a `set`: to be called before the value is computed. */
  now(): Moment;
  stats(): CacheStats;
  /** Tells `observer` how long things take, until what this gives is called. */
  observe(observer: CacheObserver): () => void;
  /**
   * Ends it; what LMDB keeps stays. Invalidations under way have a moment to be published while the bus is there. An `invalidate` that is not
   * published by then resolves to `queued` when LMDB keeps it, else it rejects with ClosedError, as all do that come later. Idempotent.
   * A link that is silent holds it up for limits.cacheCloseTimeoutMs at most.
   */
  close(): Promise<void>;
}
