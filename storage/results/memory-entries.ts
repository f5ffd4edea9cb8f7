import type { Clock } from "../../core/clock.js";
import { coversTags, type Tag } from "../../core/tag.js";
import type { EntryFacts, Entry, EntryStats, EntryStore, Keeping, Swept } from "./entry-store.js";
import { Expiry } from "./expiry.js";
import { keepValue, type ValueMode } from "./kept-value.js";
import { BoundedEntry, entryOverheadBytes, type EntrySlot, MemoryEntry } from "./memory-entry.js";
import { isAnyPast, isAnyStale, objectChanges } from "../../core/object-read.js";
import { Recency } from "./recency.js";
import type { Began, TagTrie } from "./tag-trie.js";
import { stringBytes } from "./rough-bytes.js";
import { Ticks } from "./ticks.js";

export interface MemoryEntryStoreOptions {
  /** Judges what is stale; whoever hears of invalidations tells it. */
  readonly trie: TagTrie;
  readonly clock: Clock;
  readonly entriesMax?: number | undefined;
  /** By a rough measure of what keys, values and tags take. Default: no bound. */
  readonly bytesMax?: number | undefined;
  /** Default: "frozen". */
  readonly values?: ValueMode | undefined;
  /** An entry that became stale or expired is still there for `last` so long. Default: 0. */
  readonly graceMs?: number | undefined;
  /** Called when an entry slides, at most so often for each: for the tier behind this one. */
  readonly onSlide?: { readonly intervalMs: number; readonly slid: (key: string) => void } | undefined;
}

/** What a tag takes that no other entry depends on, and each level of it that has no other below. */
const tagBytes = 200;

/**
 * Results in memory, as objects.
 *
 *     1. An entry that the version of this tier has not moved past since it was last judged is not judged again: a hit is a look-up,
 *        a comparison, and where there are bounds or deadlines a mark that it was used and a look at a clock that ticks.
 *     2. Each entry holds its dependency in the trie, and what it read of object stores, from `put` until it is removed, and gives it back
 *        just once.
 *     3. What lapsed, stale or expired, is never given by `get` again, even when it is kept on for `last`.
 *     4. A slot leads to the entry of its key or nowhere: the slot of an entry that is removed is empty.
 *     5. Past a bound the entry goes that has its turn and was not used since it had it last: one that was used has another turn, after all
 *        others. What has expired goes within some seconds, by `expire`.
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
  /** Entries of a tier with bounds, in the order of their turns to make room. */
  readonly #turns = new Recency<BoundedEntry>();
  readonly #expiry = new Expiry<MemoryEntry>();
  /** Where a round of sweeping stands; none while there is no round: an iterator at rest keeps every table that the map has outgrown since. */
  #hand: Iterator<MemoryEntry> | undefined;
  #bytes = 0;
  #evictions = 0;

  constructor(options: MemoryEntryStoreOptions) {
    this.#options = options;
    this.#trie = options.trie;
    this.#clock = options.clock;
    this.#ticks = new Ticks(options.clock);
    this.#entriesMax = options.entriesMax ?? Infinity;
    this.#bytesMax = options.bytesMax ?? Infinity;
    this.#isBounded = this.#entriesMax < Infinity || this.#bytesMax < Infinity;
    this.#mode = options.values ?? "frozen";
    this.#graceMs = options.graceMs ?? 0;
  }

  begin(): Began {
    return this.#trie.begin();
  }

  /** Changes whenever anything that entries depend on may have become stale: two counts that only rise, as one. */
  get version(): number {
    return this.#trie.version + objectChanges.count;
  }

  get(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : this.#used(entry);
  }

  /** `get` of the slot's key. What the slot does not lead to yet is given only if it depends on all that is `declared`. */
  getAt(slot: EntrySlot, declared?: () => readonly Tag[] | undefined): Entry | undefined {
    const entry = slot.entry ?? this.#led(slot, declared);
    return entry === undefined ? undefined : this.#used(entry);
  }

  /**
   * The promise kept with what the slot leads to, where giving it is all there is to a hit: nothing has changed since that was last judged, and
   * it does not end. Undefined says nothing; `getAt` does.
   */
  promiseAt({ entry }: EntrySlot): Promise<unknown> | undefined {
    if (entry === undefined || entry.endsMs !== undefined || entry.checkedAt !== this.version) return undefined;
    if (this.#isBounded) markUsed(entry as BoundedEntry);
    return entry.promise;
  }

  /** The slot leads nowhere from now on: for one that is not used any more. */
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

  /** The entry whatever it is, stale and expired ones for as long as grace lasts: for when nothing newer can be had. */
  last(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || !this.#isOver(entry)) return entry;
    this.#remove(entry);
    return undefined;
  }

  /** `slot`, of the same key, leads to it from now on. */
  put(key: string, value: unknown, how: Keeping<Began>, slot?: EntrySlot): Entry | undefined {
    const kept = keepValue(value, this.#mode);
    const before = this.#entries.get(key);
    if (before !== undefined) this.#remove(before);
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
      graceMs: how.graceMs ?? this.#graceMs,
    });
    if (entry.reads !== undefined) for (const read of entry.reads) read.hold();
    if (entry instanceof BoundedEntry) {
      entry.bytes = bytes + (this.#trie.size - tagsBefore) * tagBytes;
      this.#makeRoomFor(entry);
      this.#bytes += entry.bytes;
      this.#turns.addNewest(entry);
    }
    this.#entries.set(key, entry);
    if (slot !== undefined) this.#lead(slot, entry);
    this.#expiry.schedule(entry, entry.leavesMs);
    return entry;
  }

  delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#remove(entry);
    return true;
  }

  clear(): void {
    for (const entry of this.#entries.values()) this.#letGo(entry);
    this.#entries.clear();
    this.#turns.clear();
    this.#expiry.clear();
    this.#hand = undefined;
    this.#bytes = 0;
  }

  keys(): Iterable<string> {
    return this.#entries.keys();
  }

  /** Entries that lapsed stay for their grace. */
  sweep(budgetMs: number): Swept {
    const endMs = this.#clock.monotonic() + budgetMs;
    const hand = (this.#hand ??= this.#entries.values());
    let removed = 0;
    for (let looked = 1; ; looked++) {
      const { value: entry, done } = hand.next();
      if (done === true) {
        this.#hand = undefined;
        return { removed, done: true };
      }
      if (this.#isOver(entry)) {
        this.#removeForGood(entry);
        removed++;
      }
      if (looked % sweepStride === 0 && this.#clock.monotonic() >= endMs) return { removed, done: false };
    }
  }

  get expiresNextMs(): number {
    return this.#expiry.nextMs;
  }

  onExpiresEarlier(tell: (atMs: number) => void): void {
    this.#expiry.onEarlier = tell;
  }

  expire(budgetMs: number): Swept {
    const endMs = this.#clock.monotonic() + budgetMs;
    let removed = 0;
    for (let looked = 1; ; looked++) {
      const entry = this.#expiry.next(this.#ticks.now());
      if (entry === undefined) return { removed, done: true };
      if (this.#isOver(entry)) {
        this.#removeForGood(entry);
        removed++;
      } else this.#expiry.schedule(entry, entry.leavesMs);
      if (looked % sweepStride === 0 && this.#clock.monotonic() >= endMs) return { removed, done: false };
    }
  }

  stats(): EntryStats {
    return { entries: this.#entries.size, bytes: this.#bytes, evictions: this.#evictions };
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.clear();
    // What is computed from now on is not kept: nobody tells what becomes stale.
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

  /** `entry`, if it may be given: it is the one that was used last. */
  #used(entry: MemoryEntry): Entry | undefined {
    if (entry.lapsedMs !== undefined) return undefined;
    if (entry.checkedAt !== this.version && this.#isStale(entry)) return this.#lapse(entry);
    if (entry.endsMs !== undefined) {
      const nowMs = this.#ticks.now();
      if (nowMs >= entry.endsMs || isAnyPast(entry.ages)) return this.#lapse(entry);
      if (entry.slides) this.#slide(entry, nowMs);
    }
    // Every entry here is a bounded one then, which asking it would take as long to tell as all the rest.
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
    entry.endsMs = nowMs + (entry.ttlMs as number);
    const { onSlide } = this.#options;
    if (onSlide === undefined || nowMs - entry.toldMs < onSlide.intervalMs) return;
    entry.toldMs = nowMs;
    onSlide.slid(entry.key);
  }

  /** Neither good nor within its grace. */
  #isOver(entry: MemoryEntry): boolean {
    const nowMs = this.#ticks.now();
    if (entry.lapsedMs === undefined) {
      const isGood = nowMs < entry.expiresMs && !isAnyPast(entry.ages) && (entry.checkedAt === this.version || !this.#isStale(entry));
      if (isGood) return false;
      entry.lapsedMs = Math.min(nowMs, entry.expiresMs);
    }
    return nowMs - entry.lapsedMs >= entry.graceMs;
  }

  #makeRoomFor({ bytes }: BoundedEntry): void {
    while (this.#entries.size >= this.#entriesMax || this.#bytes + bytes > this.#bytesMax) {
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

  /** Of its key nothing more is remembered. */
  #removeForGood(entry: MemoryEntry): void {
    entry.slot?.leave();
    this.#remove(entry);
  }

  #remove(entry: MemoryEntry): void {
    this.#entries.delete(entry.key);
    if (entry instanceof BoundedEntry) {
      this.#turns.remove(entry);
      this.#bytes -= entry.bytes;
    }
    this.#expiry.remove(entry);
    this.#letGo(entry);
  }

  /** Nothing leads to an entry that is not kept any more, and it holds nothing. */
  #letGo({ slot, dependency, reads }: MemoryEntry): void {
    if (slot !== undefined) this.vacate(slot);
    this.#trie.release(dependency);
    if (reads !== undefined) for (const read of reads) read.release();
  }
}

/** Entries looked at between two looks at the clock. */
const sweepStride = 64;

function markUsed(entry: BoundedEntry): void {
  if (!entry.isUsed) entry.isUsed = true;
}
