import { type Clock, coversTags, isAnyPast, isAnyStale, objectChanges, type Tag } from "../../core/index.js";
import type { Entry, EntryBounds, EntryFacts, EntryStats, EntryStore, Keeping, Swept } from "./entry-store.js";
import { Expiry } from "./expiry.js";
import { keepValue, type MeasuredValue, type ValueMode } from "./kept-value.js";
import { BoundedEntry, entryOverheadBytes, type EntrySlot, type Lifetime, MemoryEntry } from "./memory-entry.js";
import { Recency } from "../../core/recency.js";
import { swept } from "./swept.js";
import type { Began, TagTrie } from "./tag-trie.js";
import { stringBytes } from "./rough-bytes.js";
import { Ticks } from "./ticks.js";

export interface MemoryEntryStoreOptions extends EntryBounds {
  /** Decides whether an entry is stale. Other code applies invalidations to it. */
  readonly trie: TagTrie;
  readonly clock: Clock;
  /** Default: ticks of `clock`. */
  readonly ticks?: Ticks | undefined;
  /** Time after an entry became stale or expired during which `last` still returns it. Default: 0. */
  readonly graceMs?: number | undefined;
  /** Called when an entry slides, at most once in each interval for each entry: for the tier behind this one. */
  readonly onSlide?: { readonly intervalMs: number; readonly slid: (key: string) => void } | undefined;
}

/** Bytes of a tag that no other entry depends on, and of each of its levels that has no other tag below. */
const tagBytes = 200;

/**
 * Results in memory, as objects.
 *
 *     1. An entry is not checked again as long as the version of this tier is the one of its last check. A hit is a
 *        look-up and a comparison; with bounds or deadlines, also a mark that the entry was used and a reading of the
 *        tick clock.
 *     2. Each entry holds its dependency in the trie, and its reads of object stores, from `put` until it is removed,
 *        and releases them exactly once.
 *     3. `get` never returns a stale or expired entry again, even while it is kept for `last`.
 *     4. A slot refers to the entry of its key or to none: the slot of a removed entry is empty.
 *     5. Beyond a bound, eviction takes the first entry in turn that was not used since its last turn; a used entry
 *        moves behind all others. `expire` removes expired entries within a few seconds.
 */
export class MemoryEntryStore implements EntryStore<Began> {
  readonly kind = "memory";
  readonly #trie: TagTrie;
  readonly #clock: Clock;
  readonly #ticks: Ticks;
  readonly #options: MemoryEntryStoreOptions;
  #entriesMax: number;
  readonly #bytesMax: number;
  readonly #isBounded: boolean;
  readonly #mode: ValueMode;
  readonly #graceMs: number;
  readonly #entries = new Map<string, MemoryEntry>();
  /** Entries of a tier with bounds, in the order in which eviction visits them. */
  readonly #turns = new Recency<BoundedEntry>();
  readonly #expiry = new Expiry<MemoryEntry>();
  /** Lifetime of the entry that was put last. */
  #lifetime: Lifetime = { ttlMs: undefined, slides: false, graceMs: 0 };
  /**
   * Position of the current round of sweeping; undefined between rounds, because a paused iterator keeps every table
   * that the map has outgrown since.
   */
  #hand: Iterator<MemoryEntry> | undefined;
  #bytes = 0;
  #evictions = 0;

  constructor(options: MemoryEntryStoreOptions) {
    this.#options = options;
    this.#trie = options.trie;
    this.#clock = options.clock;
    this.#ticks = options.ticks ?? new Ticks(options.clock);
    this.#entriesMax = options.entriesMax ?? Infinity;
    this.#bytesMax = options.bytesMax ?? Infinity;
    this.#isBounded = this.#entriesMax < Infinity || this.#bytesMax < Infinity;
    this.#mode = options.values ?? "frozen";
    this.#graceMs = options.graceMs ?? 0;
  }

  begin(): Began {
    return this.#trie.begin();
  }

  /** Changes when anything that entries depend on may have become stale: the sum of two counts that only rise. */
  get version(): number {
    return this.#trie.version + objectChanges.count;
  }

  get(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : this.#used(entry);
  }

  /**
   * `get` for the key of the slot. If the slot has no entry yet, the entry is returned only if it depends on all tags
   * in `declared`.
   */
  getAt(slot: EntrySlot, declared?: () => readonly Tag[] | undefined): Entry | undefined {
    const entry = slot.entry ?? this.#led(slot, declared);
    return entry === undefined ? undefined : this.#used(entry);
  }

  /**
   * The promise kept with the entry of the slot, if returning it is the whole hit: nothing has changed since the entry
   * was last checked, and it does not expire. Undefined does not mean a miss; `getAt` decides that.
   */
  promiseAt({ entry }: EntrySlot): Promise<unknown> | undefined {
    if (entry === undefined || entry.endsMs !== undefined || entry.checkedAt !== this.version) return undefined;
    if (this.#isBounded) markUsed(entry as BoundedEntry);
    return entry.promise;
  }

  /** Empties the slot. Call it when the slot is no longer used. */
  vacate(slot: EntrySlot): void {
    if (slot.entry !== undefined) slot.entry.slot = undefined;
    slot.entry = undefined;
  }

  peek(key: string): EntryFacts | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.lapsedMs !== undefined || this.#ticks.now() >= entry.expiresMs || isAnyPast(entry.ages))
      return undefined;
    return entry.checkedAt !== this.version && this.#isStale(entry) ? undefined : entry;
  }

  /** The entry, including stale and expired ones during their grace: for when there is no newer result. */
  last(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || !this.#isOver(entry)) return entry;
    this.#remove(entry);
    return undefined;
  }

  /** `slot`, which has the same key, refers to the new entry from now on. */
  put(key: string, value: unknown, how: Keeping<Began>, slot?: EntrySlot): Entry | undefined {
    const kept = keepValue(value, this.#mode);
    const before = this.#entries.get(key);
    // The new entry takes the place of the one before in the map, which costs less than to delete and add.
    if (before !== undefined) this.#retire(before);
    const entry = this.#made(key, kept, how, before === undefined ? 0 : 1);
    if (entry === undefined) {
      if (before !== undefined) this.#entries.delete(key);
      return undefined;
    }
    this.#entries.set(key, entry);
    if (slot !== undefined) this.#lead(slot, entry);
    this.#expiry.schedule(entry, entry.leavesMs);
    return entry;
  }

  /** A new entry, with room made for it; undefined: not kept. `leaving`: entries of the map that are replaced. */
  #made(key: string, kept: MeasuredValue, how: Keeping<Began>, leaving: number): MemoryEntry | undefined {
    const bytes = entryOverheadBytes + stringBytes(key) + kept.bytes;
    if (this.#entriesMax < 1 || bytes > this.#bytesMax || (how.leftMs ?? how.ttlMs ?? Infinity) <= 0) return undefined;
    const tagsBefore = this.#trie.size;
    const dependency = this.#trie.depend(how.tags);
    if (this.#trie.isStale(dependency, how.began) || isAnyStale(how.reads)) {
      this.#trie.release(dependency);
      return undefined;
    }
    const entry = new (this.#isBounded ? BoundedEntry : MemoryEntry)(key, kept, how, {
      dependency,
      version: this.version,
      nowMs: this.#ticks.now(),
      lifetime: this.#lifetimeOf(how),
    });
    if (entry.reads !== undefined) for (const read of entry.reads) read.hold();
    if (entry instanceof BoundedEntry) {
      entry.bytes = bytes + (this.#trie.size - tagsBefore) * tagBytes;
      this.#makeRoomFor(entry, leaving);
      this.#bytes += entry.bytes;
      this.#turns.addNewest(entry);
    }
    return entry;
  }

  delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#remove(entry);
    return true;
  }

  clear(): void {
    for (const entry of this.#entries.values()) this.#releaseAll(entry);
    this.#entries.clear();
    this.#turns.clear();
    this.#expiry.clear();
    this.#hand = undefined;
    this.#bytes = 0;
  }

  keys(): Iterable<string> {
    return this.#entries.keys();
  }

  /** Stale and expired entries stay during their grace. */
  sweep(budgetMs: number): Swept {
    return swept(
      this.#clock,
      budgetMs,
      () => this.#nextOfRound(),
      (entry) => this.#leaves(entry),
    );
  }

  get expiresNextMs(): number {
    return this.#expiry.nextMs;
  }

  onExpiresEarlier(listener: (atMs: number) => void): void {
    this.#expiry.onEarlier = listener;
  }

  expire(budgetMs: number): Swept {
    return swept(
      this.#clock,
      budgetMs,
      () => this.#expiry.next(this.#ticks.now()),
      (entry) => {
        const isLeaving = this.#leaves(entry);
        if (!isLeaving) this.#expiry.schedule(entry, entry.leavesMs);
        return isLeaving;
      },
    );
  }

  stats(): EntryStats {
    return { entries: this.#entries.size, bytes: this.#bytes, evictions: this.#evictions };
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.clear();
    // Later results are not kept, because invalidations are no longer applied.
    this.#entriesMax = 0;
    return Promise.resolve();
  }

  #led(slot: EntrySlot, declared: (() => readonly Tag[] | undefined) | undefined): MemoryEntry | undefined {
    const entry = this.#entries.get(slot.key);
    if (entry === undefined || (declared !== undefined && !coversTags(entry.tags, declared()))) return undefined;
    this.#lead(slot, entry);
    return entry;
  }

  #lead(slot: EntrySlot, entry: MemoryEntry): void {
    if (entry.slot !== undefined) this.vacate(entry.slot);
    this.vacate(slot);
    entry.slot = slot;
    slot.entry = entry;
  }

  /** `entry`, if it is valid; it then counts as the most recently used one. */
  #used(entry: MemoryEntry): Entry | undefined {
    if (entry.lapsedMs !== undefined) return undefined;
    if (entry.checkedAt !== this.version && this.#isStale(entry)) return this.#lapse(entry);
    if (entry.endsMs !== undefined) {
      const nowMs = this.#ticks.now();
      if (nowMs >= entry.endsMs || isAnyPast(entry.ages)) return this.#lapse(entry);
      if (entry.slides) this.#slide(entry, nowMs);
    }
    // In a tier with bounds every entry is a BoundedEntry; an instanceof check would take as long as the rest of a hit.
    if (this.#isBounded) markUsed(entry as BoundedEntry);
    return entry;
  }

  #isStale(entry: MemoryEntry): boolean {
    if (this.#trie.isStale(entry.dependency, entry.began) || isAnyStale(entry.reads)) return true;
    entry.checkedAt = this.version;
    return false;
  }

  #lapse(entry: MemoryEntry): undefined {
    if (entry.graceMs === 0) this.#remove(entry);
    else if (entry.lapsedMs === undefined) {
      entry.lapsedMs = Math.min(this.#ticks.now(), entry.expiresMs);
      this.#expiry.remove(entry);
      this.#expiry.schedule(entry, entry.leavesMs);
    }
    return undefined;
  }

  #slide(entry: MemoryEntry, nowMs: number): void {
    const ttlMs = entry.ttlMs as number;
    const usedBeforeMs = (entry.endsMs as number) - ttlMs;
    entry.endsMs = nowMs + ttlMs;
    const { onSlide } = this.#options;
    if (onSlide === undefined || Math.floor(nowMs / onSlide.intervalMs) === Math.floor(usedBeforeMs / onSlide.intervalMs)) return;
    onSlide.slid(entry.key);
  }

  #lifetimeOf({ ttlMs, slides = false, graceMs = this.#graceMs }: Keeping<Began>): Lifetime {
    const isSliding = slides && ttlMs !== undefined;
    const last = this.#lifetime;
    if (last.ttlMs === ttlMs && last.slides === isSliding && last.graceMs === graceMs) return last;
    return (this.#lifetime = { ttlMs, slides: isSliding, graceMs });
  }

  /** Whether the entry is stale or expired and its grace has passed. */
  #isOver(entry: MemoryEntry): boolean {
    const nowMs = this.#ticks.now();
    if (entry.lapsedMs === undefined) {
      const isGood = nowMs < entry.expiresMs && !isAnyPast(entry.ages) && (entry.checkedAt === this.version || !this.#isStale(entry));
      if (isGood) return false;
      entry.lapsedMs = Math.min(nowMs, entry.expiresMs);
    }
    return nowMs - entry.lapsedMs >= entry.graceMs;
  }

  #makeRoomFor({ bytes }: BoundedEntry, leaving: number): void {
    while (this.#entries.size - leaving >= this.#entriesMax || this.#bytes + bytes > this.#bytesMax) {
      const first = this.#turns.oldest;
      if (first === undefined) return;
      if (first.isUsed) {
        first.isUsed = false;
        this.#turns.use(first);
        continue;
      }
      this.#removeForGood(first);
      this.#evictions++;
    }
  }

  #nextOfRound(): MemoryEntry | undefined {
    const { value, done } = (this.#hand ??= this.#entries.values()).next();
    if (done === true) this.#hand = undefined;
    return value;
  }

  #leaves(entry: MemoryEntry): boolean {
    const isOver = this.#isOver(entry);
    if (isOver) this.#removeForGood(entry);
    return isOver;
  }

  /** Removes the entry, and the slot of its key with it. */
  #removeForGood(entry: MemoryEntry): void {
    entry.slot?.leave();
    this.#remove(entry);
  }

  #remove(entry: MemoryEntry): void {
    this.#entries.delete(entry.key);
    this.#retire(entry);
  }

  /** Removes `entry` from everything but the map. */
  #retire(entry: MemoryEntry): void {
    if (entry instanceof BoundedEntry) {
      this.#turns.remove(entry);
      this.#bytes -= entry.bytes;
    }
    this.#expiry.remove(entry);
    this.#releaseAll(entry);
  }

  /** Empties the slot of a removed entry and releases its dependencies. */
  #releaseAll({ slot, dependency, reads }: MemoryEntry): void {
    if (slot !== undefined) this.vacate(slot);
    this.#trie.release(dependency);
    if (reads !== undefined) for (const read of reads) read.release();
  }
}

function markUsed(entry: BoundedEntry): void {
  if (!entry.isUsed) entry.isUsed = true;
}
