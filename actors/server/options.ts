import type { OpenStore } from "../../storage/kv/ordered-store.js";
import type { Transport } from "../../transport/transport.js";
import {
  asDuration,
  asDurationIfGiven,
  atLeastOneMs,
  type Duration,
  InvalidOptionError,
  limits,
  type SeamOptions,
} from "../../core/index.js";
import { checkName, checkNames, checkSeamsOverTransport } from "../../core/options.js";
import type { ActorSystem } from "../system/actor-system.js";

/** Options of one storage of a server. */
export interface StorageOptions {
  /** Opens the store of the objects. It is called again after a write whose result is unknown. */
  readonly open: OpenStore;
  /** Revisions and log entries older than this are removed. Default: Infinity, none is removed. */
  readonly historyAgeMs?: Duration | undefined;
  /** Clients whose last tid is at most this old verify from the log, or Infinity; others discard their cache. */
  readonly invalidationAgeMs?: Duration;
  /** Clients that missed more transactions than this discard their cache: that is faster than a replay. */
  readonly replayTransactionsMax?: number;
  /** Transactions in the invalidation queue, and their keys. */
  readonly invalidationQueueSize?: number;
  readonly invalidationQueueKeysMax?: number;
  /** Outcomes stay known by transaction id for at least this, or Infinity, within the bound outcomesMax. */
  readonly outcomeAgeMs?: Duration;
  readonly outcomesMax?: number;
  /** Pruning keeps the history of snapshots younger than this, or Infinity. */
  readonly snapshotRetentionMs?: Duration;
}

/** Storages and seams of a storage server. */
export interface StorageServerOptions extends SeamOptions {
  /** Clients of this realm find the server. */
  readonly realm: string;
  /** The storages to serve, by name. */
  readonly storages: Readonly<Record<string, StorageOptions>>;
  /** The link to the broker. The server does not close it. */
  readonly transport: Transport;
  /** The server takes no commits. Default: false. */
  readonly readOnly?: boolean;
  /**
   * Begins to write although the broker still holds the link of another writer that does not answer, for example after
   * its machine lost power. That writer stops when it is connected again, and its commits until then are lost. Another
   * writer that answers still causes AnotherWriterError. Default: false.
   */
  readonly takeOver?: boolean;
  /** Cancels a start that waits for the broker or for the end of another writer. */
  readonly signal?: AbortSignal | undefined;
  readonly heartbeatIntervalMs?: Duration;
  /**
   * Interval at which clients report that they are alive. Default: a quarter of the session timeout, at most
   * limits.keepAliveIntervalMs.
   */
  readonly keepAliveIntervalMs?: Duration;
  readonly sessionTimeoutMs?: Duration;
  readonly transactionTimeoutMs?: Duration;
  readonly pruningIntervalMs?: Duration;
  readonly sessionsMax?: number;
  /** Sessions of clients with the same name. */
  readonly sessionsPerClientMax?: number;
  readonly fencesPerSessionMax?: number;
  readonly transactionsOpenMax?: number;
  readonly commitQueueMax?: number;
  readonly commitsInAirBytesMax?: number;
  readonly batchBytesMax?: number;
  /**
   * Called when a storage ends by itself: its store cannot be opened again, or another server writes it. Default: the
   * end is only logged.
   */
  readonly onFatal?: (error: unknown) => void;
  /** An actor system that gives the machines of the server addresses: `server/<storage>/<machine>`. */
  readonly system?: ActorSystem | undefined;
}

/** Checked options of one storage; ages are in milliseconds. */
export type CheckedStore = Pick<StorageOptions, "open"> & {
  readonly [name in (typeof storeCounts)[number] | (typeof storeAges)[number]]?: number;
};

/** Checked options of one storage, with those of its server. */
export type CheckedStorageOptions = {
  readonly [name in (typeof durations)[number] | (typeof counts)[number] | "keepAliveIntervalMs"]: number;
} & { readonly store: CheckedStore; readonly readOnly: boolean };

const durations = ["heartbeatIntervalMs", "sessionTimeoutMs", "transactionTimeoutMs", "pruningIntervalMs"] as const;

const counts = [
  "sessionsMax",
  "sessionsPerClientMax",
  "fencesPerSessionMax",
  "transactionsOpenMax",
  "commitQueueMax",
  "commitsInAirBytesMax",
  "batchBytesMax",
] as const;

/** Names of all options of a server: any other name is refused. */
const serverOptionNames: ReadonlySet<string> = new Set<keyof StorageServerOptions>([
  "realm",
  "storages",
  "transport",
  "clock",
  "random",
  "log",
  "readOnly",
  "takeOver",
  "signal",
  "keepAliveIntervalMs",
  "onFatal",
  "system",
  ...durations,
  ...counts,
]);

/** The options of each storage by its name. Throws InvalidOptionError, which names the option that is wrong. */
export function checkServerOptions(options: StorageServerOptions): ReadonlyMap<string, CheckedStorageOptions> {
  checkNames(options, serverOptionNames);
  checkSeamsOverTransport(options);
  checkName("realm", options.realm);
  if (typeof options.storages !== "object" || options.storages === null)
    throw new InvalidOptionError({ option: "storages", reason: "is not an object with a storage for each name" });
  const bounds = {
    ...checkedEach(durations, (option) => wholeMs(options[option], limits[option], option)),
    ...checkedEach(counts, (option) => positive(options[option], limits[option], option)),
  };
  const { sessionTimeoutMs } = bounds;
  const intervalMs = Math.max(1, Math.min(limits.keepAliveIntervalMs, Math.floor(sessionTimeoutMs / 4)));
  const keepAliveIntervalMs = wholeMs(options.keepAliveIntervalMs, intervalMs, "keepAliveIntervalMs");
  if (keepAliveIntervalMs >= sessionTimeoutMs) {
    throw new InvalidOptionError({ option: "keepAliveIntervalMs", reason: `is not below sessionTimeoutMs, ${sessionTimeoutMs}` });
  }
  const checked = new Map<string, CheckedStorageOptions>();
  for (const [name, store] of Object.entries(options.storages)) {
    checkName("storages", name);
    checkNames(store, storageOptionNames, `storages.${name}.`);
    checked.set(name, { ...bounds, keepAliveIntervalMs, readOnly: options.readOnly ?? false, store: checkedStore(name, store) });
  }
  if (checked.size === 0) throw new InvalidOptionError({ option: "storages", reason: "has no storage" });
  return checked;
}

const storeCounts = [
  "replayTransactionsMax",
  "invalidationQueueSize",
  "invalidationQueueKeysMax",
  "outcomesMax",
] as const satisfies readonly (keyof StorageOptions)[];

const storeAges = [
  "historyAgeMs",
  "invalidationAgeMs",
  "outcomeAgeMs",
  "snapshotRetentionMs",
] as const satisfies readonly (keyof StorageOptions)[];

/** Names of all options of a storage: any other name is refused. */
const storageOptionNames: ReadonlySet<string> = new Set<keyof StorageOptions>(["open", ...storeCounts, ...storeAges]);

function checkedStore(name: string, store: StorageOptions): CheckedStore {
  const checked: Partial<Record<(typeof storeCounts)[number] | (typeof storeAges)[number], number>> = {};
  for (const option of storeCounts) {
    const count = store[option];
    if (count !== undefined) checked[option] = positive(count, 1, `storages.${name}.${option}`);
  }
  for (const option of storeAges) {
    const age = store[option];
    if (age === undefined) continue;
    checked[option] = asDuration(age, `storages.${name}.${option}`, { unit: "ms", msMin: 1, isEndlessAllowed: true });
  }
  return { open: store.open, ...checked };
}

function checkedEach<Name extends string>(names: readonly Name[], check: (name: Name) => number): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name) => [name, check(name)])) as Record<Name, number>;
}

function positive(value: number | undefined, otherwise: number, option: string): number {
  if (value === undefined) return otherwise;
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidOptionError({ option, reason: `is ${value}, not a whole number from 1` });
  return value;
}

/** A duration from 1 ms, rounded up to whole milliseconds: messages carry some of these durations as integers. */
function wholeMs(value: Duration | undefined, otherwise: number, option: string): number {
  return Math.ceil(asDurationIfGiven(value, option, atLeastOneMs) ?? otherwise);
}
