/**
 * A bucket that the nodes of a cache share: bytes by name. Each entry has a revision, with which a write of it is
 * compared.
 *
 * Promises of every bucket (test/suites/bucket.ts holds each to them):
 *
 * 1. Whole. `get` returns the bytes of one `put`, whole, with the revision that this `put` returned and the time at
 *    which the broker took it. The entry may be older than the latest: the server that answers may lag.
 * 2. Compared. Of puts that expect the same revision at most one is taken. A put that expects 0 is taken only if the
 *    key has no entry.
 * 3. Rising. Revisions rise with every put, for all keys, and over removals, as long as the broker keeps its data.
 * 4. Forgetful. An entry may disappear at any time: by age, for room, or with the broker's data. It never comes back.
 * 5. Bounded. Every call settles within the bucket's time-out, and a listing within one time-out after each item. A
 *    call that rejects with TimeoutError may have had its effect.
 * 6. Any text is a key; two keys never share an entry.
 *
 * A bucket does not know tags or versions. Its users find out which entries are stale.
 */
export interface Bucket {
  readonly kind: "jetstream" | "in-memory";
  /** A larger payload is refused. */
  readonly payloadBytesMax: number;

  /**
   * The entry of `key`; undefined: there is none, or none any more. Rejects with DisconnectedError, TimeoutError,
   * ClosedError.
   */
  get(key: string): Promise<BucketEntry | undefined>;

  /**
   * Replaces the revision `expected` by `payload`; 0 expects no entry. Resolves to the new revision, or to undefined if
   * the key has another revision. The broker may remove the entry once `ttlMs` has passed. Rejects with
   * DisconnectedError, TimeoutError, TooLargeError, ClosedError.
   */
  put(key: string, payload: Uint8Array, expected: number, ttlMs?: number): Promise<number | undefined>;

  /**
   * Removes the entry that was put as `revision`, unless it was replaced. Resolves to whether it removed it. Rejects as
   * `get` does.
   */
  remove(revision: number): Promise<boolean>;

  /** Removes all entries. An entry that is put meanwhile may be removed too. Rejects as `get` does. */
  clear(): Promise<void>;

  /** Whether entries past their time to live stay until a client removes them. Rejects as `get` does. */
  keepsExpired(): Promise<boolean>;

  /**
   * The entries from the revision `from` on, oldest first, without payloads. Fewer items than `itemsMax` are all of
   * them. Entries that change meanwhile may be among them or not. Rejects as `get` does.
   */
  list(from: number, itemsMax: number): Promise<readonly BucketItem[]>;

  /** Closes it, and rejects calls in progress with ClosedError. Its entries stay. Idempotent. */
  close(): Promise<void>;
}

/** The entry of one key. */
export interface BucketEntry {
  readonly payload: Uint8Array;
  /** A safe integer from 1. */
  readonly revision: number;
  /** When the broker took the entry: its wall clock, milliseconds since 1970. */
  readonly time: number;
}

/** An entry in a listing. It has no key: a long key cannot be read from its subject. */
export interface BucketItem {
  readonly revision: number;
  readonly time: number;
  /** The time to live of its put, rounded up; undefined if it was put without one, or if it cannot be read. */
  readonly ttlMs: number | undefined;
}
