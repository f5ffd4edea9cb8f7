import { keyTag, resultKey } from "../../storage/results/result-key.js";
import type { Entry, PersistentEntryStore } from "../../storage/results/entry-store.js";
import { MemoryEntryStore } from "../../storage/results/memory-entries.js";
import { EntrySlot } from "../../storage/results/memory-entry.js";
import { TagTrie } from "../../storage/results/tag-trie.js";
import { Ticks } from "../../storage/results/ticks.js";
import type { Bucket } from "../../transport/bucket.js";
import type { Bus } from "../../transport/bus.js";
import { type Clock, type Duration, InvalidOptionError, limits, rootTag, type Tag } from "../../core/index.js";
import type { CacheBase } from "./base.js";
import { type CacheSettings, durationOf } from "./options.js";
import { CacheIntake, type OwnKey, type Published } from "./invalidations.js";
import { CacheObservers } from "./observers.js";
import { CachedCalls } from "./cached-calls.js";
import { type KeepingRules, lifetimeOf, type Work } from "./cached-work.js";
import { noReads } from "../tracking/computation.js";
import type { Publication } from "./outbox.js";
import { NotesOfPlace } from "../record/notes.js";
import { SharedEntries } from "./shared-tier.js";
import { type BeganHere, type TierParts, Tiers } from "./tiers.js";
import { asTags, type Tags } from "./tag-list.js";

/** Parts of a cache that are made elsewhere. All are closed with the cache. */
export interface CacheParts {
  readonly bus: Bus | undefined;
  readonly disk: PersistentEntryStore | undefined;
  /** Shared by nodes on one bus, which gives all of them the same numbers. */
  readonly bucket?: Bucket | undefined;
}

/** The parts of a cache, wired to each other: its tiers, the versions of tags, calls and invalidations. */
export class CacheCore {
  readonly settings: CacheSettings;
  readonly trie: TagTrie;
  readonly memory: MemoryEntryStore;
  readonly disk: PersistentEntryStore | undefined;
  readonly shared: SharedEntries | undefined;
  readonly tiers: Tiers;
  readonly calls: CachedCalls;
  readonly intake: CacheIntake;
  readonly observers: CacheObservers;
  readonly bus: Bus | undefined;
  /** Where its invalidations are noted, once it has an endpoint. */
  readonly notes = new NotesOfPlace();
  readonly #ticks: Ticks;
  readonly #ownKeys = new Map<string, OwnKey & { readonly slot: EntrySlot }>();

  constructor(settings: CacheSettings, clock: Clock, { bus, disk, bucket }: CacheParts) {
    const { log, values, maxEntries: entriesMax, maxBytes: bytesMax, ttiFlushMs } = settings;
    this.settings = settings;
    this.bus = bus;
    this.disk = disk;
    this.#ticks = new Ticks(clock);
    this.observers = new CacheObservers(log);
    this.trie = new TagTrie({ clock, ticks: this.#ticks });
    const slid = (key: string) => {
      disk?.touch(key);
      this.tiers.slid(key);
    };
    const onSlide = disk === undefined && bucket === undefined ? undefined : { intervalMs: ttiFlushMs, slid };
    this.memory = new MemoryEntryStore({ trie: this.trie, clock, ticks: this.#ticks, entriesMax, bytesMax, values, onSlide });
    const { trie, memory, observers } = this;
    const base: CacheBase = { ...settings, clock, trie, memory, disk, bus, observers, isInTouch: this.#inTouch() };
    this.shared = bucket && bus && new SharedEntries({ ...base, bucket, bus });
    const parts: TierParts = { ...base, shared: this.shared };
    this.tiers = new Tiers(parts);
    this.calls = new CachedCalls({ ...parts, tiers: this.tiers });
    this.intake = new CacheIntake({ ...parts, calls: this.calls, notes: this.notes });
  }

  /** Whether this node knows the invalidations well enough to serve and keep results. */
  get isInTouch(): boolean {
    return this.#inTouch()?.() ?? true;
  }

  /** Beginning of the keys of a function. */
  scope(text: string): string {
    return this.settings.prefix === "zooid" ? text : `${this.settings.prefix}:${text}`;
  }

  /** The result key of a key that the caller chose. */
  keyOf(key: string): OwnKey & { readonly slot: EntrySlot } {
    const known = this.#ownKeys.get(key);
    if (known !== undefined) return known;
    if (typeof key !== "string") throw new InvalidOptionError({ option: "key", reason: "is not a string" });
    const made = resultKey(this.scope(ownKeys), key);
    const own = { key: made, tag: keyTag(made), slot: new EntrySlot(made, 0, this.#ownKeys, key) };
    if (this.#ownKeys.size >= keysRememberedMax) {
      for (const { slot } of this.#ownKeys.values()) this.memory.vacate(slot);
      this.#ownKeys.clear();
    }
    if (key.length <= limits.keyBytesMax) this.#ownKeys.set(key, own);
    return own;
  }

  /** Removes the result of `key` at this node. Results of other nodes stay valid. */
  forget(key: string): void {
    this.memory.delete(key);
    this.disk?.delete(key);
  }

  rules(options: RuleOptions): KeepingRules {
    const { defaultTtlMs, readExtendTtl } = this.settings;
    return {
      ttlMs: lifetimeOf(durationOf("ttl", options.ttl) ?? defaultTtlMs),
      slides: options.readExtendTtl ?? readExtendTtl,
      cachesErrors: options.cacheErrors ?? false,
      staleIfErrorMs: durationOf("staleIfError", options.staleIfError) ?? 0,
    };
  }

  /** Invalidates all of `tags`, and the tags below them. */
  async invalidate(tags: Tags): Promise<Publication> {
    return outcomeOf(asTags(tags).map((tag) => this.intake.invalidate(tag)));
  }

  async clear(): Promise<Publication> {
    return this.intake.invalidate(rootTag)();
  }

  async delete(tag: Tag): Promise<Publication> {
    return this.intake.invalidate(tag)();
  }

  /** Keeps `value` as the result of `key`, as known at `since`, and invalidates the results of other nodes. */
  set(
    own: OwnKey & { readonly slot: EntrySlot },
    value: unknown,
    tags: readonly Tag[],
    rules: KeepingRules,
    since: BeganHere | undefined,
  ): Promise<Publication> {
    const { key } = own;
    this.tiers.check(value);
    const work = new Setting(key, rules);
    const call = { work, key, slot: own.slot, self: undefined, args: [], signal: undefined, caller: undefined };
    let began = since;
    const isOutdated = since !== undefined && this.tiers.isKeyStale(key, since);
    const put = () => {
      if (isOutdated) return undefined;
      began ??= this.tiers.begin();
      // A value that is set is shared once its invalidation has a number, which the record carries.
      const here = this.shared === undefined ? began : { ...began, shared: undefined };
      const kept = this.tiers.keep(call, value, { tags, reads: noReads }, here, false, true);
      const entry = this.memory.get(key);
      return entry === kept ? entry : undefined;
    };
    const share = (entry: Entry, sequence: number) => {
      if (began?.shared !== undefined) this.tiers.share(key, entry, began.shared, sequence);
    };
    return this.intake.replace(own, put, this.shared && share)();
  }

  #inTouch(): (() => boolean) | undefined {
    const { maxStaleMs } = this.settings;
    const { bus } = this;
    // By default only a bus in this process has no bound, and it follows before the first call.
    if (bus === undefined || maxStaleMs === Infinity) return undefined;
    return () => this.#ticks.now() - bus.heardAt <= maxStaleMs;
  }
}

/** How one value is kept. */
export interface RuleOptions {
  readonly ttl?: Duration | undefined;
  readonly readExtendTtl?: boolean | undefined;
  readonly cacheErrors?: boolean | undefined;
  readonly staleIfError?: Duration | undefined;
}

/**
 * The value of a `set` is computed elsewhere, and wanted. A class: a set costs a microsecond, and makes no functions.
 */
class Setting implements Work {
  readonly name: string;
  readonly rules: KeepingRules;

  constructor(name: string, rules: KeepingRules) {
    this.name = name;
    this.rules = rules;
  }

  isAsync(): boolean {
    return true;
  }

  compute(): undefined {
    return undefined;
  }

  tagsOf(): readonly Tag[] {
    return [];
  }

  isWanted(): boolean {
    return true;
  }
}

/** No function has this name. */
const ownKeys = '""';
/** Keys that are remembered; past this bound all are forgotten and built again. */
const keysRememberedMax = 10_000;

async function outcomeOf(published: readonly Published[]): Promise<Publication> {
  const outcomes = await Promise.all(published.map((outcome) => outcome()));
  return outcomes.includes("queued") ? "queued" : "published";
}
