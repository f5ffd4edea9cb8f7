import type { ValueMode } from "../storage/kept-value.js";
import type { Bus } from "../transport/bus.js";
import type { OpenTransportOptions } from "../transport/open.js";
import type { Transport } from "../transport/transport.js";
import {
  asDuration,
  type Chance,
  type Clock,
  InvalidOptionError,
  limits,
  type Log,
  silentLog,
  systemChance,
  systemClock,
} from "../words/index.js";
import { checkChoice, checkName } from "./client-options.js";

/** A number of seconds, or a number with its unit: `"250ms"`, `"5m"`, `"1h"`. */
export type Duration = number | string;

/** Where results are kept, how the nodes of a cache hear of each other, and how long what is kept is good. All may be left out. */
export interface CacheOptions extends Partial<
  Pick<OpenTransportOptions, "user" | "password" | "token" | "tls" | "resolve" | "inboxPrefix">
> {
  /** `memory:`, or `lmdb:` and a folder of this process alone, with memory in front of it. Default: `memory:`. */
  readonly storageUrl?: string | undefined;
  /** `nats://…`, or `ws://…` of `serveBroker`: where the nodes tell each other what became stale. Default: this process is alone. */
  readonly busUrl?: string | undefined;
  /** `jetstream`, whose stream keeps invalidations for nodes that were away, or `nats`, where those discard. Default: `jetstream`. */
  readonly busKind?: "jetstream" | "nats" | undefined;
  /** Brokers of a cluster that keep each message of the stream: 1, 3 or 5. Where the stream is there already, its own count stands. Default: 1. */
  readonly replicas?: number | undefined;
  /** A transport of the caller's own, in place of busUrl. It is not closed with the cache. */
  readonly transport?: Transport | undefined;
  /** A bus of the caller's own making, in place of one over busUrl or transport. It is closed with the cache. */
  readonly bus?: Bus | undefined;
  /** Nodes of one prefix share invalidations, and no keys with others. Default: `zooid`. */
  readonly prefix?: string | undefined;
  /** Name of this node, for people and for `zooid cache`. Default: an id, new at each start. */
  readonly node?: string | undefined;
  /** Whether this node can be looked at and steered from outside, with `zooid cache`: by whoever reaches its bus. Default: true. */
  readonly door?: boolean | undefined;
  /** Time to live of results that have none of their own. Default: they have none. */
  readonly defaultTtl?: Duration | undefined;
  /** Each reading gives a result its time to live anew. Default: true. */
  readonly readExtendTtl?: boolean | undefined;
  /** Results kept in each tier. Default: no bound. */
  readonly maxEntries?: number | undefined;
  /** Bytes that results take in memory, roughly. Default: no bound. */
  readonly maxBytes?: number | undefined;
  /** Tags that nothing depended on for so long are forgotten. Default: they are kept. */
  readonly autoPruneSecs?: Duration | undefined;
  /** Pause between two rounds of pruning. Default: an hour. */
  readonly autoPruneInterval?: Duration | undefined;
  /** How often the order of last uses is written to LMDB. Default: 30 s. */
  readonly lruUpdateInterval?: Duration | undefined;
  /** Bytes that results take in LMDB. Default: no bound. */
  readonly lmdbMapSize?: number | undefined;
  /** How often the deadline of a result that slides is written to LMDB, at most. Default: 30 s. */
  readonly ttiFlushSecs?: Duration | undefined;
  /** Who joined a computation waits for it so long. Default: 60 s. */
  readonly flightTimeout?: Duration | undefined;
  /** How long results are served while cut off from the bus. Default: 30 s; without a bus there is no bound. */
  readonly maxStaleSecs?: Duration | undefined;
  /** `invalidate` waits so long for the bus before it resolves to `queued`. Default: 1 s. */
  readonly publishTimeout?: Duration | undefined;
  /** How callers get what is kept: frozen, shared as it is, or a copy each. Default: `frozen`. */
  readonly values?: ValueMode | undefined;
  /** Any pino logger; nothing is logged unless told. */
  readonly log?: Log | undefined;
  /** Where time comes from, and in `chance` randomness: for simulations. Default: the system's. */
  readonly clock?: Clock | undefined;
  /** Default: the system's. */
  readonly chance?: Chance | undefined;
}

/** Options with their defaults, durations in milliseconds. */
export interface CacheSettings {
  readonly storage: { readonly type: "memory" } | { readonly type: "lmdb"; readonly folder: string };
  readonly prefix: string;
  /** Of the bus that is opened over busUrl or transport; undefined: none is. */
  readonly busKind: "jetstream" | "nats" | undefined;
  readonly node: string | undefined;
  readonly door: boolean;
  readonly defaultTtlMs: number | undefined;
  readonly readExtendTtl: boolean;
  readonly maxEntries: number | undefined;
  readonly maxBytes: number | undefined;
  readonly lmdbMapSize: number | undefined;
  readonly autoPruneMs: number | undefined;
  readonly autoPruneIntervalMs: number;
  readonly lruUpdateIntervalMs: number;
  readonly ttiFlushMs: number;
  readonly flightTimeoutMs: number;
  readonly maxStaleMs: number;
  readonly publishTimeoutMs: number;
  readonly values: ValueMode;
  readonly log: Log;
  readonly clock: Clock;
  readonly chance: Chance;
}

/** Names of all options: what is not among them is refused. */
export const cacheOptionNames: ReadonlySet<string> = new Set([
  "storageUrl",
  "busUrl",
  "busKind",
  "replicas",
  "transport",
  "bus",
  "prefix",
  "node",
  "door",
  "defaultTtl",
  "readExtendTtl",
  "maxEntries",
  "maxBytes",
  "autoPruneSecs",
  "autoPruneInterval",
  "lruUpdateInterval",
  "lmdbMapSize",
  "ttiFlushSecs",
  "flightTimeout",
  "maxStaleSecs",
  "publishTimeout",
  "values",
  "log",
  "clock",
  "chance",
  "user",
  "password",
  "token",
  "tls",
  "resolve",
  "inboxPrefix",
]);

/** `options` with their defaults. Throws InvalidOptionError, which names the option. */
export function cacheSettings(options: CacheOptions): CacheSettings {
  for (const name of Object.keys(options)) {
    if (!cacheOptionNames.has(name)) throw new InvalidOptionError({ option: name, reason: "is not known" });
  }
  const { prefix = "zooid", values = "frozen", readExtendTtl = true, door = true, node, bus, busUrl, transport } = options;
  checkName("prefix", prefix);
  checkChoice("values", values, ["frozen", "shared", "cloned"]);
  checkChoice("readExtendTtl", readExtendTtl, [true, false]);
  checkChoice("busKind", options.busKind, ["jetstream", "nats"]);
  if (node !== undefined) checkName("node", node);
  checkChoice("door", door, [true, false]);
  checkChoice("replicas", options.replicas, [1, 3, 5]);
  if (bus !== undefined && busUrl !== undefined) throw new InvalidOptionError({ option: "bus", reason: "is given beside busUrl" });
  if (transport !== undefined && busUrl !== undefined)
    throw new InvalidOptionError({ option: "transport", reason: "is given beside busUrl" });
  if (busUrl !== undefined) checkBusUrl(busUrl);
  const busKind = busKindOf(options);
  const isAlone = busKind === undefined && (bus === undefined || bus.kind === "in-process");
  return {
    storage: storageOf(options.storageUrl ?? "memory:"),
    prefix,
    busKind,
    node,
    door,
    defaultTtlMs: durationOf("defaultTtl", options.defaultTtl),
    readExtendTtl,
    maxEntries: countOf("maxEntries", options.maxEntries),
    maxBytes: countOf("maxBytes", options.maxBytes),
    lmdbMapSize: countOf("lmdbMapSize", options.lmdbMapSize),
    autoPruneMs: durationOf("autoPruneSecs", options.autoPruneSecs),
    autoPruneIntervalMs: Math.min(
      durationOf("autoPruneInterval", options.autoPruneInterval) ?? limits.autoPruneIntervalMs,
      limits.timerMsMax,
    ),
    lruUpdateIntervalMs: durationOf("lruUpdateInterval", options.lruUpdateInterval) ?? limits.lruUpdateIntervalMs,
    ttiFlushMs: durationOf("ttiFlushSecs", options.ttiFlushSecs) ?? limits.slideFlushMs,
    flightTimeoutMs: Math.min(durationOf("flightTimeout", options.flightTimeout) ?? limits.flightTimeoutMs, limits.timerMsMax),
    maxStaleMs: durationOf("maxStaleSecs", options.maxStaleSecs) ?? (isAlone ? Infinity : limits.maxStaleMs),
    publishTimeoutMs: Math.min(durationOf("publishTimeout", options.publishTimeout) ?? limits.publishTimeoutMs, limits.timerMsMax),
    values,
    log: options.log ?? silentLog,
    clock: options.clock ?? systemClock,
    chance: options.chance ?? systemChance,
  };
}

/** Milliseconds of an option; undefined stays so. Throws InvalidOptionError. */
export function durationOf(option: string, value: Duration | undefined): number | undefined {
  return value === undefined ? undefined : asDuration(value, option);
}

function countOf(option: string, value: number | undefined): number | undefined {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) {
    throw new InvalidOptionError({ option, reason: "is not a whole number from 0" });
  }
  return value;
}

function storageOf(url: string): CacheSettings["storage"] {
  refuseRedis("storageUrl", url, "lmdb:./folder");
  if (url === "memory:" || url === "memory://") return { type: "memory" };
  const folder = /^lmdb:(?:\/\/)?(.+)$/.exec(url)?.[1];
  if (folder !== undefined) return { type: "lmdb", folder };
  throw new InvalidOptionError({ option: "storageUrl", reason: `is ${JSON.stringify(url)}, neither memory: nor lmdb: and a folder` });
}

function checkBusUrl(url: string): void {
  refuseRedis("busUrl", url, "nats://host:4222");
  if (!/^(?:nats|tls|wss?):\/\/./.test(url))
    throw new InvalidOptionError({ option: "busUrl", reason: `is ${JSON.stringify(url)}, not nats://host:port` });
}

/** Of the bus that is to be opened. Streams are there over NATS alone. */
function busKindOf({ bus, busUrl, busKind, transport }: CacheOptions): CacheSettings["busKind"] {
  if (bus !== undefined || (busUrl === undefined && transport === undefined)) return undefined;
  const isNats = transport === undefined ? !/^wss?:/.test(busUrl ?? "") : transport.kind === "nats";
  if (busKind === "jetstream" && !isNats)
    throw new InvalidOptionError({ option: "busKind", reason: "is jetstream, which is there over NATS alone" });
  return busKind ?? (isNats ? "jetstream" : "nats");
}

function refuseRedis(option: string, url: string, instead: string): void {
  if (typeof url !== "string") throw new InvalidOptionError({ option, reason: "is not a string" });
  if (!/^rediss?:/i.test(url)) return;
  const host = /^rediss?:\/\/(?:[^@/]*@)?([^:/?]+)/i.exec(url)?.[1];
  const equivalent = option === "busUrl" && host !== undefined ? `nats://${host}:4222` : instead;
  throw new InvalidOptionError({ option, reason: `names Redis, which is not used here: the nodes talk over NATS; write ${equivalent}` });
}
