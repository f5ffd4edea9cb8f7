import { AsyncResource } from "node:async_hooks";
import type { Entry, EntryPosition, EntryVersion, Keeping, PersistentEntryStore } from "../../storage/results/entry-store.js";
import { keepValue, KeptFailure, type KeptValue, valueOf } from "../../storage/results/kept-value.js";
import type { MemoryEntryStore } from "../../storage/results/memory-entries.js";
import type { EntrySlot } from "../../storage/results/memory-entry.js";
import { coversTags, InvalidOptionError, InvalidValueError, isAnyStale, limits, objectChanges, type Tag } from "../../core/index.js";
import type { Began, TagTrie } from "../../storage/results/tag-trie.js";
import { keyTag } from "../../storage/results/result-key.js";
import type { CacheBase } from "./base.js";
import { type Call, lifetimeOf } from "./cached-work.js";
import type { Used } from "../tracking/computation.js";
import type { SharedEntries, SharedEntry } from "./shared-tier.js";

/** The position at which a computation began, in the terms of each tier. */
export interface BeganHere {
  readonly memory: Began;
  readonly disk: EntryVersion | undefined;
  /** Undefined: do not share the result. */
  readonly shared: EntryPosition | undefined;
  /** Count of invalidations and object-store changes: while it is the same, nothing that began then can be stale. */
  readonly changes: number;
}

/** A result that was found, and the position of this node when it was valid. */
export interface FoundHere {
  readonly entry: Entry;
  readonly began: BeganHere;
}

/** The tiers and their dependencies. */
export interface TierParts extends CacheBase {
  /** Results in a bucket that the nodes share. */
  readonly shared: SharedEntries | undefined;
}

/**
 * Marks an entry whose value is returned as a promise. The promise itself is created when a caller needs it, because it
 * takes as much memory as half an entry.
 */
export const promised: Promise<unknown> = Promise.resolve();

const resolved = (value: unknown): Promise<unknown> => Promise.resolve(value);

/** The tiers of one cache as one: memory first, then the disk or the shared bucket. */
export class Tiers {
  readonly #parts: TierParts;
  readonly #trie: TagTrie;
  readonly #memory: MemoryEntryStore;
  readonly #disk: PersistentEntryStore | undefined;
  readonly #shared: SharedEntries | undefined;
  /** Look-ups in the bucket that are in progress: one for all callers of a key. */
  readonly #lookUps = new Map<string, Promise<FoundHere | undefined>>();
  /** Functions whose results could not be kept, and for which that was logged. */
  readonly #unkept = new Set<string>();
  #keepFailures = 0;
  /** The asynchronous context in which this cache was opened. */
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

  /** Whether this node has heard the bus lately enough to use results that are not computed for the call. */
  get isInTouch(): boolean {
    return this.#parts.isInTouch?.() !== false;
  }

  /** Changes whenever a computation in progress may be based on older data than a call that begins now. */
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
   * A result that can be returned now. `declared` returns the tags that a function declares: a result that was kept
   * under other tags, by another version of the function or under other options, does not count. It is called when an
   * entry is found for the first time.
   */
  find(slot: EntrySlot, declared?: () => readonly Tag[] | undefined): Entry | undefined {
    return this.#memory.getAt(slot, declared) ?? this.#findOnDisk(slot, declared);
  }

  /** `find` by a key alone, without a check of declared tags. */
  findByKey(key: string): Entry | undefined {
    return this.#memory.get(key) ?? this.#findOnDisk({ key, graceMs: 0 }, undefined);
  }

  /** The tags of a kept result of `key`, if they do not cover all of `declared`. */
  tagsWithout(key: string, declared: readonly Tag[]): readonly Tag[] | undefined {
    const kept = this.#memory.peek(key) ?? this.#disk?.peek(key);
    return kept === undefined || coversTags(kept.tags, declared) ? undefined : kept.tags;
  }

  /** Whether there is a bucket that can be used now. */
  get canLookUp(): boolean {
    return this.#shared?.isUsable === true;
  }

  /**
   * A result that is valid for all callers that asked before it was found: the one in memory, else from the bucket. It
   * is then in memory, and stays for `last` for `graceMs`. Never rejects.
   */
  lookUp(key: string, graceMs = 0): Promise<FoundHere | undefined> {
    const shared = this.#shared;
    if (shared === undefined) return Promise.resolve(undefined);
    const lookUp = this.#lookUps.get(key) ?? this.#lookUp(key, graceMs, shared);
    this.#lookUps.set(key, lookUp);
    return lookUp;
  }

  /** No call computes `key` after the look-up: an expired record in the bucket can be removed. */
  abandon(key: string): void {
    this.#shared?.discardExpired(key);
  }

  /** Shares an entry that `set` put in memory, if it is still there, with the number of its invalidation. */
  share(key: string, entry: Entry, began: EntryPosition, ownSequence: number): void {
    if (this.#memory.last(key) !== entry) return;
    const { value, tags, ttlMs, slides } = entry;
    this.#shared?.put(key, value, { tags, began, ownSequence, ttlMs, slides, leftMs: this.#leftMs(entry) });
  }

  /** The time to live of an entry in memory restarted: writes it to the bucket again, as valid now. */
  slid(key: string): void {
    const entry = this.#memory.last(key);
    const began = this.#shared?.begin();
    if (entry === undefined || began === undefined || entry.reads !== undefined || failureOf(entry.value) !== undefined) return;
    this.#shared?.put(key, entry.value, { tags: entry.tags, began, ttlMs: entry.ttlMs, slides: true });
  }

  /** The value of `kept` for one caller. */
  readonly give = (kept: KeptValue): unknown => (kept.isShared ? kept.value : valueOf(kept, this.#parts.values));

  /** Throws InvalidValueError if callers get copies and `value` cannot be copied. */
  check(value: unknown): void {
    if (this.copies) keepValue(value, "cloned");
  }

  /** Whether each caller gets its own copy. */
  get copies(): boolean {
    return this.#parts.values === "cloned";
  }

  /** `value` in a form that several callers can get. */
  hold(value: unknown): KeptValue {
    try {
      return keepValue(value, this.#parts.values);
    } catch {
      return { value, isShared: true };
    }
  }

  /**
   * Keeps the result of a call, if it is wanted and nothing made it stale since it began. All callers can get the
   * returned value. A result that depends on an object store is kept in memory only: another node, or this one after a
   * restart, cannot know what was changed there.
   */
  keep(call: Call, value: unknown, { tags, reads }: Used, began: BeganHere, isPromised: boolean, isSet = false): KeptValue {
    if (!this.isInTouch) return this.hold(value);
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
        // Without the tag of its key: for the trie, the invalidation of this `set` is later than the value. CacheIntake
        // removes the entry at later invalidations of the key.
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
      // A condition, a getter or a tier may throw: the call itself has its result.
      this.#logUnkept(call, error);
      // The disk must not return an older result when it cannot take this one.
      this.#disk?.delete(call.key);
      return this.hold(value);
    } finally {
      if (startedMs !== undefined) this.#parts.observers.kept(this.#parts.clock.monotonic() - startedMs);
    }
  }

  /**
   * A value that the folder cannot hold unchanged stays in memory only, and the older value of the folder is removed.
   */
  #keepOnDisk(call: Call, value: unknown, how: Keeping<EntryVersion>): void {
    try {
      this.#disk?.put(call.key, value, how);
    } catch (error) {
      this.#disk?.delete(call.key);
      if (!(error instanceof InvalidValueError)) throw error;
      this.#log(call, error, "results are kept in memory only");
    }
  }

  #logUnkept(call: Call, error: unknown): void {
    this.#keepFailures++;
    this.#log(call, error, "results cannot be kept");
  }

  /** Logs one warning for each function: after one result that cannot be kept, others are expected. */
  #log({ key, work: { name } }: Call, err: unknown, message: string): void {
    if (this.#unkept.has(name)) {
      this.#parts.log.debug({ err, name, key }, message);
      return;
    }
    if (this.#unkept.size >= unkeptLoggedMax) this.#unkept.clear();
    this.#unkept.add(name);
    this.#parts.log.warn({ err, name, key }, message);
  }

  keepFailure(call: Call, error: unknown, { tags, reads }: Used, began: BeganHere, isPromised: boolean): void {
    if (!call.work.rules.cachesErrors || tags.length > limits.entryTagsMax || !this.isInTouch) return;
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
    // Each caller that gets the promise handles the rejection. Until then no caller does.
    entry.promise.catch(() => undefined);
  }

  /** An older result that may replace one that could not be computed. */
  last(call: Call): KeptValue | undefined {
    if (call.work.rules.staleIfErrorMs === 0) return undefined;
    const entry = this.#memory.last(call.key);
    return entry === undefined || failureOf(entry.value) !== undefined ? undefined : entry;
  }

  /** `value` as a promise to keep, created outside the context of the call, which would otherwise be kept with it. */
  promiseOf(value: unknown): Promise<unknown> {
    return this.#nowhere.runInAsyncScope(resolved, undefined, value);
  }

  /** Whether an invalidation of one of its tags came after `began`, or a commit changed an object that it read. */
  isStale({ tags, reads }: Used, began: BeganHere): boolean {
    if (isAnyStale(reads)) return true;
    return this.#trie.isStaleFor(tags, began.memory);
  }

  /**
   * Whether `key` was set, deleted or invalidated after `began`. `invalidateKey` also notifies tracked flights exactly.
   */
  isKeyStale(key: string, began: BeganHere): boolean {
    return began.changes !== this.changes && this.#trie.isStaleFor([keyTag(key)], began.memory);
  }

  /**
   * Whether the tag of `key` holds only a hash of it: an invalidation of that tag does not find the flight of `key`.
   */
  isHashed(key: string): boolean {
    return key.length > plainKeyLengthMax && isHashed(keyTag(key));
  }

  /** Dependencies of a result that uses the result of `key`: the tags of that result, and the tag of its key. */
  tagsFor(key: string, tags: readonly Tag[]): readonly Tag[] {
    return [...tags, keyTag(key)];
  }

  delete(key: string): void {
    this.#memory.delete(key);
    this.#disk?.delete(key);
  }

  /** A key that can be read from its tag needs no place in the trie; a key whose tag is a hash needs one. */
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
    // It is valid now, whenever it was computed: for memory it begins now.
    const how = { tags, began: this.#trie.begin(), ttlMs, slides, graceMs, leftMs: this.#leftMs(entry) };
    return this.#memory.put(key, entry.value, how) ?? entry;
  }

  async #lookUp(key: string, graceMs: number, shared: SharedEntries): Promise<FoundHere | undefined> {
    const found = await shared.get(key);
    // A caller that asks from now on may know of more than `shared.get` compared the result with.
    this.#lookUps.delete(key);
    if (!this.isInTouch) return undefined;
    // Another result may have been put there meanwhile; that one counts here.
    const entry = this.#memory.get(key) ?? (found && this.#putFound(key, found, graceMs));
    return entry && { entry, began: this.begin() };
  }

  /** The found result as an entry, in memory if memory can hold it; undefined: it has become stale since. */
  #putFound(key: string, found: SharedEntry, graceMs: number): Entry | undefined {
    const { ttlMs, slides, began } = found;
    const tags = this.#own(key, found.tags);
    // The key may have been invalidated after `shared.get` compared the entry. Check once more.
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

/** The kept failure that `value` is, if it is one. */
export function failureOf(value: unknown): KeptFailure | undefined {
  return value instanceof KeptFailure ? value : undefined;
}

/** Throws InvalidOptionError for more tags than one result may have. */
function checkTags(tags: readonly Tag[]): void {
  if (tags.length > limits.entryTagsMax) throw new InvalidOptionError({ option: "tags", reason: `are more than ${limits.entryTagsMax}` });
}

/** Functions that are remembered, so that a warning is logged once for each. */
const unkeptLoggedMax = 1_000;

/** Keys up to this length can be read from their tags, even if all their characters are escaped. */
const plainKeyLengthMax = 41;
const keyLevel = keyTag("x").slice(0, -1);

/** Whether `tag`, the tag of a key, holds only a hash of the key. */
export function isHashed(tag: Tag): boolean {
  return tag.startsWith("..", keyLevel.length);
}

/** The key whose own tag is `tag`; undefined: another kind of tag, or a tag with only a hash of its key. */
export function keyOf(tag: string): string | undefined {
  if (!tag.startsWith(keyLevel) || tag.startsWith("..", keyLevel.length)) return undefined;
  return tag.slice(keyLevel.length).replaceAll(/\.([0-9a-z]+)\./g, (_, unit: string) => String.fromCharCode(parseInt(unit, 36)));
}
