/**
 * A bucket that the nodes of a cache share: bytes by name, each with the revision that a write of it is compared with.
 *
 * What every bucket promises (test/suites/bucket.ts holds each to it):
 *
 * 1. As it was put. What `get` gives is what one `put` wrote, whole, with the revision that this `put` was told and the time at which the
 *    broker took it. It may be an older one than the latest: whoever answers may lag.
 * 2. Compared. Of puts that expect the same revision one at most is taken. One that expects 0 is taken only where nothing is.
 * 3. Revisions rise with every put, whatever its key, and over removals, as long as the broker keeps its data.
 * 4. Forgetful. What was put may go at any time: by age, for room, or with the broker's data. It never comes back.
 * 5. Bounded. Every call settles within the bucket's time-out, a listing within so long after each item. What rejects with TimeoutError may have been done.
 * 6. Any text is a key; two keys never meet.
 *
 * It knows nothing of tags and versions: what is stale is for its users to find out.
 */
export interface Bucket {
  readonly kind: "jetstream" | "in-memory";
  /** Larger payloads are refused. */
  readonly payloadBytesMax: number;

  /** What is there; undefined: nothing, or not any more. Rejects with DisconnectedError, TimeoutError, ClosedError. */
  get(key: string): Promise<BucketEntry | undefined>;

  /**
   * Puts `payload` in the place of the revision `expected`, 0 where nothing is. Resolves to its revision; undefined: something else is there.
   * It may go by itself once `ttlMs` has passed. Rejects with DisconnectedError, TimeoutError, TooLargeError, ClosedError.
   */
  put(key: string, payload: Uint8Array, expected: number, ttlMs?: number): Promise<number | undefined>;

  /** Removes what was put as `revision`, if nothing has taken its place; whether it did. Rejects as `get` does. */
  remove(revision: number): Promise<boolean>;

  /** Removes all that is there. What is put meanwhile may go too. Rejects as `get` does. */
  clear(): Promise<void>;

  /** Whether what has outlived its time to live stays until somebody removes it. Rejects as `get` does. */
  keepsExpired(): Promise<boolean>;

  /**
   * What is there from the revision `from` on, oldest first, without payloads. Fewer items than `itemsMax` are all; what changes meanwhile may be
   * among them or not. Rejects as `get` does.
   */
  list(from: number, itemsMax: number): Promise<readonly BucketItem[]>;

  /** Ends it, and rejects what is under way with ClosedError. What is in it stays. Idempotent. */
  close(): Promise<void>;
}

/** What a bucket holds for one key. */
export interface BucketEntry {
  readonly payload: Uint8Array;
  /** A safe integer from 1. */
  readonly revision: number;
  /** When the broker took it: its wall clock, milliseconds since 1970. */
  readonly time: number;
}

/** The same in a listing, which does not tell keys: a long one cannot be read from its place. */
export interface BucketItem {
  readonly revision: number;
  readonly time: number;
  /** With which it was put, rounded up; undefined when it was put without one, or that cannot be read. */
  readonly ttlMs: number | undefined;
}
