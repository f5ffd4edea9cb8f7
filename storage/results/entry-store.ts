import type { Tag } from "../../core/tag.js";
import type { ObjectRead } from "../../core/object-read.js";

/**
 * Where results are kept: one tier of the semantic cache. In memory and in LMDB; what nodes share in a bucket keeps 1, 2 and 4 as well.
 *
 * What every tier promises (test/suites/entry-store.ts and result-tier.ts hold each to it):
 *
 * 1. Never stale. `get` gives no entry whose computation began before an invalidation, applied here, of a tag that it depends on
 *    or of one above; `put` keeps none. A tier may forget an entry at any time; it never makes one up.
 * 2. Never expired. An entry is given until its time to live has passed since it was put, or, when it slides, since it was last given;
 *    a deadline is kept to within `limits.cacheTickMs`.
 * 3. Bounded. After each `put` there are at most `entriesMax` entries of at most `bytesMax` bytes; those that were not used lately go first.
 * 4. As it was put. What was put is what is given, or a copy of it, whatever callers do to theirs, but for values that are shared by choice.
 *
 * All of it is synchronous: a tier is one process's own.
 * `Began` is what was known here when a computation began; a tier takes back only what its own `begin` gave.
 */
export interface EntryStore<Began = unknown> {
  readonly kind: "memory" | "lmdb";

  /** To be called before a computation reads anything; belongs to `put`. Costs nothing but an object. */
  begin(): Began;

  /** The entry, when it is neither stale nor expired; extends it when it slides. */
  get(key: string): Entry | undefined;

  /** What is known about the entry that `get` would give, without counting as a use of it. */
  peek(key: string): EntryFacts | undefined;

  /**
   * Keeps `value`, and gives what is kept; undefined: nothing is, and what was there before is gone.
   * That is so when it is stale already, has expired, is larger than the tier, or what is to be written is too much just now.
   * Throws InvalidValueError for a value that this tier cannot hold.
   */
  put(key: string, value: unknown, how: Keeping<Began>): Entry | undefined;

  /** Whether it was there. */
  delete(key: string): boolean;

  clear(): void;

  /** Keys of all entries, stale and expired ones among them until they are met. Lazy: what changes meanwhile may be in it or not. */
  keys(): Iterable<string>;

  /** Removes what is stale or expired, for at most `budgetMs`; the next call goes on where this one ended, `done` says that the round is complete. */
  sweep(budgetMs: number): Swept;

  /** Removes what expired a second or more ago, for at most `budgetMs`. Costs what is removed: nothing else is looked at. */
  expire(budgetMs: number): Swept;

  /** When `expire` has something to do, on the monotonic clock; Infinity: there is nothing that expires. */
  readonly expiresNextMs: number;

  /** Calls `tell` with the moment at which `expire` has something to do, whenever that is earlier than it was. For one who listens. */
  onExpiresEarlier(tell: (atMs: number) => void): void;

  stats(): EntryStats;

  /** Resolves when all that was done here before is where it outlives the process; in memory at once. Rejects with WriteInDoubtError. */
  flush(): Promise<void>;

  /** Flushes and ends it. Idempotent. */
  close(): Promise<void>;
}

/** What a step of sweeping did. */
export interface Swept {
  readonly removed: number;
  /** There is nothing left to be removed for now. */
  readonly done: boolean;
}

/** How a value is to be kept. */
export interface Keeping<Began> {
  /** What the value depends on, the tags of nested results too. Kept as it is: not to be changed. */
  readonly tags: readonly Tag[];
  /** In memory: what of object stores it depends on, too; not kept when one of these is stale. Kept as it is. Default: nothing. */
  readonly reads?: readonly ObjectRead[] | undefined;
  readonly began: Began;
  /** Time to live; undefined: until it is stale or must make room. */
  readonly ttlMs?: number | undefined;
  /** Whether each reading gives it its time to live anew. Default: false. */
  readonly slides?: boolean | undefined;
  /** In memory: after it lapsed it is still there for `last` so long. Default: the tier's. */
  readonly graceMs?: number | undefined;
  /** What is left of its time to live, for an entry that comes from another tier. Default: ttlMs. */
  readonly leftMs?: number | undefined;
}

/**
 * A result that is kept. In memory one object for as long as it is kept: what changes slot `promise` finds it there at the next hit.
 * From LMDB a new object each time.
 */
export interface Entry {
  readonly key: string;
  /** To be given to callers through `valueOf`, unless `isShared`. */
  readonly value: unknown;
  /** All callers may be given `value` itself: it is frozen through and through, or shared by choice. */
  readonly isShared: boolean;
  readonly tags: readonly Tag[];
  /** In memory: what of object stores it depends on; undefined: nothing. */
  readonly reads?: readonly ObjectRead[] | undefined;
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  /** When it was put and when it expires, both on the monotonic clock; Infinity: never. */
  readonly storedMs: number;
  readonly expiresMs: number;
  /** For whoever gives the value out: `value` as a settled promise, made once. */
  promise: Promise<unknown> | undefined;
}

/** What is known about an entry beside its value. */
export type EntryFacts = Pick<Entry, "key" | "tags" | "ttlMs" | "slides" | "storedMs" | "expiresMs">;

/** What a tier holds, and what it did since it was opened. */
export interface EntryStats {
  readonly entries: number;
  /** 0 in a tier in memory without any bound: nothing is counted there. */
  readonly bytes: number;
  readonly evictions: number;
}

/** A version of the bus. */
export interface EntryVersion {
  readonly epoch: string;
  readonly sequence: number;
}

/** A version, and when the bus counted it: what is kept to go on from. */
export interface EntryPosition extends EntryVersion {
  /** Wall clock of the broker, milliseconds since 1970. */
  readonly time: number;
}

/** Where in the epoch of its position a tier hears of something. */
export type AppliedAt = Omit<EntryPosition, "epoch">;

/** A tag, and the sequence of its latest invalidation. */
export interface TagSequence {
  readonly tag: Tag;
  readonly sequence: number;
}

/** An invalidation of this node that has no sequence yet. */
export interface QueuedInvalidation {
  /** Settles it, over restarts too. A later process publishes it under another one. */
  readonly id: string;
  readonly tag: Tag;
}

/**
 * A tier that outlives the process, with all it needs to be right when it is opened again, in one environment and in one batch:
 * entries, versions of tags, the applied position, and the invalidations that have still to be published.
 *
 * 5. The position is never ahead of what was applied: killed at any moment, what is opened again stands at one position, has applied
 *    all up to it, and nothing of what was flushed is missing.
 * 6. Under a queued invalidation nothing that began before it has its sequence is given or kept.
 */
export interface PersistentEntryStore extends EntryStore<EntryVersion> {
  /** Up to where invalidations were applied; undefined: none ever were, `reset` gives it its first. A new object for each position. */
  readonly position: EntryPosition | undefined;
  /** False once the disk is lost: what was flushed since is in memory only. */
  readonly isKeeping: boolean;
  /** In the order in which they were queued; after opening those that an earlier process left. */
  queued(): readonly QueuedInvalidation[];

  /** The sequence of the latest invalidation that counts for `tag`, over restarts too; 0: none is known. */
  tagVersion(tag: Tag): number;
  /** Of the tags that were invalidated last, the latest first: limits.toldInvalidationsMax at most. */
  latestVersions(): readonly TagSequence[];
  /** An invalidation of the bus. Sequences below the position are allowed: replay begins where it begins. */
  apply(tag: Tag, at: AppliedAt): void;
  /** Nothing more became stale up to there. */
  advance(at: AppliedAt): void;
  /** Another epoch, or a gap that cannot be filled: all entries go, and this is the position. Queued invalidations stay. */
  reset(position: EntryPosition): void;

  /** Counts at once. On disk after `flush`. */
  queue(invalidation: QueuedInvalidation): void;
  /**
   * It has `sequence` now; undefined: one of another epoch, of which `reset` tells, and until then nothing under it that is here is given.
   * Unknown ids are no fault. To be called with, or before, the `apply` of the same invalidation.
   */
  settle(id: string, sequence: number | undefined): void;

  /** It was used in a tier in front of this one, that has it still: extends it when it slides, as `get` would, though it may have expired here. */
  touch(key: string): void;
}
