import { DiskEntryStore } from "../../storage/results/disk-entries.js";
import { openLmdbStore, removeLmdbStore } from "../../storage/kv/lmdb-store.js";
import type { Bucket } from "../../transport/bucket.js";
import type { Bus } from "../../transport/bus.js";
import { createInvalidationHub } from "../../transport/in-process-bus.js";
import { createJetStreamBucket } from "../../transport/jetstream/bucket.js";
import { connectNats } from "../../transport/nats/nats.js";
import { openTransport } from "../../transport/open.js";
import type { AskingTransport, Transport } from "../../transport/transport.js";
import {
  asTag,
  backgroundClock,
  type Clock,
  DiskFullError,
  type Duration,
  InvalidOptionError,
  limits,
  rootTag,
  soonerOf,
  type Tag,
} from "../../core/index.js";
import { busProblem, noticeUntilFollowing } from "./start-notice.js";
import { CacheCore, type CacheParts } from "./core.js";
import type { ActorSystem } from "../system/actor-system.js";
import { CacheEndpoint } from "./admin/endpoint.js";
import { type CacheOptions, cacheSettings, type CacheSettings, durationOf } from "./options.js";
import { CachePruner, type Pruned } from "./pruner.js";
import { type Cacheable, cacheableOf } from "./cacheable.js";
import { checkNames, definedOf } from "../../core/options.js";
import type { CacheObserver } from "./observers.js";
import type { Call, Work } from "./cached-work.js";
import type { Publication } from "./outbox.js";
import { noBucketCounts, sharedAgeMsMax } from "./shared-tier.js";
import type { BeganHere } from "./tiers.js";
import { asTags, type Tags } from "./tag-list.js";
import type { Cache, CacheStats, GetOrSetOptions, Moment, SetOptions } from "./interface.js";
import { isResultKey, keyTag } from "../../storage/results/result-key.js";
import type { Entry } from "../../storage/results/entry-store.js";
import { createJetStreamBus } from "./bus/stream-bus.js";
import { createPlainBus } from "./bus/plain-bus.js";

/**
 * Opens a cache. Does not wait for a broker: the log, or without a log a process warning, reports within a second that
 * there is none. Rejects with InvalidOptionError, InUseError, StoreError, NotAuthorizedError, CertificateError.
 */
export async function createCache(options: CacheOptions = {}): Promise<Cache> {
  return (await openCache(options, cacheSettings(options))).cache;
}

/** A cache, and the core to which its functions are bound. */
export interface OpenedCache {
  readonly cache: Cache;
  readonly core: CacheCore;
}

/** Opens a cache that needs neither a folder nor a broker, at once; undefined: it needs one. */
export function openAlone(options: CacheOptions, settings: CacheSettings): OpenedCache | undefined {
  if (settings.storage.type !== "memory" || settings.busUrl !== undefined || options.transport !== undefined) return undefined;
  const clock = backgroundClock(settings.clock);
  return started(new CacheCore(settings, clock, { bus: options.bus, disk: undefined }), clock, undefined, () => Promise.resolve());
}

export async function openCache(options: CacheOptions, settings: CacheSettings): Promise<OpenedCache> {
  const alone = openAlone(options, settings);
  if (alone !== undefined) return alone;
  const clock = backgroundClock(settings.clock);
  const disk = await openDisk(options, settings);
  try {
    const { bus, bucket, transport, release } = await openBus(options, settings, disk);
    const notice =
      bus === undefined || transport === undefined
        ? undefined
        : noticeUntilFollowing({ bus, transport, clock, log: options.log, prefix: settings.prefix });
    return started(new CacheCore(settings, clock, { bus, disk, bucket }), clock, transport && { transport }, (timeoutMs) => {
      notice?.end();
      return release(timeoutMs);
    });
  } catch (error) {
    await disk?.close();
    throw error;
  }
}

/** The place in which other processes find a cache. */
interface Outside {
  readonly transport: Transport;
  /** Its actors are registered here, in place of a system of its own. It is not closed with the cache. */
  readonly system?: ActorSystem;
}

/** A cache over `parts`, for simulations that put faults into them. */
export function openCacheOver(settings: CacheSettings, parts: CacheParts, outside?: Outside): OpenedCache {
  const clock = backgroundClock(settings.clock);
  return started(new CacheCore(settings, clock, parts), clock, outside, () => Promise.resolve());
}

async function openDisk(options: CacheOptions, settings: CacheSettings): Promise<DiskEntryStore | undefined> {
  const {
    storage,
    prefix,
    clock,
    log,
    values,
    maxEntries: entriesMax = limits.folderEntriesMax,
    lmdbMapSize: bytesMax,
    lruUpdateIntervalMs,
    ttiFlushMs,
  } = settings;
  if (storage.type !== "lmdb") return undefined;
  const { folder } = storage;
  const open = () => openLmdbStore({ folder, durable: false, log });
  const opening = DiskEntryStore.open({
    name: prefix,
    countedBy: counterOf(options, settings),
    open,
    remove: () => removeLmdbStore(folder),
    clock,
    log,
    values,
    entriesMax,
    bytesMax,
    lruUpdateIntervalMs,
    slideFlushMs: ttiFlushMs,
  });
  try {
    return await opening;
  } catch (error) {
    // Entries of an earlier process would miss later invalidations: memory replaces the disk only if the disk is empty.
    if (!(error instanceof DiskFullError && error.isEmpty)) throw error;
    log.error({ folder, error }, "cache goes on in memory, its disk is full");
    return undefined;
  }
}

/** Source of the positions on disk. Undefined over plain NATS: there each node counts for itself, from its start on. */
function counterOf({ bus }: CacheOptions, { busKind }: CacheSettings): string | undefined {
  const kind = busKind ?? bus?.kind ?? "alone";
  return kind === "nats" ? undefined : kind;
}

interface OpenedBus extends OpenedTransport {
  readonly bus: Bus | undefined;
  readonly bucket: Bucket | undefined;
}

interface OpenedTransport {
  readonly transport: Transport | undefined;
  readonly release: Release;
}

/** Closes the links that the cache has opened, and waits at most `timeoutMs` for a silent one. */
type Release = (timeoutMs: number) => Promise<void>;

async function openBus(options: CacheOptions, settings: CacheSettings, disk: DiskEntryStore | undefined): Promise<OpenedBus> {
  const { clock, random, log, busUrl, storage } = settings;
  const seams = { clock, random, log };
  const { user, password, token, tls, resolve, inboxPrefix } = options;
  const credentials = definedOf({ user, password, token, tls, resolve, inboxPrefix });
  // Does not wait for a broker that is absent. A broker that refuses the client fails the start.
  const transport =
    busUrl === undefined ? options.transport : await openTransport({ ...credentials, servers: busUrl, waitForFirst: "refusal", ...seams });
  const isOwn = busUrl !== undefined;
  try {
    const bus = busOver(transport, options, settings, disk);
    const release: Release = async (timeoutMs) => {
      if (isOwn) await transport?.close(timeoutMs);
    };
    if (storage.type !== "nats") return { transport, bus, bucket: undefined, release };
    const isShared = transport !== undefined && busUrl === storage.servers && isNats(transport);
    const link = isShared ? transport : await connectNats({ ...credentials, servers: storage.servers, waitForFirst: "refusal", ...seams });
    const { prefix, bucketMaxBytes: bytesMax } = settings;
    const { replicas } = options;
    const bucket = createJetStreamBucket({
      transport: link,
      bucket: storage.bucket,
      prefix,
      replicas,
      bytesMax,
      ageMs: sharedAgeMsMax(bus),
      ...seams,
    });
    return { transport, bus, bucket, release: async (timeoutMs) => void (await Promise.all([release(timeoutMs), link.close(timeoutMs)])) };
  } catch (error) {
    if (isOwn) await transport?.close();
    throw error;
  }
}

function busOver(
  transport: Transport | undefined,
  { bus, replicas }: CacheOptions,
  { clock, random, log, prefix, busKind }: CacheSettings,
  disk: DiskEntryStore | undefined,
): Bus | undefined {
  const seams = { clock, random, log };
  if (bus !== undefined) return bus;
  // Positions continue from those of the disk: no other node counts them.
  if (transport === undefined) return disk && createInvalidationHub({ ...seams, from: disk.position }).connect();
  if (busKind === "jetstream" && isNats(transport)) return createJetStreamBus({ transport, prefix, replicas, ...seams });
  return createPlainBus({ transport, prefix, ...seams });
}

function isNats(transport: Transport): transport is AskingTransport {
  return transport.kind === "nats";
}

function started(core: CacheCore, clock: Clock, outside: Outside | undefined, release: Release): OpenedCache {
  const { bus, disk } = core;
  const { log } = core.settings;
  if (bus !== undefined) {
    bus.proveWithin?.(core.settings.maxStaleMs);
    bus.follow(disk?.position, disk?.latestVersions()).catch((error: unknown) => {
      log.debug({ err: error }, "the bus was closed before it followed");
    });
  }
  const pruner = new CachePruner(core, clock);
  const { prefix, storage } = core.settings;
  log.info({ prefix, storage: storage.type, bus: bus?.kind }, "the cache is open");
  return { cache: new OpenCache(core, pruner, outside, release), core };
}

const ruleNames = ["ttl", "readExtendTtl", "cacheErrors", "staleIfError", "tags"] as const;
const setOptionNames: ReadonlySet<string> = new Set<keyof SetOptions>([...ruleNames, "since"]);
const getOrSetOptionNames: ReadonlySet<string> = new Set<keyof GetOrSetOptions>([...ruleNames, "signal"]);

const everything: readonly Tag[] = [rootTag];

/** Tags of a value of `set` or `getOrSet`. Default: the root. */
function keptTags(tags: Tags | undefined): readonly Tag[] {
  return tags === undefined || tags.length === 0 ? everything : asTags(tags);
}

/** Whether `tags` contains each tag of `named`. */
function hasAll(tags: readonly string[], named: Tags): boolean {
  return typeof named === "string" ? tags.includes(named) : Array.isArray(named) && named.every((tag: string) => tags.includes(tag));
}

class OpenCache implements Cache {
  readonly cacheable: Cacheable;
  readonly #core: CacheCore;
  readonly #pruner: CachePruner;
  readonly #endpoint: CacheEndpoint | undefined;
  readonly #transport: Transport | undefined;
  readonly #release: Release;
  #closing: Promise<void> | undefined;

  constructor(core: CacheCore, pruner: CachePruner, outside: Outside | undefined, release: Release) {
    this.#core = core;
    this.#pruner = pruner;
    this.#release = release;
    this.cacheable = cacheableOf(() => core);
    this.#transport = outside?.transport;
    const isOpenToOthers = outside !== undefined && core.settings.endpoint;
    this.#endpoint = isOpenToOthers ? new CacheEndpoint({ cache: this, core, pruner, ...outside }) : undefined;
  }

  addDeps(tags: Tags): void {
    this.#core.calls.addDeps(tags);
  }

  async invalidate(tags: Tags): Promise<Publication> {
    return this.#core.invalidate(tags);
  }

  async get<Value>(key: string): Promise<Value | undefined> {
    const { calls } = this.#core;
    const own = this.#core.keyOf(key);
    const entry = calls.find(own.slot);
    if (entry !== undefined) return calls.give(entry, true) as Promise<Value>;
    const shared = (await calls.lookUp(own.key, own.tag)) ?? (isResultKey(key) ? await this.#resultOf(key) : undefined);
    return shared && (calls.give(shared, true) as Promise<Value>);
  }

  /** The result of a cached function, by the key that the function's `key` returns. */
  async #resultOf(key: string): Promise<Entry | undefined> {
    const { calls } = this.#core;
    return calls.findByKey(key) ?? calls.lookUp(key, keyTag(key));
  }

  async getOrSet<Value>(key: string, compute: () => Value | PromiseLike<Value>, options: GetOrSetOptions = {}): Promise<Value> {
    const { calls, memory } = this.#core;
    const own = this.#core.keyOf(key);
    const { tags: named } = options;
    // Another caller may have named other tags.
    if (named !== undefined && own.slot.entry !== undefined && !hasAll(own.slot.entry.tags, named)) memory.vacate(own.slot);
    const declared = named === undefined || own.slot.entry !== undefined ? undefined : () => keptTags(named);
    const entry = calls.find(own.slot, declared);
    if (entry !== undefined) return calls.give(entry, true) as Promise<Value>;
    checkNames(options, getOrSetOptionNames);
    if (typeof compute !== "function") throw new InvalidOptionError({ option: "compute", reason: "is not a function" });
    const tags = keptTags(named);
    const work: Work = {
      name: key,
      rules: this.#core.rules(options),
      isAsync: () => true,
      compute: async (_call: Call) => compute(),
      tagsOf: () => tags,
      isWanted: () => true,
    };
    return calls.miss(work, own.slot, undefined, [], options.signal) as Promise<Value>;
  }

  // Not an async function: a set costs a microsecond, and its promise would cost another.
  set(key: string, value: unknown, options: SetOptions = {}): Promise<Publication> {
    try {
      checkNames(options, setOptionNames);
      const { tags, since } = options;
      const core = this.#core;
      return core.set(core.keyOf(key), value, keptTags(tags), core.rules(options), since as unknown as BeganHere | undefined);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async delete(key: string): Promise<Publication> {
    return this.#core.delete(this.#core.keyOf(key).tag);
  }

  async clear(): Promise<Publication> {
    return this.#core.clear();
  }

  async prune(unused?: Duration): Promise<Pruned> {
    return this.#pruner.prune(durationOf("unused", unused) ?? this.#core.settings.autoPruneMs);
  }

  tagVersion(tag: string): number {
    const { trie, disk } = this.#core;
    const asked = asTag(tag);
    return Math.max(trie.tagVersion(asked), disk?.tagVersion(asked) ?? 0);
  }

  now(): Moment {
    return this.#core.tiers.begin() as unknown as Moment;
  }

  stats(): CacheStats {
    const { calls, memory, disk, shared, tiers, trie, intake, bus, isInTouch } = this.#core;
    const bucket = shared?.counts ?? noBucketCounts;
    return {
      ...calls.counts,
      ...intake.counts,
      ...memory.stats(),
      disk: disk?.stats(),
      ...bucket,
      tags: trie.stats().nodes,
      outbox: intake.waiting,
      bus: bus?.state,
      busTrouble: busProblem(bus, this.#transport)?.message,
      busHeardMs: this.#busHeardMs(),
      keepFailures: tiers.keepFailures,
      isInTouch,
    };
  }

  observe(observer: CacheObserver): () => void {
    return this.#core.observers.addObserver(observer);
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #busHeardMs(): number | undefined {
    // Read before the clock, which advances meanwhile.
    const heardAt = this.#core.bus?.heardAt;
    return heardAt === undefined ? undefined : this.#core.settings.clock.monotonic() - heardAt;
  }

  async #close(): Promise<void> {
    const { bus, disk, shared, memory, intake, calls, settings } = this.#core;
    const { clock } = settings;
    const endsMs = clock.monotonic() + limits.cacheCloseTimeoutMs;
    const leftMs = () => Math.max(0, endsMs - clock.monotonic());
    this.#endpoint?.close();
    this.#pruner.stop();
    await intake.close(limits.cacheCloseTimeoutMs / 3);
    await shared?.close(leftMs() / 2);
    if (bus !== undefined) await soonerOf(clock, leftMs() / 2, bus.close());
    await this.#release(leftMs());
    await memory.close();
    await disk?.close();
    calls.close();
    settings.log.info({ prefix: settings.prefix }, "the cache is closed");
  }
}
