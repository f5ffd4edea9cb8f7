import { assert, ClosedError, emptyPosition, limits, type Position, StoreError, type Tid, type Seams } from "../../core/index.js";
import { cacheEntries, cacheEntryKey, type CacheMeta, cacheMetaKey, decodeCacheMeta, encodeCacheMeta, keyOfCacheEntry } from "./meta.js";
import { type Recent, Recency } from "../../core/recency.js";
import { giveUp } from "../kv/failed-store.js";
import { isEmpty, type StoreChange, type OpenStore, type OrderedStore, type View } from "../kv/ordered-store.js";
import { WriteBehind } from "../kv/write-behind.js";
import { recordSerial } from "./revision.js";

export interface CacheDiskOptions extends Pick<Seams, "clock" | "log"> {
  readonly storage: string;
  readonly realm: string;
  readonly open: OpenStore;
  readonly bytesMax: number;
}

/** A current revision that is on disk, or will be with the next batches. */
export interface DiskRevision extends Recent<DiskRevision> {
  readonly key: string;
  readonly serial: Tid;
  readonly bytes: number;
  /** Used since the last eviction pass. A use of the revision in memory sets it too. */
  touched: boolean;
  /** Set until a batch has written it, so that reads do not need the disk before. */
  record: Uint8Array | undefined;
}

/** Bytes that an entry takes in addition to its key and its record: LMDB's node header and index. */
const entryOverheadBytes = 16;

/**
 * Current revisions by key in an OrderedStore, with an index of them in memory.
 *
 *     1. The index decides: a key that is not in the index is not cached, even if the disk still has it.
 *     2. One batch is in flight. The next one holds all changes made meanwhile and the position that covers them.
 *     3. Reads do not need the disk for a revision that is not written yet: until then its entry holds the record.
 *     4. When too many bytes wait, new entries are left out; removals and the position never are.
 *     5. A batch that fails ends the use of the disk: nothing is read from it again, and it is marked as discarded
 *        where possible.
 *
 * Eviction is by second chance: it evicts the first entry that was not used since it was added or last passed over;
 * used entries before it move to the end.
 */
export class CacheDisk {
  readonly #options: CacheDiskOptions;
  #store: OrderedStore | undefined;
  #meta: CacheMeta;
  readonly #index = new Map<string, DiskRevision>();
  /** The entries of the index, in the order in which they are evicted unless they are touched. */
  readonly #recency = new Recency<DiskRevision>();
  #bytes = 0;
  #evictions = 0;
  /** Changes for the next batch; undefined: a removal. */
  #gathered = new Map<string, DiskRevision | undefined>();
  #gatheredBytes = 0;
  /** Changes in the batch in flight. */
  #inFlight: ReadonlyMap<string, DiskRevision | undefined> = new Map();
  #inFlightBytes = 0;
  readonly #writer: WriteBehind;
  /** Set when the disk is lost. Resolves when it is marked as discarded, or cannot be. */
  #retiring: Promise<unknown> | undefined;
  #killed = false;

  private constructor(options: CacheDiskOptions, store: OrderedStore, meta: CacheMeta) {
    this.#options = options;
    this.#store = store;
    this.#meta = meta;
    this.#writer = new WriteBehind({
      store,
      clock: options.clock,
      take: () => this.#take(),
      wrote: () => this.#wrote(),
      lost: (error) => this.#lose(error),
    });
  }

  /**
   * Opens the cache of an earlier process, or begins anew when it cannot be used. Rejects with StoreError when the
   * store holds other data.
   */
  static async open(options: CacheDiskOptions): Promise<CacheDisk> {
    const store = await options.open();
    try {
      return store.read((view) => CacheDisk.#opened(options, store, view));
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  static #opened(options: CacheDiskOptions, store: OrderedStore, view: View): CacheDisk {
    const { realm, storage, log } = options;
    const fresh: CacheMeta = { realm, storage, position: emptyPosition, asOf: emptyPosition, isDiscarded: false };
    const bytes = view.get(cacheMetaKey);
    if (bytes === undefined) {
      if (isEmpty(view)) return new CacheDisk(options, store, fresh);
      throw new StoreError({ folder: store.path, reason: "holds something other than a client cache; name another folder" });
    }
    const meta = decodeCacheMeta(bytes);
    if (meta !== undefined && (meta.storage !== storage || meta.realm !== realm)) {
      const reason = `is the cache of storage ${JSON.stringify(meta.storage)} in realm ${JSON.stringify(meta.realm)}; name another folder for ${JSON.stringify(storage)} in ${JSON.stringify(realm)}`;
      throw new StoreError({ folder: store.path, reason });
    }
    if (meta === undefined || meta.isDiscarded) {
      const reason = meta === undefined ? "written in another format" : "an earlier write failed";
      log.warn({ storage, folder: store.path, reason }, "cache discarded at opening");
      const disk = new CacheDisk(options, store, fresh);
      disk.#removeAll(view);
      return disk;
    }
    const disk = new CacheDisk(options, store, meta);
    disk.#readIndex(view);
    return disk;
  }

  get position(): Position {
    return this.#meta.position;
  }

  get asOf(): Position {
    return this.#meta.asOf;
  }

  get stats(): { readonly entries: number; readonly bytes: number; readonly evictions: number } {
    return { entries: this.#index.size, bytes: this.#bytes, evictions: this.#evictions };
  }

  find(key: string): DiskRevision | undefined {
    return this.#index.get(key);
  }

  /**
   * Record of an entry that `find` returned in this turn; undefined when it cannot be read. The caller must not change
   * it.
   */
  read(key: string, entry: DiskRevision): Uint8Array | undefined {
    if (entry.record !== undefined) return entry.record;
    if (this.#store === undefined) return undefined;
    try {
      return this.#store.read((view) => view.get(cacheEntryKey(key)));
    } catch (error) {
      this.#lose(error);
      return undefined;
    }
  }

  /** Makes `record` the current revision of `key`; undefined: it was left out, and the previous revision is removed. */
  put(key: string, serial: Tid, record: Uint8Array): DiskRevision | undefined {
    if (this.#store === undefined) return undefined;
    const bytes = Buffer.byteLength(key) + record.length + entryOverheadBytes;
    const waiting = this.#gatheredBytes + this.#inFlightBytes;
    if (bytes > this.#options.bytesMax || waiting + bytes > limits.cachePendingBytesMax) {
      this.remove(key);
      return undefined;
    }
    const entry = this.#add({ key, serial, bytes, record });
    this.#gather(key, entry);
    this.#evict(entry);
    return entry;
  }

  remove(key: string): void {
    const entry = this.#index.get(key);
    if (entry === undefined) return;
    this.#leave(entry);
    this.#gather(key, undefined);
  }

  /** Sets the position that covers all changes up to now. Call it in the turn in which they were made. */
  stand(position: Position, asOf: Position): void {
    this.#meta = { ...this.#meta, position, asOf };
    this.#writer.changed();
  }

  removeAll(): void {
    for (const key of this.#index.keys()) this.#gather(key, undefined);
    this.#emptyIndex();
  }

  /** Resolves when all changes up to now are on disk, or the disk is lost. */
  async flush(): Promise<void> {
    try {
      await this.#writer.flush();
    } catch (error) {
      if (this.#store !== undefined) throw error;
    }
    await this.#retiring;
  }

  /** Writes pending changes, then closes the disk. */
  async close(): Promise<void> {
    await this.flush();
    await this.#writer.end();
    const store = this.#store;
    this.#store = undefined;
    await store?.close();
  }

  /** Closes the disk without writing pending changes. */
  async abandon(): Promise<void> {
    const store = this.#store;
    this.kill();
    await store?.close();
    await this.#retiring;
  }

  /** The process ends here: nothing more is written. */
  kill(): void {
    this.#killed = true;
    this.#store = undefined;
    void this.#writer.end();
    this.#forget();
  }

  #readIndex(view: View): void {
    let unreadable = 0;
    for (const [bytes, record] of view.range(cacheEntries)) {
      const key = keyOfCacheEntry(bytes);
      const serial = recordSerial(record);
      if (serial === undefined) {
        unreadable++;
        this.#gather(key, undefined);
        continue;
      }
      this.#add({ key, serial, bytes: bytes.length - 1 + record.length + entryOverheadBytes, record: undefined });
    }
    this.#evict(undefined);
    const { storage, log } = this.#options;
    if (unreadable > 0) log.warn({ storage, unreadable }, "cache entries that cannot be read were removed");
  }

  /** Removes entries of any format, in the batch with the next position. */
  #removeAll(view: View): void {
    for (const [bytes] of view.range(cacheEntries)) this.#gather(keyOfCacheEntry(bytes), undefined);
    this.#writer.changed();
  }

  /** Adds an entry in the place of the previous one of its key. */
  #add(added: Pick<DiskRevision, "key" | "serial" | "bytes" | "record">): DiskRevision {
    const before = this.#index.get(added.key);
    if (before !== undefined) this.#leave(before);
    const entry: DiskRevision = { ...added, touched: false, newer: undefined, older: undefined };
    this.#index.set(entry.key, entry);
    this.#recency.addNewest(entry);
    this.#bytes += entry.bytes;
    return entry;
  }

  #leave(entry: DiskRevision): void {
    this.#index.delete(entry.key);
    this.#recency.remove(entry);
    this.#bytes -= entry.bytes;
  }

  /** Unlinks each entry: a revision in memory that refers to one must not keep the others. */
  #emptyIndex(): void {
    for (const entry of this.#index.values()) this.#recency.remove(entry);
    this.#index.clear();
    this.#bytes = 0;
  }

  #evict(newest: DiskRevision | undefined): void {
    while (this.#bytes > this.#options.bytesMax) {
      const { oldest } = this.#recency;
      assert(oldest !== undefined, "counted bytes belong to an entry");
      if (oldest === newest || oldest.touched) {
        oldest.touched = false;
        this.#recency.use(oldest);
        continue;
      }
      this.remove(oldest.key);
      this.#evictions++;
    }
  }

  #gather(key: string, entry: DiskRevision | undefined): void {
    const before = this.#gathered.get(key);
    this.#gatheredBytes += (entry?.bytes ?? 0) - (before?.bytes ?? 0);
    this.#gathered.set(key, entry);
    this.#writer.changed();
  }

  /** All collected changes, and the position that covers them. */
  #take(): readonly StoreChange[] {
    this.#inFlight = this.#gathered;
    this.#inFlightBytes = this.#gatheredBytes;
    this.#gathered = new Map();
    this.#gatheredBytes = 0;
    const changes: StoreChange[] = [{ key: cacheMetaKey, value: encodeCacheMeta(this.#meta) }];
    for (const [key, entry] of this.#inFlight) changes.push({ key: cacheEntryKey(key), value: entry?.record });
    return changes;
  }

  #wrote(): void {
    for (const entry of this.#inFlight.values()) {
      if (entry !== undefined) entry.record = undefined;
    }
    this.#inFlight = new Map();
    this.#inFlightBytes = 0;
  }

  #forget(): void {
    this.#emptyIndex();
    this.#gathered.clear();
    this.#gatheredBytes = 0;
  }

  /**
   * Continues without the disk. Its last durable state is whole, because a batch is atomic; the mark prevents its use
   * all the same.
   */
  #lose(error: unknown): void {
    const store = this.#store;
    if (store === undefined) return;
    const { storage, log } = this.#options;
    log.error({ storage, folder: store.path, error }, "cache goes on in memory, its disk cannot be used");
    this.#store = undefined;
    this.#forget();
    const mark = [{ key: cacheMetaKey, value: encodeCacheMeta({ ...this.#meta, isDiscarded: true }) }];
    const ended = this.#writer.end();
    this.#retiring = giveUp({ store, ended, open: () => this.#openAgain(), mark, remove: undefined }).catch((failure: unknown) => {
      log.warn({ storage, folder: store.path, error: failure }, "cache on disk cannot be marked as discarded");
    });
  }

  /** Rejects after a kill: the next process may have the folder. */
  async #openAgain(): Promise<OrderedStore> {
    if (this.#killed) throw new ClosedError({ what: "cache" });
    return this.#options.open();
  }
}
