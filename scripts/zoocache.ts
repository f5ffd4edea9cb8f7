/** One feature of ZooCache, and its counterpart here. */
export interface Counterpart {
  readonly theirs: string;
  /** As ZooCache writes it: `None`, `True` or a number. Undefined: it is no option. */
  readonly theirDefault?: string | undefined;
  /**
   * Counterparts: an option, an export of `zooid/cache`, an option of `cacheable`, a command, a metric. Empty: there is
   * none.
   */
  readonly ours: readonly string[];
  /** Difference of the counterpart. */
  readonly difference?: string | undefined;
}

/**
 * Parameters of ZooCache's `configure`, in order. Source: its `core.py` and `docs/configuration`, release of March
 * 2026.
 */
export const configureOptions: readonly Counterpart[] = [
  {
    theirs: "storage_url",
    theirDefault: "None",
    ours: ["storageUrl"],
    difference: "`memory:`, `lmdb:./folder` with one owner, or `nats://host:4222/bucket` instead of Redis",
  },
  {
    theirs: "bus_url",
    theirDefault: "None",
    ours: ["busUrl"],
    difference: "`nats://…`; over a stream, from which lost messages are fetched",
  },
  { theirs: "prefix", theirDefault: "None", ours: ["prefix"], difference: "default `zooid`" },
  { theirs: "prune_after", theirDefault: "None", ours: ["autoPruneSecs"], difference: "ZooCache takes it, and does not use it" },
  { theirs: "default_ttl", theirDefault: "None", ours: ["defaultTtl"] },
  { theirs: "read_extend_ttl", theirDefault: "True", ours: ["readExtendTtl"], difference: "by the time to live of the result itself" },
  { theirs: "max_entries", theirDefault: "None", ours: ["maxEntries"], difference: "and `maxBytes`" },
  { theirs: "lmdb_map_size", theirDefault: "None", ours: ["lmdbMapSize"], difference: "a quota that is kept by eviction" },
  { theirs: "flight_timeout", theirDefault: "60", ours: ["flightTimeout"] },
  { theirs: "tti_flush_secs", theirDefault: "30", ours: ["ttiFlushSecs"] },
  {
    theirs: "auto_prune_secs",
    theirDefault: "None",
    ours: ["autoPruneSecs"],
    difference: "a pruned tag leaves its version to its parent; None means 3,600 in ZooCache",
  },
  { theirs: "auto_prune_interval", theirDefault: "3600", ours: ["autoPruneInterval"] },
  { theirs: "lru_update_interval", theirDefault: "30", ours: ["lruUpdateInterval"] },
  {
    theirs: "channel_capacity",
    theirDefault: "1000000",
    ours: [],
    difference: "there is no writing thread: writes that wait for the disk are bounded by `cachePendingBytesMax`",
  },
  { theirs: "batch_size", theirDefault: "1000", ours: [], difference: "a batch holds all writes within `cacheWriteDelayMs`" },
  {
    theirs: "lru_cache_size",
    theirDefault: "10000",
    ours: ["maxEntries"],
    difference: "memory is in front of LMDB and buckets, with its own bounds",
  },
  { theirs: "telemetry", theirDefault: "None", ours: ["log", "cacheMetrics"], difference: "a pino logger, and metrics of `prom-client`" },
];

/** Exports, features and promises of ZooCache besides its options. Source: its `__init__.py`, README and `docs`. */
export const features: readonly Counterpart[] = [
  {
    theirs: "configure",
    ours: ["configure"],
    difference: "a second call with equal options does nothing; `createCache` for several caches",
  },
  { theirs: "reset", ours: ["close"] },
  {
    theirs: "cacheable(namespace, deps, ttl)",
    ours: ["cacheable", "namespace", "deps", "ttl"],
    difference: "and per function `readExtendTtl`, `condition`, `cacheErrors`, `staleIfError`, `version`, `key`, `signal`",
  },
  {
    theirs: "add_deps",
    ours: ["addDeps"],
    difference: "across awaits and nested calls, on their hits too; outside a computation it is an error",
  },
  { theirs: "invalidate, invalidate_async", ours: ["invalidate"], difference: "several tags at once; resolves to `published` or `queued`" },
  { theirs: "get, get_async", ours: ["get"], difference: "and `getOrSet`" },
  { theirs: "set, set_async", ours: ["set"], difference: "counts at all nodes; `since` for a value that was computed before" },
  { theirs: "clear, clear_async", ours: ["clear"], difference: "an invalidation, at all nodes; and `delete` of one key" },
  { theirs: "prune(max_age_secs = 3600)", ours: ["prune"], difference: "default: `autoPruneSecs`" },
  { theirs: "get_tag_version", ours: ["tagVersion"], difference: "a sequence of the bus, no clock" },
  { theirs: "version (of the library)", ours: [], difference: "`zooid --version`" },
  { theirs: "InvalidTag", ours: ["InvalidTagError"] },
  { theirs: "StorageIsFull", ours: [], difference: "eviction makes room; a result that is too large is returned, and not kept" },
  { theirs: "prefix trie, hierarchical tags", ours: ["invalidate"], difference: "depth and length of a tag are bounded" },
  { theirs: "hybrid logical clocks", ours: ["tagVersion", "now"], difference: "numbers of the stream: clocks decide nothing" },
  {
    theirs: "passive resync on reads",
    ours: ["busUrl"],
    difference: "a gap in the numbers is noticed, and fetched before anything later counts",
  },
  {
    theirs: "single flight",
    ours: ["cacheable", "flightTimeout"],
    difference: "a call after an invalidation never joins a computation that began before it",
  },
  {
    theirs: "MessagePack and LZ4",
    ours: ["values"],
    difference: "MessagePack in LMDB and buckets, not compressed; objects as they are in memory",
  },
  { theirs: "logs, Prometheus", ours: ["log", "cacheMetrics"] },
  { theirs: "OpenTelemetry", ours: [], difference: "not yet" },
  { theirs: "FastAPI, Litestar, Django", ours: ["routeCaching"], difference: "for Fastify, with `ETag`, `Age` and `Cache-Control`" },
  {
    theirs: "command line: [all, local or node] clear, prune, invalidate; metrics, tag explorer",
    ours: ["zooid cache"],
    difference: "`zooid cache stats`, `keys`, `tags`, `invalidate`, `clear`, `prune`, for one node or all",
  },
];
