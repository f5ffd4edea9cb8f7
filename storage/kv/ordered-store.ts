/**
 * The one seam of storage: an ordered key-value store. Keys are bytes, in the order of memcmp, 1 to 1,978 of them.
 * In LMDB and in memory; all else in this room is written once above it.
 *
 * What every store promises (testing/suites/ordered-store.ts holds each to it):
 *
 * 1. Atomic. A batch is in the store whole or not at all, whatever is killed when.
 * 2. Durable. It is on disk when its promise resolves. A store opened with `durable: false` survives the process, not the system:
 *    after the system went down while it was open it is empty; closed before, it is as it was left.
 * 3. Visible when durable. No view shows a batch before it is durable; each view opened after its promise resolved shows it.
 * 4. In doubt. A batch that rejects (WriteInDoubtError) may be in the store or not; the store takes no more batches until it was opened again.
 */
export interface OrderedStore {
  /** Where it is, for people: a folder, or a name. */
  readonly path: string;

  /** Runs `use` on one consistent view: the newest durable state. The view must not outlive the call; bytes it gave may, unchanged. */
  read<T>(use: (view: View) => T): T;

  /**
   * Writes `changes` as one batch, in order. `alone`: nothing else waits, so a store may hold up the process for one sync, and
   * returns undefined when the batch was durable before it returned. Rejects with WriteInDoubtError.
   */
  batch(changes: readonly StoreChange[], options?: BatchOptions): Promise<void> | undefined;

  /** Ends it, after the batch being written. Idempotent. */
  close(): Promise<void>;
}

/** What a store holds at one moment. */
export interface View {
  get(key: Uint8Array): Uint8Array | undefined;
  /** Entries from `from` (included) to `to` (not included), in order or in reverse; lazy: stop when you have enough. */
  range(range: ByteRange): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
}

/** Keys from `from` (included) to `to` (not included). */
export interface ByteRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly reverse?: boolean;
}

/** Every record of a store, of whatever layout: a key holds text, and begins below these bytes. */
export const everything: ByteRange = { from: Uint8Array.of(0), to: Uint8Array.of(0xff, 0xff) };

/** `value` undefined removes the key. */
export interface StoreChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** How a batch is written. */
export interface BatchOptions {
  readonly alone?: boolean;
}

/** Opens a store, also again after a batch in doubt. Rejects with InUseError or StoreError. */
export type OpenStore = () => Promise<OrderedStore>;

/** Bytes of a key at most: LMDB's bound for pages of 4 KiB. */
export const storeKeyBytesMax = 1_978;
