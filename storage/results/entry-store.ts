import type { ValueMode } from "./kept-value.js";
import type { ObjectRead, Tag } from "../../core/index.js";

/**
 * One tier of the semantic cache: it keeps results. Tiers are in memory and in LMDB; the bucket that nodes share keeps
 * promises 1, 2 and 4 as well.
 *
 * Promises of every tier (test/suites/entry-store.ts and result-tier.ts check them for each tier):
 *
 * 1. Never stale. `get` returns no entry, and `put` keeps none, whose computation began before an invalidation, applied
 *    here, of a tag that it depends on, or of a parent of that tag. A tier may forget an entry at any time; it never
 *    invents one.
 * 2. Never expired. An entry is returned until its time to live has passed since it was put, or, when it slides, since
 *    it was last returned; a deadline is exact to within `limits.cacheTickMs`.
 * 3. Bounded. After each `put` there are at most `entriesMax` entries with at most `bytesMax` bytes; the least recently
 *    used entries are removed first.
 * 4. Unchanged. `get` returns the value that was put, or a copy of it, even if callers change theirs; except values
 *    that are shared by choice.
 *
 * Everything is synchronous: a tier belongs to one process.
 * `Began` is the state of the tier when a computation began; a tier accepts only results of its own `begin`.
 */
export interface EntryStore<Began = unknown> {
  readonly kind: "memory" | "lmdb";

  /** Call it before a computation reads anything, and pass the result to `put`. It costs one object. */
  begin(): Began;

  /** The entry, when it is neither stale nor expired; extends it when it slides. */
  get(key: string): Entry | undefined;

  /** Facts about the entry that `get` would return. Does not count as a use. */
  peek(key: string): EntryFacts | undefined;

  /**
   * Keeps `value`, and returns the kept entry; undefined: the value is not kept, and the previous entry is removed.
   * A value is not kept when it is stale or expired already, is larger than the tier, or too many bytes wait to be
   * written.
   * Throws InvalidValueError for a value that this tier cannot hold.
   */
  put(key: string, value: unknown, how: Keeping<Began>): Entry | undefined;

  /** Whether the entry existed. */
  delete(key: string): boolean;

  clear(): void;

  /**
   * Keys of all entries, including stale and expired ones that are not removed yet. Lazy: it may include changes made
   * meanwhile or not.
   */
  keys(): Iterable<string>;

  /**
   * Removes stale and expired entries, for at most `budgetMs`. The next call continues where this one ended; `done`
   * means that the round is complete.
   */
  sweep(budgetMs: number): Swept;

  /**
   * Removes entries that expired a second or more ago, for at most `budgetMs`. Cost: proportional to the removed
   * entries; no others are visited.
   */
  expire(budgetMs: number): Swept;

  /** Time at which `expire` next has work, on the monotonic clock; Infinity: no entry expires. */
  readonly expiresNextMs: number;

  /** Calls `listener` with `expiresNextMs` each time it becomes earlier. There is one listener. */
  onExpiresEarlier(listener: (atMs: number) => void): void;

  stats(): EntryStats;

  /** Resolves when all earlier changes survive the process; in memory at once. Rejects with WriteInDoubtError. */
  flush(): Promise<void>;

  /** Flushes and closes the tier. Idempotent. */
  close(): Promise<void>;
}

/** Result of one step of sweeping. */
export interface Swept {
  readonly removed: number;
  /** Nothing is left to remove for now. */
  readonly done: boolean;
}

/** Bounds of a tier, and the form in which it returns values. */
export interface EntryBounds {
  readonly entriesMax?: number | undefined;
  /**
   * Bytes of keys, values and facts about entries: in memory approximately, on disk without LMDB's own pages. Default:
   * no bound.
   */
  readonly bytesMax?: number | undefined;
  /** Default: "frozen". */
  readonly values?: ValueMode | undefined;
}

/** How to keep a value. */
export interface Keeping<Began> {
  /** Tags that the value depends on, including those of nested results. The array is kept itself: do not change it. */
  readonly tags: readonly Tag[];
  /**
   * Tiers in memory: reads of object stores that it depends on; it is not kept when one of them is stale. The array is
   * kept itself. Default: none.
   */
  readonly reads?: readonly ObjectRead[] | undefined;
  readonly began: Began;
  /** Time to live; undefined: until it is stale or is evicted. */
  readonly ttlMs?: number | undefined;
  /** Whether each read renews the time to live. Default: false. */
  readonly slides?: boolean | undefined;
  /**
   * Tiers in memory: time after it became stale or expired during which `last` still returns it. Default: that of the
   * tier.
   */
  readonly graceMs?: number | undefined;
  /** Rest of its time to live, for an entry from another tier. Default: ttlMs. */
  readonly leftMs?: number | undefined;
}

/**
 * A kept result. In memory it is one object as long as it is kept, so that a promise set in `promise` is there at the
 * next hit.
 * From LMDB it is a new object each time.
 */
export interface Entry {
  readonly key: string;
  /** Callers get it through `valueOf`, unless `isShared`. */
  readonly value: unknown;
  /** All callers may get `value` itself: it is deeply frozen, or shared by choice. */
  readonly isShared: boolean;
  readonly tags: readonly Tag[];
  /** Tiers in memory: reads of object stores that it depends on; undefined: none. */
  readonly reads?: readonly ObjectRead[] | undefined;
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  /** When it was put and when it expires, both on the monotonic clock; Infinity: never. */
  readonly storedMs: number;
  readonly expiresMs: number;
  /** `value` as a resolved promise, set once by the code that returns the value. */
  promise: Promise<unknown> | undefined;
}

/** Facts about an entry, without its value. */
export type EntryFacts = Pick<Entry, "key" | "tags" | "ttlMs" | "slides" | "storedMs" | "expiresMs">;

/** Size of a tier, and evictions since it was opened. */
export interface EntryStats {
  readonly entries: number;
  /** 0 in a tier in memory without any bound, which does not measure its entries. */
  readonly bytes: number;
  readonly evictions: number;
}

/** A version of the bus. */
export interface EntryVersion {
  readonly epoch: string;
  readonly sequence: number;
}

/** A version, and the time at which the bus assigned it: enough to continue from it after a restart. */
export interface EntryPosition extends EntryVersion {
  /** Wall clock of the broker, milliseconds since 1970. */
  readonly time: number;
}

/** Sequence and time of an event, in the epoch of the tier's position. */
export type AppliedAt = Omit<EntryPosition, "epoch">;

/** A tag, and the sequence of its latest invalidation. */
export interface TagSequence {
  readonly tag: Tag;
  readonly sequence: number;
}

/** An invalidation of this node that has no sequence yet. */
export interface QueuedInvalidation {
  /** Identifies it for `settle`, also after a restart. A later process publishes it under another id. */
  readonly id: string;
  readonly tag: Tag;
}

/**
 * A tier that survives the process. Everything it needs to be correct when it is opened again is in one environment and
 * in one batch: entries, versions of tags, the applied position, and the invalidations that are not published yet.
 *
 * 5. The position is never ahead of the applied invalidations: after a kill at any moment, the tier opens at one
 *    position, has applied everything up to it, and misses nothing that was flushed.
 * 6. No entry under the tag of a queued invalidation is returned or kept if its computation began before the
 *    invalidation got its sequence.
 */
export interface PersistentEntryStore extends EntryStore<EntryVersion> {
  /**
   * Position up to which invalidations were applied; undefined: none yet, and `reset` sets the first. A new object for
   * each position.
   */
  readonly position: EntryPosition | undefined;
  /** False once the disk is lost: later changes are in memory only, also after `flush`. */
  readonly isKeeping: boolean;
  /** Queued invalidations in their order; after opening, those of an earlier process. */
  queued(): readonly QueuedInvalidation[];

  /** The sequence of the latest invalidation that counts for `tag`, also over restarts; 0: none is known. */
  tagVersion(tag: Tag): number;
  /** Tags that were invalidated last, the latest first: at most limits.knownInvalidationsMax. */
  latestVersions(): readonly TagSequence[];
  /**
   * Applies an invalidation of the bus. Sequences below the position are allowed, because a replay may begin before it.
   */
  apply(tag: Tag, at: AppliedAt): void;
  /** Moves the position: nothing more became stale up to `at`. */
  advance(at: AppliedAt): void;
  /**
   * Begins another epoch, or continues after a gap that cannot be filled: removes all entries and sets the position.
   * Queued invalidations stay.
   */
  reset(position: EntryPosition): void;

  /** The invalidation counts at once. It is on disk after `flush`. */
  queue(invalidation: QueuedInvalidation): void;
  /**
   * The queued invalidation now has `sequence`. Undefined: its sequence is of another epoch, for which `reset` will be
   * called; until then no existing entry under its tag is returned.
   * Unknown ids are ignored. Call it with, or before, the `apply` of the same invalidation.
   */
  settle(id: string, sequence: number | undefined): void;

  /**
   * The entry was used in a tier in front of this one, which still has it: extends it when it slides, as `get` would,
   * even if it has expired here.
   */
  touch(key: string): void;
}
