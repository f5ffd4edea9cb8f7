import { AsyncResource } from "node:async_hooks";
import type { Entry, EntryPosition, EntryVersion, Keeping, PersistentEntryStore } from "../../storage/results/entry-store.js";
import { keepValue, KeptFailure, type KeptValue, valueOf, type ValueMode } from "../../storage/results/kept-value.js";
import type { MemoryEntryStore } from "../../storage/results/memory-entries.js";
import type { EntrySlot } from "../../storage/results/memory-entry.js";
import { isAnyStale, objectChanges } from "../../core/object-read.js";
import type { Began, TagTrie } from "../../storage/results/tag-trie.js";
import { keyTag } from "../../storage/results/result-key.js";
import { type Clock, coversTags, InvalidOptionError, InvalidValueError, limits, type Log, type Tag } from "../../core/index.js";
import type { CacheObservers } from "./observers.js";
import { type Call, lifetimeOf } from "./cached-work.js";
import type { Used } from "../tracking/computation.js";
import type { SharedEntries, SharedEntry } from "./shared-tier.js";

/** What was known here when a computation began, to each tier in its own terms. */
export interface BeganHere {
  readonly memory: Began;
  readonly disk: EntryVersion | undefined;
  /** Undefined: the result is not to be shared. */
  readonly shared: EntryPosition | undefined;
  /** Count of invalidations, and of changes of object stores: while it stands, nothing that began then can have become stale. */
  readonly changes: number;
}

/** What a look-up found, and what was known when it was valid. */
export interface FoundHere {
  readonly entry: Entry;
  readonly began: BeganHere;
}

/** The tiers, and what they need. */
export interface TierParts {
  readonly trie: TagTrie;
  readonly memory: MemoryEntryStore;
  readonly disk: PersistentEntryStore | undefined;
  /** What the nodes share in a bucket. */
  readonly shared: SharedEntries | undefined;
  readonly values: ValueMode;
  readonly observers: CacheObservers;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether what is known here may be relied on; undefined: always. */
  readonly isInTouch: (() => boolean) | undefined;
}

/** Says of an entry that its value is given as a promise: made when somebody asks, as it takes as much memory as half an entry. */
export const promised: Promise<unknown> = Promise.resolve();

const resolved = (value: unknown): Promise<unknown> => Promise.resolve(value);

/** The tiers of one cache as one: memory first, then the disk, or what the nodes share. */
export class Tiers {
  readonly #parts: TierParts;
  readonly #trie: TagTrie;
  readonly #memory: MemoryEntryStore;
  readonly #disk: PersistentEntryStore | undefined;
  readonly #shared: SharedEntries | undefined;
  /** Looked up in the bucket now, each once for all who ask. */
  readonly #lookUps = new Map<string, Promise<FoundHere | undefined>>();
  /** Functions whose results could not be kept, as the log was told. */
  readonly #unkept = new Set<string>();
  #keepFailures = 0;
  /** The context that this cache was opened in. */
  readonly #nowhere = new AsyncResource("zooid:cache");

  constructor(parts: TierParts) {
    this.#parts = parts;
    this.#trie = parts.trie;
    this.#memory = parts.memory;
    this.#disk = parts.disk;
    this.#shared = parts.shared;
  }

  /** Results that could not be kept. */
  get keepFailures(): number {
    return this.#keepFailures;
  }

  /** Changes whenever a computation that has begun may have become older than a call that begins. */
  get changes(): number {
    return this.#memory.version + objectChanges.applied;
  }

  begin(): BeganHere {
    return {
      memory: this.#trie.begin(),
      disk: this.#disk?.position,
      shared: this.#shared?.begin(),
      changes: this.changes,
    };
  }

  /**
   * A result that may be given now. `declared` gives what a function declares that its result depends on: one that was kept under other tags,
   * by another version of the function or under other options, is none. It is asked where an entry is met for the first time.
   */
  find(slot: EntrySlot, declared?: () => readonly Tag[] | undefined): Entry | undefined {
    return this.#memory.getAt(slot, declared) ?? this.#findOnDisk(slot, declared);
  }

  /** `find` by a key alone, whatever was declared for it. */
  findByKey(key: string): Entry | undefined {
    return this.#memory.get(key) ?? this.#findOnDisk({ key, graceMs: 0 }, undefined);
  }

  /** The tags of a result of `key` that is kept, but does not depend on all that is `declared`. */
  tagsWithout(key: string, declared: readonly Tag[]): readonly Tag[] | undefined {
    const kept = this.#memory.peek(key) ?? this.#disk?.peek(key);
    return kept === undefined || coversTags(kept.tags, declared) ? undefined : kept.tags;
  }

  /** There is a bucket, and it can be asked now. */
  get canLookUp(): boolean {
    return this.#shared?.isUsable === true;
  }

  /** A result that may be given to all who asked before it was found, from the bucket if there is none here: it is in memory then, and stays for `last` as told. Never rejects. */
  lookUp(key: string, graceMs = 0): Promise<FoundHere | undefined> {
    const shared = this.#shared;
    if (shared === undefined) return Promise.resolve(undefined);
    const lookUp = this.#lookUps.get(key) ?? this.#lookUp(key, graceMs, shared);
    this.#lookUps.set(key, lookUp);
    return lookUp;
  }

  /** Nobody computes anew what was looked up: what has expired in the bucket can go. */
  abandon(key: string): void {
    this.#shared?.discardExpired(key);
  }

  /** Shares an entry that a `set` put in memory, if it is still there, under the number of its invalidation. */
  share(key: string, entry: Entry, began: EntryPosition, ownSequence: number): void {
    if (this.#memory.last(key) !== entry) return;
    const { value, tags, ttlMs, slides } = entry;
    this.#shared?.put(key, value, { tags, began, ownSequence, ttlMs, slides, leftMs: this.#leftMs(entry) });
  }

  /** An entry slid in memory: what the nodes share gets its time to live anew, as known now. */
  slid(key: string): void {
    const entry = this.#memory.last(key);
    const began = this.#shared?.begin();
    if (entry === undefined || began === undefined || entry.reads !== undefined || failureOf(entry.value) !== undefined) return;
    this.#shared?.put(key, entry.value, { tags: entry.tags, began, ttlMs: entry.ttlMs, slides: true });
  }

  /** `kept` for one caller. */
  readonly give = (kept: KeptValue): unknown => (kept.isShared ? kept.value : valueOf(kept, this.#parts.values));

  /** Throws InvalidValueError for a value of which callers are to get copies, and that cannot be copied. */
  check(value: unknown): void {
    if (this.copies) keepValue(value, "cloned");
  }

  /** Each caller gets a copy of its own. */
  get copies(): boolean {
    return this.#parts.values === "cloned";
  }

  /** `value` so that several callers can be given it. */
  hold(value: unknown): KeptValue {
    try {
      return keepValue(value, this.#parts.values);
    } catch {
      return { value, isShared: true };
    }
  }

  /**
   * Keeps what a call gave, if it is wanted and nothing made it stale since it began. What is given back can be given to all.
   * What depends on an object store is kept in memory only: elsewhere, and after a restart, nobody can tell what was changed there.
   */
  keep(call: Call, value: unknown, { tags, reads }: Used, began: BeganHere, isPromised: boolean, isSet = false): KeptValue {
    if (this.#parts.isInTouch?.() === false) return this.hold(value);
    const { rules, ttlMsOf } = call.work;
    const { slides, staleIfErrorMs } = rules;
    const startedMs = this.#parts.observers.keeps ? this.#parts.clock.monotonic() : undefined;
    try {
      if (!call.work.isWanted(value, call)) return this.hold(value);
      checkTags(tags);
      const ttlMs = lifetimeOf(ttlMsOf?.(value, call) ?? rules.ttlMs);
      const { memory } = began;
      const own = this.#own(call.key, tags);
      const how = {
        // The trie would take the invalidation by which it was set for a later one; whoever hears of one of its key finds it.
        tags: isSet ? tags : own,
        reads,
        began: memory,
        ttlMs,
        slides,
        graceMs: staleIfErrorMs,
      };
      const entry = this.#memory.put(call.key, value, how, call.slot);
      if (reads.length > 0) this.#disk?.delete(call.key);
      else if (began.disk !== undefined) this.#keepOnDisk(call, value, { tags: own, began: began.disk, ttlMs, slides });
      if (reads.length === 0 && began.shared !== undefined)
        this.#shared?.put(call.key, value, { tags, began: began.shared, ttlMs, slides });
      if (entry === undefined) return this.hold(value);
      if (isPromised) entry.promise = promised;
      return entry;
    } catch (error) {
      // Whatever a condition, a getter or a tier throws: the call itself has its result.
      this.#tellUnkept(call, error);
      // What the disk cannot take is not to be followed by what it had.
      this.#disk?.delete(call.key);
      return this.hold(value);
    } finally {
      if (startedMs !== undefined) this.#parts.observers.kept(this.#parts.clock.monotonic() - startedMs);
    }
  }

  /** What a folder cannot hold just as it is stays in memory, and what the folder had does not come back after it. */
  #keepOnDisk(call: Call, value: unknown, how: Keeping<EntryVersion>): void {
    try {
      this.#disk?.put(call.key, value, how);
    } catch (error) {
      this.#disk?.delete(call.key);
      if (!(error instanceof InvalidValueError)) throw error;
      this.#log(call, error, "results are kept in memory only");
    }
  }

  #tellUnkept(call: Call, error: unknown): void {
    this.#keepFailures++;
    this.#log(call, error, "results cannot be kept");
  }

  /** A warning once for each function: what cannot be kept of it once cannot be kept again. */
  #log({ key, work: { name } }: Call, err: unknown, message: string): void {
    if (this.#unkept.has(name)) {
      this.#parts.log.debug({ err, name, key }, message);
      return;
    }
    if (this.#unkept.size >= unkeptToldMax) this.#unkept.clear();
    this.#unkept.add(name);
    this.#parts.log.warn({ err, name, key }, message);
  }

  keepFailure(call: Call, error: unknown, { tags, reads }: Used, began: BeganHere, isPromised: boolean): void {
    if (!call.work.rules.cachesErrors || tags.length > limits.entryTagsMax || this.#parts.isInTouch?.() === false) return;
    const { ttlMs, slides } = call.work.rules;
    const entry = this.#memory.put(call.key, new KeptFailure(error), {
      tags: this.#own(call.key, tags),
      reads,
      began: began.memory,
      ttlMs,
      slides,
    });
    if (entry === undefined || !isPromised) return;
    entry.promise = this.#nowhere.runInAsyncScope(() => Promise.reject(error as Error));
    // Whoever is given it handles it; until then it is nobody's.
    entry.promise.catch(() => undefined);
  }

  /** What may stand in for a result that could not be computed. */
  last(call: Call): KeptValue | undefined {
    if (call.work.rules.staleIfErrorMs === 0) return undefined;
    const entry = this.#memory.last(call.key);
    return entry === undefined || failureOf(entry.value) !== undefined ? undefined : entry;
  }

  /** `value` as a promise that is kept: of no call's context, which would be kept with it. */
  promiseOf(value: unknown): Promise<unknown> {
    return this.#nowhere.runInAsyncScope(resolved, undefined, value);
  }

  /** Whether an invalidation that counts for its tags came after `began`, or a commit changed what it read. */
  isStale({ tags, reads }: Used, began: BeganHere): boolean {
    if (isAnyStale(reads)) return true;
    return this.#trie.isStaleFor(tags, began.memory);
  }

  /** Whether `key` was set, deleted or invalidated after `began`. Of what is under way for it others may be told that exactly. */
  isKeyStale(key: string, began: BeganHere): boolean {
    return began.changes !== this.changes && this.#trie.isStaleFor([keyTag(key)], began.memory);
  }

  /** Nobody tells what is under way for `key` that it was invalidated: its tag tells it only by a hash. */
  isHashed(key: string): boolean {
    return key.length > plainKeyLengthMax && isHashed(keyTag(key));
  }

  /** What a result depends on that uses the one of `key`: all that this one does, and its key. */
  tagsFor(key: string, tags: readonly Tag[]): readonly Tag[] {
    return [...tags, keyTag(key)];
  }

  delete(key: string): void {
    this.#memory.delete(key);
    this.#disk?.delete(key);
  }

  /** A key that is found by its tag needs no place in the trie; one whose tag is a hash has one. */
  #own(key: string, tags: readonly Tag[]): readonly Tag[] {
    if (key.length <= plainKeyLengthMax) return tags;
    const tag = keyTag(key);
    return isHashed(tag) ? [...tags, tag] : tags;
  }

  #findOnDisk(
    { key, graceMs }: Pick<EntrySlot, "key" | "graceMs">,
    declared: (() => readonly Tag[] | undefined) | undefined,
  ): Entry | undefined {
    const entry = this.#disk?.get(key);
    if (entry === undefined) return undefined;
    const { tags, ttlMs, slides } = entry;
    if (declared !== undefined && !coversTags(tags, declared())) return undefined;
    // Valid now, whatever it was computed from: for memory it begins now.
    const how = { tags, began: this.#trie.begin(), ttlMs, slides, graceMs, leftMs: this.#leftMs(entry) };
    return this.#memory.put(key, entry.value, how) ?? entry;
  }

  async #lookUp(key: string, graceMs: number, shared: SharedEntries): Promise<FoundHere | undefined> {
    const found = await shared.get(key);
    // Who asks from now on may know of more than this was compared with.
    this.#lookUps.delete(key);
    if (this.#parts.isInTouch?.() === false) return undefined;
    // Somebody may have put another there meanwhile, which is what counts here.
    const entry = this.#memory.get(key) ?? (found && this.#putFound(key, found, graceMs));
    return entry && { entry, began: this.begin() };
  }

  /** What was found as an entry, in memory if it can be held there; undefined: it has become stale since. */
  #putFound(key: string, found: SharedEntry, graceMs: number): Entry | undefined {
    const { ttlMs, slides, began } = found;
    const tags = this.#own(key, found.tags);
    // Of its key it may have been told while nobody looked: since it was compared with all that was known.
    if (this.#trie.isStaleFor(this.tagsFor(key, tags), began)) return undefined;
    const { value } = found;
    const leftMs = found.leftMs === Infinity ? undefined : found.leftMs;
    const entry = this.#memory.put(key, value, { tags, began, ttlMs, slides, graceMs, leftMs });
    if (entry !== undefined) return entry;
    const storedMs = this.#parts.clock.monotonic();
    return { ...this.hold(value), key, tags, ttlMs, slides, storedMs, expiresMs: storedMs + found.leftMs, promise: undefined };
  }

  #leftMs({ ttlMs, expiresMs }: Entry): number | undefined {
    return ttlMs === undefined ? undefined : expiresMs - this.#parts.clock.monotonic();
  }
}

/** The error that is kept as `value`, if one is. */
export function failureOf(value: unknown): KeptFailure | undefined {
  return value instanceof KeptFailure ? value : undefined;
}

/** Throws InvalidOptionError for more tags than one result may have. */
function checkTags(tags: readonly Tag[]): void {
  if (tags.length > limits.entryTagsMax) throw new InvalidOptionError({ option: "tags", reason: `are more than ${limits.entryTagsMax}` });
}

/** Functions that are remembered so that the log is told of each once. */
const unkeptToldMax = 1_000;

/** Keys up to this length have tags that tell them, however many of their characters are written as escapes. */
const plainKeyLengthMax = 41;
const keyLevel = keyTag("x").slice(0, -1);

/** Whether `tag`, a key's own, tells it only by a hash. */
export function isHashed(tag: Tag): boolean {
  return tag.startsWith("..", keyLevel.length);
}

/** The key whose own tag `tag` is; undefined when it is another tag, or tells its key only by a hash. */
export function keyOf(tag: string): string | undefined {
  if (!tag.startsWith(keyLevel) || tag.startsWith("..", keyLevel.length)) return undefined;
  return tag.slice(keyLevel.length).replaceAll(/\.([0-9a-z]+)\./g, (_, unit: string) => String.fromCharCode(parseInt(unit, 36)));
}
