import type { Bus } from "../../transport/bus.js";
import type { Transport } from "../../transport/transport.js";
import { natsAddress } from "../../transport/nats/address.js";
import { InvalidOptionError } from "../../core/index.js";

/** Where results are kept, besides memory. */
export type CacheStorage =
  | { readonly type: "memory" }
  | { readonly type: "lmdb"; readonly folder: string }
  /** A bucket that the nodes share. */
  | { readonly type: "nats"; readonly servers: string; readonly bucket: string };

/** The options of a cache that select its bus. */
export interface BusOptions {
  /**
   * The broker over which nodes send each other invalidations: `nats://…`, several addresses separated by commas, or
   * `ws://…` of `serveBroker`. Default: the broker of the bucket; without a bucket this process is alone.
   */
  readonly busUrl?: string | undefined;
  /**
   * `jetstream`: a stream keeps invalidations for nodes that were disconnected. `nats`: such nodes discard their
   * results. Default: `jetstream`.
   */
  readonly busKind?: "jetstream" | "nats" | undefined;
  /** A transport of your own, instead of busUrl. It is not closed with the cache. */
  readonly transport?: Transport | undefined;
  /** A bus of your own, instead of one over busUrl or transport. It is closed with the cache. */
  readonly bus?: Bus | undefined;
}

/** The bus that connects the nodes. */
export interface CacheBus {
  /** Kind of the bus to open over busUrl or transport; undefined: no bus to open. */
  readonly busKind: "jetstream" | "nats" | undefined;
  readonly busUrl: string | undefined;
}

/** Throws InvalidOptionError. */
export function storageOf(url: string): CacheStorage {
  refuseRedis("storageUrl", url, "lmdb:./folder or nats://host:4222/bucket");
  if (url === "memory:" || url === "memory://") return { type: "memory" };
  // The root is not a valid folder: `lmdb://` with an empty variable gives it.
  const folder = /^lmdb:(?:\/\/)?(.*[^/\s].*)$/.exec(url)?.[1];
  if (folder !== undefined) return { type: "lmdb", folder };
  const wrong = (reason: string) => new InvalidOptionError({ option: "storageUrl", reason });
  // The URL may contain credentials: the error does not quote it.
  if (/^(?:nats|tls):\/\//.test(url)) {
    const [, servers, bucket] = /^((?:nats|tls):\/\/[^/]+(?:,(?:(?:nats|tls):\/\/)?[^/]+)*)\/([\w-]{1,64})\/?$/.exec(url) ?? [];
    if (servers === undefined || bucket === undefined)
      throw wrong("does not end in the name of a bucket, of letters, digits, _ and -: nats://host:4222/bucket");
    checkNatsAddresses("storageUrl", servers);
    return { type: "nats", servers, bucket };
  }
  throw wrong(`is ${JSON.stringify(url)}, neither memory: nor lmdb: and a folder, nor nats://host:4222/bucket`);
}

/**
 * The bus to open. A bucket needs a bus that gives all nodes the same numbers, and one broker to find it at. Throws
 * InvalidOptionError.
 */
export function busOf({ bus, busUrl, busKind, transport }: BusOptions, storage: CacheStorage): CacheBus {
  if (bus !== undefined && busUrl !== undefined) throw new InvalidOptionError({ option: "bus", reason: "is given beside busUrl" });
  if (transport !== undefined && busUrl !== undefined)
    throw new InvalidOptionError({ option: "transport", reason: "is given beside busUrl" });
  if (busUrl !== undefined) checkBusUrl(busUrl);
  if (storage.type === "nats" && bus?.kind === "nats") throw new InvalidOptionError({ option: "bus", reason: noCommonNumbers });
  if (bus !== undefined) return { busKind: undefined, busUrl: undefined };
  const isOwnBroker = storage.type === "nats" && transport === undefined;
  const found = { busUrl: busUrl ?? (isOwnBroker ? storage.servers : undefined), busKind: kindOf(busUrl, transport, busKind, isOwnBroker) };
  if (storage.type === "nats" && found.busKind === "nats") throw new InvalidOptionError({ option: "busKind", reason: noCommonNumbers });
  return found;
}

const noCommonNumbers = "is nats, over which each node counts for itself: a bucket that nodes share needs jetstream";

/** Only NATS has streams. */
function kindOf(
  busUrl: string | undefined,
  transport: BusOptions["transport"],
  busKind: BusOptions["busKind"],
  isOwnBroker: boolean,
): CacheBus["busKind"] {
  if (busUrl === undefined && transport === undefined && !isOwnBroker) return undefined;
  const isNats = transport === undefined ? !/^wss?:/.test(busUrl ?? "") : transport.kind === "nats";
  if (busKind === "jetstream" && !isNats) throw new InvalidOptionError({ option: "busKind", reason: "is jetstream, which needs NATS" });
  return busKind ?? (isNats ? "jetstream" : "nats");
}

function checkBusUrl(url: string): void {
  refuseRedis("busUrl", url, "nats://host:4222");
  if (!/^(?:nats|tls|wss?):\/\/./.test(url))
    throw new InvalidOptionError({ option: "busUrl", reason: `is ${JSON.stringify(url)}, not nats://host:port` });
  if (/^(?:nats|tls):/.test(url)) checkNatsAddresses("busUrl", url);
}

function checkNatsAddresses(option: string, servers: string): void {
  // The transport refuses addresses of another kind when it opens them.
  for (const server of servers.split(",")) if (!/^\s*wss?:/.test(server)) natsAddress(server.trim(), option);
}

function refuseRedis(option: string, url: string, instead: string): void {
  if (typeof url !== "string") throw new InvalidOptionError({ option, reason: "is not a string" });
  if (!/^rediss?:/i.test(url)) return;
  const host = /^rediss?:\/\/(?:[^@/]*@)?([^:/?]+)/i.exec(url)?.[1];
  const equivalent = option === "busUrl" && host !== undefined ? `nats://${host}:4222` : instead;
  throw new InvalidOptionError({ option, reason: `names Redis, which is not used here: the nodes talk over NATS; write ${equivalent}` });
}
