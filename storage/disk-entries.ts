import { assert } from "../words/assert.js";
import type { Clock } from "../words/clock.js";
import { WriteInDoubtError } from "../words/errors.js";
import { limits } from "../words/limits.js";
import type { Log } from "../words/log.js";
import type { Tag } from "../words/tag.js";
import { decodeValue, encodeValue } from "../words/value.js";
import { DiskEntry, StoredResult } from "./disk-entry.js";
import { encodeTierMeta, tierMetaKey, valueKey } from "./entry-records.js";
import type {
  AppliedAt,
  Entry,
  EntryFacts,
  EntryPosition,
  EntryStats,
  EntryVersion,
  Keeping,
  PersistentEntryStore,
  QueuedInvalidation,
} from "./entry-store.js";
import { GatheredChanges } from "./gathered-changes.js";
import type { ValueMode } from "./kept-value.js";
import { type OpenedTier, readTier } from "./opened-tier.js";
import type { Change, OpenStore, OrderedStore } from "./ordered-store.js";
import { Recency } from "./recency.js";
import { TagVersions } from "./tag-versions.js";
import { Ticks } from "./ticks.js";
import { WriteBehind } from "./write-behind.js";

export interface DiskEntryStoreOptions {
  /** Whose results these are: a folder of another name is refused. */
  readonly name: string;
  /** The bus whose positions these are: what another one counted is discarded. Undefined: positions say nothing after a restart. */
  readonly countedBy: string | undefined;
  readonly open: OpenStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly entriesMax?: number | undefined;
  /** Keys, values and what is known about them, without LMDB's own pages. */
  readonly bytesMax?: number | undefined;
  /** Default: "frozen". */
  readonly values?: ValueMode | undefined;
  /** The order of last uses is written this often. Default: 30,000. */
  readonly lruUpdateIntervalMs?: number | undefined;
  /** What a sliding entry was given is written at most this often. Default: 30,000. */
  readonly slideFlushMs?: number | undefined;
  /** Default: limits.tagVersionsMax. */
  readonly tagVersionsMax?: number | undefined;
}

const intervalMsDefault = 30_000;
/** Last uses written at once, the latest of them: one turn of the process pays for all. */
const usesWrittenMax = 10_000;
/** Entries looked at between two looks at the clock. */
const sweepStride = 64;
/** Of two records: LMDB's node headers and index. */
const entryOverheadBytes = 32;

const nothing: Uint8Array = new Uint8Array(0);

/**
 * Results in an OrderedStore, with all about them but their values in memory too.
 *
 *     1. What is in memory is the truth: an entry that is not there does not exist, whatever the disk still has.
 *     2. Everything is gathered and written behind, one batch in the air, and each batch has the position beside what that covers:
 *        what a kill leaves is how it all stood at one moment.
 *     3. Reads never meet the disk for a value that is not written yet: the entry has it until then.
 *     4. Past the bound on what waits, new entries are left out; removals, versions, positions and queued invalidations never are.
 *     5. A batch that fails ends the disk: nothing is read from it again, and it is marked so where possible.
 */
export class DiskEntryStore implements PersistentEntryStore {
  readonly kind = "lmdb";
  readonly #options: DiskEntryStoreOptions;
  readonly #clock: Clock;
  readonly #ticks: Ticks;
  readonly #entriesMax: number;
  readonly #bytesMax: number;
  readonly #slideFlushMs: number;
  readonly #entries = new Map<string, DiskEntry>();
  readonly #recency = new Recency<DiskEntry>();
  readonly #versions: TagVersions;
  readonly #queue = new Map<string, QueuedInvalidation & { readonly order: number }>();
  readonly #gathered: GatheredChanges;
  readonly #writer: WriteBehind;
  /** Undefined once the disk is lost, or closed. */
  #store: OrderedStore | undefined;
  #position: EntryPosition | undefined;
  #orders = 0;
  #hand = this.#entries.values();
  #bytes = 0;
  #evictions = 0;
  #usesWrittenMs: number;
  #closing: Promise<void> | undefined;
  #retiring: Promise<void> | undefined;

  private constructor(options: DiskEntryStoreOptions, store: OrderedStore, opened: OpenedTier) {
    const { tagVersionsMax: tagsMax = limits.tagVersionsMax } = options;
    this.#options = options;
    this.#clock = options.clock;
    this.#ticks = new Ticks(options.clock);
    this.#entriesMax = options.entriesMax ?? Infinity;
    this.#bytesMax = options.bytesMax ?? Infinity;
    this.#slideFlushMs = options.slideFlushMs ?? intervalMsDefault;
    this.#store = store;
    this.#gathered = new GatheredChanges(opened.spoilt);
    this.#writer = new WriteBehind({
      store,
      clock: options.clock,
      take: () => this.#take(),
      wrote: () => {
        this.#gathered.wrote();
      },
      lost: (error) => {
        this.#lose(error);
      },
    });
    this.#usesWrittenMs = this.#ticks.now();
    this.#versions = new TagVersions({
      tagsMax,
      floor: opened.floor,
      versions: opened.versions,
      changed: (tag, sequence) => {
        if (this.#store === undefined) return;
        this.#gathered.version(tag, sequence);
        this.#writer.changed();
      },
    });
    this.#takeOver(opened);
  }

  /** Opens what an earlier process left, or begins anew where that cannot be used. Rejects with StoreError when the store holds something else. */
  static async open(options: DiskEntryStoreOptions): Promise<DiskEntryStore> {
    const store = await options.open();
    try {
      return new DiskEntryStore(options, store, readTier(options, store));
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  get position(): EntryPosition | undefined {
    return this.#position;
  }

  begin(): EntryVersion {
    assert(this.#position !== undefined, "a tier has a position before anything is computed for it");
    return this.#position;
  }

  get(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const nowMs = this.#ticks.now();
    if (nowMs >= entry.expiresMs) return this.#remove(entry);
    if (entry.checkedAt !== this.#versions.version) {
      // Under a queued invalidation it may be good again, in no sense that could be told: it goes.
      if (this.#versions.isStale(entry.tags, entry.sequence)) return this.#remove(entry);
      entry.checkedAt = this.#versions.version;
    }
    const result = this.#read(entry);
    if (result !== undefined) this.#use(entry, nowMs);
    return result;
  }

  peek(key: string): EntryFacts | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || this.#ticks.now() >= entry.expiresMs) return undefined;
    return this.#versions.isStale(entry.tags, entry.sequence) ? undefined : entry;
  }

  put(key: string, value: unknown, how: Keeping<EntryVersion>): Entry | undefined {
    const { tags, began, ttlMs, leftMs = ttlMs, slides = false } = how;
    const record = value === undefined ? nothing : encodeValue(value);
    const before = this.#entries.get(key);
    if (before !== undefined) this.#drop(before);
    const bytes = 2 * Buffer.byteLength(key) + record.length + DiskEntry.aboutBytes(tags) + entryOverheadBytes;
    const isKept =
      this.#store !== undefined &&
      began.epoch === this.#position?.epoch &&
      bytes <= this.#bytesMax &&
      this.#entriesMax >= 1 &&
      this.#gathered.waitingBytes + bytes <= limits.cachePendingBytesMax &&
      (leftMs ?? Infinity) > 0 &&
      !this.#versions.isStale(tags, began.sequence);
    if (!isKept) {
      if (before !== undefined) this.#gather(key, undefined);
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
      bytes,
    });
    entry.record = record;
    entry.checkedAt = this.#versions.version;
    this.#add(entry);
    this.#gather(key, entry);
    this.#makeRoom();
    return new StoredResult(entry, value, false);
  }

  delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#remove(entry);
    return true;
  }

  clear(): void {
    for (const key of this.#entries.keys()) this.#gather(key, undefined);
    this.#forgetEntries();
  }

  keys(): Iterable<string> {
    return this.#entries.keys();
  }

  touch(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#use(entry, this.#ticks.now());
  }

  sweep(budgetMs: number): { readonly removed: number; readonly done: boolean } {
    const endMs = this.#clock.monotonic() + budgetMs;
    let removed = 0;
    for (let looked = 1; ; looked++) {
      const { value: entry, done } = this.#hand.next();
      if (done === true) {
        this.#hand = this.#entries.values();
        return { removed, done: true };
      }
      if (this.#ticks.now() >= entry.expiresMs || this.#versions.isStale(entry.tags, entry.sequence)) {
        this.#remove(entry);
        removed++;
      }
      if (looked % sweepStride === 0 && this.#clock.monotonic() >= endMs) return { removed, done: false };
    }
  }

  stats(): EntryStats {
    return { entries: this.#entries.size, bytes: this.#bytes, evictions: this.#evictions };
  }

  apply(tag: Tag, at: AppliedAt): void {
    this.#versions.set(tag, at.sequence);
    this.advance(at);
  }

  advance({ sequence, time }: AppliedAt): void {
    assert(this.#position !== undefined, "a tier has a position before anything is applied to it");
    if (sequence <= this.#position.sequence) return;
    this.#position = { epoch: this.#position.epoch, sequence, time };
    this.#writer.changed();
  }

  reset({ epoch, sequence, time }: EntryPosition): void {
    this.clear();
    this.#versions.reset(sequence);
    this.#position = { epoch, sequence, time };
    this.#writer.changed();
  }

  queued(): readonly QueuedInvalidation[] {
    return [...this.#queue.values()].map(({ id, tag }) => ({ id, tag }));
  }

  queue({ id, tag }: QueuedInvalidation): void {
    if (this.#queue.has(id)) return;
    const queued = { id, tag, order: this.#orders++ };
    this.#queue.set(id, queued);
    this.#versions.pend(tag);
    this.#gatherQueued(queued.order, queued);
  }

  settle(id: string, sequence: number | undefined): void {
    const queued = this.#queue.get(id);
    if (queued === undefined) return;
    this.#queue.delete(id);
    // First its version, so that nothing under it is good for a moment.
    this.#versions.set(queued.tag, sequence ?? (this.#position?.sequence ?? 0) + 1);
    this.#versions.unpend(queued.tag);
    this.#gatherQueued(queued.order, undefined);
  }

  flush(): Promise<void> {
    return this.#writer.flush();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#gatherUses(Infinity);
    // What cannot be written was logged when it was lost.
    await this.#writer.flush().catch(() => undefined);
    await this.#writer.end();
    const store = this.#store;
    this.#store = undefined;
    this.#forgetEntries();
    await store?.close();
    await this.#retiring;
  }

  #takeOver({ position, entries, spoilt, queue }: OpenedTier): void {
    this.#position = position;
    for (const queued of queue) {
      this.#queue.set(queued.id, queued);
      this.#versions.pend(queued.tag);
      this.#orders = queued.order + 1;
    }
    if (spoilt.length > 0) this.#writer.changed();
    for (const entry of entries) {
      entry.bytes = 2 * Buffer.byteLength(entry.key) + entry.valueBytes + DiskEntry.aboutBytes(entry.tags) + entryOverheadBytes;
      this.#add(entry);
    }
    this.#makeRoom();
  }

  #read(entry: DiskEntry): Entry | undefined {
    const { values = "frozen", log, name } = this.#options;
    let record: Uint8Array | undefined;
    try {
      record = entry.record ?? this.#store?.read((view) => view.get(valueKey(entry.key)));
    } catch (error) {
      this.#lose(error);
      return undefined;
    }
    // A store that was closed by itself, or a value that somebody took out of the folder.
    if (record === undefined) return this.#remove(entry);
    if (record.length === 0) return new StoredResult(entry, undefined, true);
    try {
      const { value, hasUnfreezable } = decodeValue(record);
      if (values === "shared") return new StoredResult(entry, structuredClone(value), true);
      return new StoredResult(entry, value, values === "frozen" && !hasUnfreezable);
    } catch (error) {
      log.warn({ name, key: entry.key, error }, "cached result cannot be read");
      return this.#remove(entry);
    }
  }

  #use(entry: DiskEntry, nowMs: number): void {
    entry.usedMs = nowMs;
    this.#recency.use(entry);
    if (entry.slides) {
      entry.expiresMs = nowMs + (entry.ttlMs as number);
      if (nowMs - entry.writtenMs >= this.#slideFlushMs) this.#gather(entry.key, entry);
    }
    if (nowMs - this.#usesWrittenMs < (this.#options.lruUpdateIntervalMs ?? intervalMsDefault)) return;
    this.#gatherUses(usesWrittenMax);
  }

  /** Writes when entries were used, the latest first, at most `countMax` of them. */
  #gatherUses(countMax: number): void {
    const sinceMs = this.#usesWrittenMs;
    this.#usesWrittenMs = this.#ticks.now();
    let count = 0;
    for (let entry = this.#recency.newest; entry !== undefined && entry.usedMs >= sinceMs && count < countMax; entry = entry.older) {
      if (entry.usedMs <= entry.writtenMs) continue;
      this.#gather(entry.key, entry);
      count++;
    }
  }

  #add(entry: DiskEntry): void {
    this.#entries.set(entry.key, entry);
    this.#recency.add(entry);
    this.#bytes += entry.bytes;
  }

  #remove(entry: DiskEntry): undefined {
    this.#drop(entry);
    this.#gather(entry.key, undefined);
  }

  /** From memory only. */
  #drop(entry: DiskEntry): void {
    this.#entries.delete(entry.key);
    this.#recency.remove(entry);
    this.#bytes -= entry.bytes;
  }

  #makeRoom(): void {
    while (this.#entries.size > this.#entriesMax || this.#bytes > this.#bytesMax) {
      const oldest = this.#recency.oldest;
      if (oldest === undefined) return;
      this.#remove(oldest);
      this.#evictions++;
    }
  }

  #gather(key: string, entry: DiskEntry | undefined): void {
    if (this.#store === undefined) return;
    this.#gathered.entry(key, entry);
    this.#writer.changed();
  }

  #gatherQueued(order: number, queued: QueuedInvalidation | undefined): void {
    if (this.#store === undefined) return;
    this.#gathered.queued(order, queued);
    this.#writer.changed();
  }

  #take(): readonly Change[] {
    const changes = this.#gathered.take(this.#clock.now() - this.#clock.monotonic());
    changes.push({ key: tierMetaKey, value: encodeTierMeta(this.#meta(false)) });
    return changes;
  }

  #meta(isDiscarded: boolean) {
    const { name, countedBy } = this.#options;
    return { name, countedBy, position: this.#position, floor: this.#versions.floor, isDiscarded };
  }

  #forgetEntries(): void {
    this.#entries.clear();
    this.#recency.clear();
    this.#hand = this.#entries.values();
    this.#bytes = 0;
  }

  /** Goes on without the disk. Its last durable state is whole, for a batch is atomic; the mark makes sure that it is not used all the same. */
  #lose(error: unknown): void {
    const store = this.#store;
    if (store === undefined) return;
    const { name, log } = this.#options;
    log.error({ name, folder: store.path, error }, "cached results on disk cannot be used any more");
    this.#store = undefined;
    this.#forgetEntries();
    this.#gathered.clear();
    this.#retiring = this.#retire(store, error);
  }

  async #retire(store: OrderedStore, error: unknown): Promise<void> {
    const { name, open, log } = this.#options;
    try {
      await this.#writer.end(new WriteInDoubtError({ folder: store.path }, error));
      await store.close();
      const again = await open();
      try {
        await again.batch([{ key: tierMetaKey, value: encodeTierMeta(this.#meta(true)) }]);
      } finally {
        await again.close();
      }
    } catch (failure) {
      log.warn({ name, folder: store.path, error: failure }, "cached results on disk cannot be marked as discarded");
    }
  }
}
