/**
 * Interface of every store: an ordered key-value store. Keys are 1 to 1,978 bytes, in the order of memcmp.
 * It is implemented in LMDB and in memory; everything else in this room is written once above it.
 *
 * Promises of every store (testing/suites/ordered-store.ts checks them for each implementation):
 *
 * 1. Atomic. After a kill at any time, a batch is in the store as a whole or not at all.
 * 2. Durable. A batch is on disk when its promise resolves. A store opened with `durable: false` survives a kill of the
 *    process, but not of the system: if it is open when the system goes down, it is empty afterwards; if it was closed
 *    before, it is unchanged.
 * 3. Visible when durable. No view shows a batch before it is durable; each view opened after its promise resolved
 *    shows it.
 * 4. In doubt. A batch that rejects (WriteInDoubtError) may be in the store or not; the store accepts no more batches
 *    until it is opened again.
 */
export interface OrderedStore {
  /** Location for log messages and errors: a folder, or a name. */
  readonly path: string;

  /**
   * Runs `use` on one consistent view: the newest durable state. The view must not outlive the call; the bytes it
   * returned may, and stay unchanged.
   */
  read<T>(use: (view: View) => T): T;

  /**
   * Writes `changes` as one batch, in order. `alone`: nothing else waits, so a store may block the process for one
   * sync, and returns undefined when the batch is durable before the call returns. Rejects with WriteInDoubtError.
   */
  batch(changes: readonly StoreChange[], options?: BatchOptions): Promise<void> | undefined;

  /** Closes the store, after the batch that is being written. Idempotent. */
  close(): Promise<void>;
}

/** The content of a store at one moment. */
export interface View {
  get(key: Uint8Array): Uint8Array | undefined;
  /**
   * Entries from `from` (included) to `to` (not included), in order or in reverse. Lazy: the caller can stop at any
   * entry.
   */
  range(range: ByteRange): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
}

/** Keys from `from` (included) to `to` (not included). */
export interface ByteRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly reverse?: boolean;
}

/** The range of every record of a store, in any layout: a key holds text, so its first byte is below these bytes. */
export const everything: ByteRange = { from: Uint8Array.of(0), to: Uint8Array.of(0xff, 0xff) };

/** Whether a store has no record at all. */
export function isEmpty(view: View): boolean {
  const [first] = view.range(everything);
  return first === undefined;
}

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

/** Maximum bytes of a key: LMDB's bound for pages of 4 KiB. */
export const storeKeyBytesMax = 1_978;
