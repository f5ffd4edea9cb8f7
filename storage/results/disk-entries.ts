import { assert, type Clock, limits, type Tag, type Seams } from "../../core/index.js";
import { DiskEntry, storedResult } from "./disk-entry.js";
import { DiskIndex } from "./disk-index.js";
import type {
  AppliedAt,
  Entry,
  EntryFacts,
  EntryPosition,
  EntryStats,
  EntryBounds,
  EntryVersion,
  Keeping,
  PersistentEntryStore,
  QueuedInvalidation,
  Swept,
  TagSequence,
} from "./entry-store.js";
import { type OpenedTier, readTier } from "./opened-tier.js";
import type { OrderedStore } from "../kv/ordered-store.js";
import { swept } from "./swept.js";
import { TagVersions } from "./tag-versions.js";
import { Ticks } from "./ticks.js";
import { TierDisk, type TierPlace } from "./tier-disk.js";
import { decodeRecord, encodeRecord } from "./value-record.js";

export interface DiskEntryStoreOptions extends TierPlace, EntryBounds, Pick<Seams, "clock" | "log"> {
  /**
   * Identity of the bus whose positions these are: entries with positions of another bus are discarded. Undefined:
   * positions mean nothing after a restart.
   */
  readonly countedBy: string | undefined;
  /** The order of last uses is written at this interval. Default: 30,000. */
  readonly lruUpdateIntervalMs?: number | undefined;
  /** The new deadline of a sliding entry is written at most once in this time. Default: 30,000. */
  readonly slideFlushMs?: number | undefined;
  /** Default: limits.tagVersionsMax. */
  readonly tagVersionsMax?: number | undefined;
}

const intervalMsDefault = 30_000;
/** Last uses written by one batch, the latest first: writing them takes one turn of the event loop. */
const usesWrittenMax = 10_000;

/**
 * Results in an OrderedStore; everything except their values is in memory too.
 *
 *     1. Memory decides: an entry that is not in memory does not exist, even if the disk still has it.
 *     2. All changes are written to the disk in order, and each position together with the changes it covers.
 *     3. Reads do not need the disk for a value that is not written yet: until then its entry holds the value.
 *     4. When too many bytes wait, new entries are left out; removals, versions, positions and queued invalidations
 *        never are.
 *     5. A disk that fails is given up: from then on nothing is kept.
 */
export class DiskEntryStore implements PersistentEntryStore {
  readonly kind = "lmdb";
  readonly #options: DiskEntryStoreOptions;
  readonly #clock: Clock;
  readonly #ticks: Ticks;
  readonly #slideFlushMs: number;
  readonly #index: DiskIndex;
  readonly #versions: TagVersions;
  readonly #queue = new Map<string, QueuedInvalidation & { readonly order: number }>();
  readonly #disk: TierDisk;
  #position: EntryPosition | undefined;
  #orders = 0;
  #evictions = 0;
  #usesWrittenMs: number;
  #closing: Promise<void> | undefined;

  private constructor(options: DiskEntryStoreOptions, store: OrderedStore, opened: OpenedTier) {
    const { tagVersionsMax: tagsMax = limits.tagVersionsMax } = options;
    this.#options = options;
    this.#clock = options.clock;
    this.#ticks = new Ticks(options.clock);
    this.#slideFlushMs = options.slideFlushMs ?? intervalMsDefault;
    this.#index = opened.index;
    const standing = () => {
      const { name, countedBy } = options;
      return { name, countedBy, position: this.#position, floor: this.#versions.floor };
    };
    const lost = () => {
      this.#index.clear();
    };
    this.#disk = new TierDisk({ ...options, standing, lost }, store, opened);
    this.#usesWrittenMs = this.#ticks.now();
    this.#versions = new TagVersions({
      tagsMax,
      floor: opened.floor,
      versions: opened.versions,
      changed: (tag, sequence) => {
        this.#disk.version(tag, sequence);
      },
      begunAnew: () => {
        this.#disk.forgetVersions();
      },
    });
    this.#position = opened.position;
    for (const queued of opened.queue) {
      this.#queue.set(queued.id, queued);
      this.#versions.pend(queued.tag);
      this.#orders = queued.order + 1;
    }
  }

  /**
   * Opens the tier of an earlier process, or begins anew when it cannot be used. Other work runs meanwhile, for any
   * number of entries.
   * Rejects with InUseError, and with StoreError when the store holds other data.
   */
  static async open(options: DiskEntryStoreOptions): Promise<DiskEntryStore> {
    const { entriesMax = Infinity, bytesMax = Infinity } = options;
    const store = await options.open();
    try {
      return new DiskEntryStore(options, store, await readTier({ ...options, bounds: { entriesMax, bytesMax } }, store));
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  get position(): EntryPosition | undefined {
    return this.#position;
  }

  get isKeeping(): boolean {
    return this.#disk.isThere;
  }

  begin(): EntryVersion {
    assert(this.#position !== undefined, "a tier has a position before anything is computed for it");
    return this.#position;
  }

  get(key: string): Entry | undefined {
    const entry = this.#index.get(key);
    if (entry === undefined) return undefined;
    const nowMs = this.#ticks.now();
    if (nowMs >= entry.expiresMs) return this.#remove(entry);
    if (entry.checkedAt !== this.#versions.version) {
      // An entry under a queued invalidation is removed, too: nothing could show later that it is valid again.
      if (this.#versions.isStale(entry.tags, entry.sequence)) return this.#remove(entry);
      entry.checkedAt = this.#versions.version;
    }
    const result = this.#read(entry);
    if (result !== undefined) this.#use(entry, nowMs);
    return result;
  }

  peek(key: string): EntryFacts | undefined {
    const entry = this.#index.get(key);
    if (entry === undefined || this.#ticks.now() >= entry.expiresMs) return undefined;
    return this.#versions.isStale(entry.tags, entry.sequence) ? undefined : entry;
  }

  put(key: string, value: unknown, how: Keeping<EntryVersion>): Entry | undefined {
    const { tags, began, ttlMs, leftMs = ttlMs, slides = false } = how;
    const record = encodeRecord(value);
    const before = this.#index.get(key);
    if (before !== undefined) this.#index.remove(before);
    const bytes = DiskEntry.bytesOf(key, tags, record.length);
    const { entriesMax, bytesMax } = this.#index.bounds;
    const isKept =
      this.#disk.isThere &&
      began.epoch === this.#position?.epoch &&
      bytes <= bytesMax &&
      entriesMax >= 1 &&
      this.#disk.waitingBytes + bytes <= limits.cachePendingBytesMax &&
      (leftMs ?? Infinity) > 0 &&
      !this.#versions.isStale(tags, began.sequence);
    if (!isKept) {
      if (before !== undefined) this.#disk.entry(key, undefined);
      return undefined;
    }
    const nowMs = this.#ticks.now();
    const entry = new DiskEntry(key, {
      tags,
      sequence: began.sequence,
      ttlMs,
      slides: slides && ttlMs !== undefined,
      storedMs: nowMs,
      expiresMs: leftMs === undefined ? Infinity : nowMs + leftMs,
      usedMs: nowMs,
      valueBytes: record.length,
    });
    entry.record = record;
    entry.checkedAt = this.#versions.version;
    this.#index.addEntry(entry);
    this.#disk.entry(key, entry);
    this.#makeRoom();
    return storedResult(entry, value, false);
  }

  delete(key: string): boolean {
    const entry = this.#index.get(key);
    if (entry === undefined) return false;
    this.#remove(entry);
    return true;
  }

  clear(): void {
    if (this.#index.size === 0) return;
    this.#index.clear();
    this.#disk.forgetEntries();
  }

  keys(): Iterable<string> {
    return this.#index.keys();
  }

  touch(key: string): void {
    const entry = this.#index.get(key);
    if (entry !== undefined) this.#use(entry, this.#ticks.now());
  }

  sweep(budgetMs: number): Swept {
    return swept(
      this.#clock,
      budgetMs,
      () => this.#index.next(),
      (entry) => this.#leaves(entry, this.#ticks.now() >= entry.expiresMs || this.#versions.isStale(entry.tags, entry.sequence)),
    );
  }

  get expiresNextMs(): number {
    return this.#index.expiry.nextMs;
  }

  onExpiresEarlier(listener: (atMs: number) => void): void {
    this.#index.expiry.onEarlier = listener;
  }

  expire(budgetMs: number): Swept {
    const { expiry } = this.#index;
    return swept(
      this.#clock,
      budgetMs,
      () => expiry.next(this.#ticks.now()),
      (entry) => {
        const hasExpired = this.#ticks.now() >= entry.expiresMs;
        if (!hasExpired) expiry.schedule(entry, entry.expiresMs);
        return this.#leaves(entry, hasExpired);
      },
    );
  }

  stats(): EntryStats {
    return { entries: this.#index.size, bytes: this.#index.bytes, evictions: this.#evictions };
  }

  tagVersion(tag: Tag): number {
    return this.#versions.versionOf(tag);
  }

  latestVersions(): readonly TagSequence[] {
    return this.#versions.latest(limits.knownInvalidationsMax);
  }

  apply(tag: Tag, at: AppliedAt): void {
    this.#versions.set(tag, at.sequence);
    this.advance(at);
  }

  advance({ sequence, time }: AppliedAt): void {
    assert(this.#position !== undefined, "a tier has a position before anything is applied to it");
    if (sequence <= this.#position.sequence) return;
    this.#position = { epoch: this.#position.epoch, sequence, time };
    this.#disk.moved();
  }

  reset({ epoch, sequence, time }: EntryPosition): void {
    this.clear();
    this.#versions.reset(sequence);
    this.#position = { epoch, sequence, time };
    this.#disk.moved();
  }

  queued(): readonly QueuedInvalidation[] {
    return [...this.#queue.values()].map(({ id, tag }) => ({ id, tag }));
  }

  queue({ id, tag }: QueuedInvalidation): void {
    if (this.#queue.has(id)) return;
    const queued = { id, tag, order: this.#orders++ };
    this.#queue.set(id, queued);
    this.#versions.pend(tag);
    this.#disk.queued(queued.order, queued);
  }

  settle(id: string, sequence: number | undefined): void {
    const queued = this.#queue.get(id);
    if (queued === undefined) return;
    this.#queue.delete(id);
    // The version is set first, so that no entry under the tag is valid in between.
    this.#versions.set(queued.tag, sequence ?? (this.#position?.sequence ?? 0) + 1);
    this.#versions.unpend(queued.tag);
    this.#disk.queued(queued.order, undefined);
  }

  flush(): Promise<void> {
    return this.#disk.flush();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    // A disk that cannot be written was logged when it was lost.
    while (this.#disk.isThere && !this.#gatherUses()) await this.#disk.flush().catch(() => undefined);
    await this.#disk.close();
    this.#index.clear();
  }

  #read(entry: DiskEntry): Entry | undefined {
    const { values = "frozen", log, name } = this.#options;
    const record = entry.record ?? this.#disk.value(entry.key);
    if (!this.#disk.isThere) return undefined;
    // The value was removed from the folder by another program.
    if (record === undefined) return this.#remove(entry);
    try {
      const { value, isShared } = decodeRecord(record, values);
      return storedResult(entry, value, isShared);
    } catch (error) {
      log.warn({ name, key: entry.key, error }, "cached result cannot be read");
      return this.#remove(entry);
    }
  }

  #use(entry: DiskEntry, nowMs: number): void {
    entry.usedMs = nowMs;
    this.#index.use(entry);
    if (entry.slides) {
      entry.expiresMs = nowMs + (entry.ttlMs as number);
      if (nowMs - entry.writtenMs >= this.#slideFlushMs) this.#disk.entry(entry.key, entry);
    }
    if (nowMs - this.#usesWrittenMs < (this.#options.lruUpdateIntervalMs ?? intervalMsDefault)) return;
    this.#gatherUses();
    this.#usesWrittenMs = nowMs;
  }

  /** Writes the last uses since the previous write, the latest first; false: there are more than one batch takes. */
  #gatherUses(): boolean {
    let count = 0;
    for (let entry = this.#index.newest; entry !== undefined && entry.usedMs >= this.#usesWrittenMs; entry = entry.older) {
      if (entry.usedMs <= entry.writtenMs) continue;
      if (count++ === usesWrittenMax) return false;
      this.#disk.entry(entry.key, entry);
    }
    return true;
  }

  #leaves(entry: DiskEntry, isOver: boolean): boolean {
    if (isOver) this.#remove(entry);
    return isOver;
  }

  #remove(entry: DiskEntry): undefined {
    this.#index.remove(entry);
    this.#disk.entry(entry.key, undefined);
  }

  #makeRoom(): void {
    for (let oldest = this.#index.surplus; oldest !== undefined; oldest = this.#index.surplus) {
      this.#remove(oldest);
      this.#evictions++;
    }
  }
}
