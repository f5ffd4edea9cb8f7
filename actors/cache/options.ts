import type { ValueMode } from "../../storage/results/kept-value.js";
import { natsOptionNames, type OpenTransportOptions } from "../../transport/open.js";
import { asDurationIfGiven, type Duration, InvalidOptionError, isWhole, limits, seamsOf, type SeamOptions } from "../../core/index.js";
import { type BusOptions, busOf, storageOf } from "./urls.js";
import { checkChoice, checkMethods, checkName, checkNames, checkSeams } from "../../core/options.js";

/** Where results are kept and for how long, and how the nodes of a cache reach each other. All are optional. */
export interface CacheOptions extends BusOptions, Partial<Pick<OpenTransportOptions, (typeof natsOptionNames)[number]>>, SeamOptions {
  /**
   * Where results are kept: `memory:`; `lmdb:` and a folder of this process alone; or `nats://host:4222/bucket`, which
   * nodes share. Memory is in front of a folder and of a bucket. Default: `memory:`.
   */
  readonly storageUrl?: string | undefined;
  /**
   * Number of brokers in a cluster that keep each message of the stream: 1, 3 or 5. An existing stream keeps its own
   * number. Default: 1.
   */
  readonly replicas?: number | undefined;
  /** Nodes with the same prefix share invalidations and keys. Default: `zooid`. */
  readonly prefix?: string | undefined;
  /** Name of this node, for people and for `zooid cache`. Default: a random id, new at each start. */
  readonly node?: string | undefined;
  /** Whether processes on the bus can inspect and control this node, as `zooid cache` does. Default: true. */
  readonly endpoint?: boolean | undefined;
  /** Time to live of results without one of their own. Default: no bound. */
  readonly defaultTtl?: Duration | undefined;
  /** Each read restarts the time to live of a result. Default: true. */
  readonly readExtendTtl?: boolean | undefined;
  /** Number of results in memory, and in a folder. Default: only `maxBytes` in memory; 250,000 in a folder. */
  readonly maxEntries?: number | undefined;
  /** Approximate bytes of results in memory, with their keys and tags; `Infinity`: no bound. Default: 64 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * How long an invalidated tag is remembered when nothing depends on it; a tag that was never invalidated is forgotten
   * at once. Default: 1 minute.
   */
  readonly autoPruneSecs?: Duration | undefined;
  /** Pause between two rounds of pruning. Default: an hour. */
  readonly autoPruneInterval?: Duration | undefined;
  /** How often the order of last use is written to LMDB. Default: 30 s. */
  readonly lruUpdateInterval?: Duration | undefined;
  /** Bytes of results in a folder; `Infinity`: no bound. Default: 1 GiB. */
  readonly lmdbMapSize?: number | undefined;
  /**
   * Bytes of results in a bucket that this cache creates; the oldest are removed first. Default: the limit of the
   * broker.
   */
  readonly bucketMaxBytes?: number | undefined;
  /**
   * Shortest time between two writes of a result's deadline to LMDB; `readExtendTtl` moves the deadline. Default: 30 s.
   */
  readonly ttiFlushSecs?: Duration | undefined;
  /** How long a call waits for the computation of another call before it rejects with TimeoutError. Default: 60 s. */
  readonly flightTimeout?: Duration | undefined;
  /**
   * How long results are served after this node last knew all invalidations, while it is cut off from the bus or
   * receives late. Default: 30 s; no bound without a bus.
   */
  readonly maxStaleSecs?: Duration | undefined;
  /** How long `invalidate` waits for the bus before it resolves to `queued`. Default: 1 s. */
  readonly publishTimeout?: Duration | undefined;
  /**
   * Values that callers get, including the first caller: one frozen copy for all (`frozen`), the value itself
   * (`shared`), or a copy for each (`cloned`). Default: `frozen`.
   */
  readonly values?: ValueMode | undefined;
}

/** Options with their defaults, durations in milliseconds. */
export type CacheSettings = Readonly<ReturnType<typeof cacheSettings>>;

/** Names of all options. Other names are refused. */
export const cacheOptionNames: ReadonlySet<string> = new Set([
  "storageUrl",
  "busUrl",
  "busKind",
  "replicas",
  "transport",
  "bus",
  "prefix",
  "node",
  "endpoint",
  "defaultTtl",
  "readExtendTtl",
  "maxEntries",
  "maxBytes",
  "autoPruneSecs",
  "autoPruneInterval",
  "lruUpdateInterval",
  "lmdbMapSize",
  "bucketMaxBytes",
  "ttiFlushSecs",
  "flightTimeout",
  "maxStaleSecs",
  "publishTimeout",
  "values",
  "log",
  "clock",
  "random",
  ...natsOptionNames,
]);

/** `options` with their defaults. Throws InvalidOptionError, which names the option. */
export function cacheSettings(options: CacheOptions) {
  checkNames(options, cacheOptionNames);
  const { prefix = "zooid", values = "frozen", readExtendTtl = true, endpoint = true, node, bus } = options;
  checkName("prefix", prefix);
  checkChoice("values", values, ["frozen", "shared", "cloned"]);
  checkChoice("readExtendTtl", readExtendTtl, [true, false]);
  checkChoice("busKind", options.busKind, ["jetstream", "nats"]);
  if (node !== undefined) checkName("node", node);
  checkChoice("endpoint", endpoint, [true, false]);
  checkChoice("replicas", options.replicas, [1, 3, 5]);
  const storage = storageOf(options.storageUrl ?? "memory:");
  const { busKind, busUrl } = busOf(options, storage);
  checkSeams(options);
  checkMethods("bus", bus, ["publish", "listen", "follow", "close"]);
  const isAlone = busKind === undefined && (bus === undefined || bus.kind === "in-process");
  return {
    storage,
    prefix,
    busKind,
    busUrl,
    node,
    endpoint,
    defaultTtlMs: durationOf("defaultTtl", options.defaultTtl),
    readExtendTtl,
    maxEntries: boundOf("maxEntries", options.maxEntries),
    maxBytes: boundOf("maxBytes", options.maxBytes) ?? limits.resultBytesMax,
    lmdbMapSize: boundOf("lmdbMapSize", options.lmdbMapSize) ?? limits.folderBytesMax,
    bucketMaxBytes: countOf("bucketMaxBytes", options.bucketMaxBytes),
    autoPruneMs: durationOf("autoPruneSecs", options.autoPruneSecs) ?? limits.tagsIdleMs,
    autoPruneIntervalMs: intervalOf("autoPruneInterval", options.autoPruneInterval) ?? limits.autoPruneIntervalMs,
    lruUpdateIntervalMs: intervalOf("lruUpdateInterval", options.lruUpdateInterval) ?? limits.lruUpdateIntervalMs,
    ttiFlushMs: intervalOf("ttiFlushSecs", options.ttiFlushSecs) ?? limits.slideFlushMs,
    flightTimeoutMs: durationOf("flightTimeout", options.flightTimeout) ?? limits.flightTimeoutMs,
    maxStaleMs: durationOf("maxStaleSecs", options.maxStaleSecs) ?? (isAlone ? Infinity : limits.maxStaleMs),
    publishTimeoutMs: durationOf("publishTimeout", options.publishTimeout) ?? limits.publishTimeoutMs,
    values,
    ...seamsOf(options),
  };
}

/** Milliseconds of an option; Infinity: no bound; undefined: not given. Throws InvalidOptionError. */
export function durationOf(option: string, value: Duration | undefined): number | undefined {
  return asDurationIfGiven(value, option, { unit: "s", isEndlessAllowed: true });
}

/** Milliseconds of an option that is an interval. Throws InvalidOptionError. */
function intervalOf(option: string, value: Duration | undefined): number | undefined {
  return asDurationIfGiven(value, option, { unit: "s" });
}

/** Infinity: no bound. Throws InvalidOptionError. */
export function boundOf(option: string, value: number | undefined): number | undefined {
  return value === Infinity ? value : countOf(option, value);
}

/** Throws InvalidOptionError. */
function countOf(option: string, value: number | undefined): number | undefined {
  if (value !== undefined && !isWhole(value)) {
    throw new InvalidOptionError({ option, reason: "is not a whole number from 0" });
  }
  return value;
}
