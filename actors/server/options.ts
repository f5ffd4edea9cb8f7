import type { OpenStore } from "../../storage/kv/ordered-store.js";
import type { Transport } from "../../transport/transport.js";
import {
  asDuration,
  asDurationIfGiven,
  atLeastOneMs,
  type Random,
  type Clock,
  type Duration,
  InvalidOptionError,
  limits,
  type Log,
} from "../../core/index.js";
import { checkName, checkNames, checkSeamsOverTransport } from "../../core/options.js";
import type { ActorSystem } from "../system/actor-system.js";

/** Options of one storage of a server. */
export interface StorageOptions {
  /** Opens the store of the objects. Called again after a write whose result is not known. */
  readonly open: OpenStore;
  /** Revisions and log entries older than this are removed. Default: Infinity, they are kept. */
  readonly historyAgeMs?: Duration | undefined;
  /** Clients that missed no more than this verify from the log, or Infinity; older ones discard their cache. */
  readonly invalidationAgeMs?: Duration;
  /** Clients that missed more transactions than this discard their cache: it is faster than replaying. */
  readonly replayTransactionsMax?: number;
  /** Transactions in the invalidation queue, and their keys. */
  readonly invalidationQueueSize?: number;
  readonly invalidationQueueKeysMax?: number;
  /** Outcomes are known by transaction id for at least this, or Infinity, as far as outcomesMax allows. */
  readonly outcomeAgeMs?: Duration;
  readonly outcomesMax?: number;
  /** A snapshot younger than this is never pruned, or Infinity. */
  readonly snapshotRetentionMs?: Duration;
}

/** Storages and seams of a storage server. */
export interface StorageServerOptions {
  /** Clients of this realm find the server. */
  readonly realm: string;
  /** The storages to serve, by name. */
  readonly storages: Readonly<Record<string, StorageOptions>>;
  /** The link to the broker. It is not closed with the server. */
  readonly transport: Transport;
  /** Where time comes from, in a test. Default: the system's clocks. */
  readonly clock?: Clock | undefined;
  /** Where random ids come from, in a test. Default: the system's. */
  readonly random?: Random | undefined;
  /** Any pino logger. Default: nothing is logged. */
  readonly log?: Log | undefined;
  /** The server takes no commits. Default: false. */
  readonly readOnly?: boolean;
  /**
   * Begins to write even if the broker still holds the link of another writer that does not answer, as after its machine lost power.
   * That writer stops when it is heard again, and what it commits meanwhile is lost. A writer that answers is an AnotherWriterError all the same. Default: false.
   */
  readonly takeOver?: boolean;
  /** Calls off a start that waits for the broker, or for another writer to go. */
  readonly signal?: AbortSignal | undefined;
  readonly heartbeatIntervalMs?: Duration;
  /** How often clients are asked to say that they live. Default: a quarter of the session timeout, at most limits.keepAliveIntervalMs. */
  readonly keepAliveIntervalMs?: Duration;
  readonly sessionTimeoutMs?: Duration;
  readonly transactionTimeoutMs?: Duration;
  readonly pruningIntervalMs?: Duration;
  readonly sessionsMax?: number;
  /** Sessions of clients of one name. */
  readonly sessionsPerClientMax?: number;
  readonly fencesPerSessionMax?: number;
  readonly transactionsOpenMax?: number;
  readonly commitQueueMax?: number;
  readonly commitsInAirBytesMax?: number;
  readonly batchBytesMax?: number;
  /** Called when a storage ends by itself: its store cannot be opened again, or another server writes it. Default: it is only logged. */
  readonly onFatal?: (error: unknown) => void;
  /** An actor system that gives the machines of the server addresses: `server/<storage>/<machine>`. */
  readonly system?: ActorSystem | undefined;
}

/** Options of one storage, checked; ages are in milliseconds. */
export type CheckedStore = Pick<StorageOptions, "open"> & {
  readonly [name in (typeof storeCounts)[number] | (typeof storeAges)[number]]?: number;
};

/** All bounds of one storage, checked. */
export interface CheckedStorageOptions {
  readonly store: CheckedStore;
  readonly readOnly: boolean;
  readonly heartbeatIntervalMs: number;
  readonly keepAliveIntervalMs: number;
  readonly sessionTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly pruningIntervalMs: number;
  readonly sessionsMax: number;
  readonly sessionsPerClientMax: number;
  readonly fencesPerSessionMax: number;
  readonly transactionsOpenMax: number;
  readonly commitQueueMax: number;
  readonly commitsInAirBytesMax: number;
  readonly batchBytesMax: number;
}

/** Names of all options of a server: what is not among them is refused. */
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
  "heartbeatIntervalMs",
  "keepAliveIntervalMs",
  "sessionTimeoutMs",
  "transactionTimeoutMs",
  "pruningIntervalMs",
  "sessionsMax",
  "sessionsPerClientMax",
  "fencesPerSessionMax",
  "transactionsOpenMax",
  "commitQueueMax",
  "commitsInAirBytesMax",
  "batchBytesMax",
  "onFatal",
  "system",
]);

/** The options of each storage by its name. Throws InvalidOptionError, which names the option that is wrong. */
export function checkServerOptions(options: StorageServerOptions): ReadonlyMap<string, CheckedStorageOptions> {
  checkNames(options, serverOptionNames);
  checkSeamsOverTransport(options);
  checkName("realm", options.realm);
  if (typeof options.storages !== "object" || options.storages === null)
    throw new InvalidOptionError({ option: "storages", reason: "is no object of storages by their names" });
  const sessionTimeoutMs = wholeMs(options.sessionTimeoutMs, limits.sessionTimeoutMs, "sessionTimeoutMs");
  const common = {
    readOnly: options.readOnly ?? false,
    heartbeatIntervalMs: wholeMs(options.heartbeatIntervalMs, limits.heartbeatIntervalMs, "heartbeatIntervalMs"),
    keepAliveIntervalMs: wholeMs(
      options.keepAliveIntervalMs,
      Math.max(1, Math.min(limits.keepAliveIntervalMs, Math.floor(sessionTimeoutMs / 4))),
      "keepAliveIntervalMs",
    ),
    sessionTimeoutMs,
    transactionTimeoutMs: wholeMs(options.transactionTimeoutMs, limits.transactionTimeoutMs, "transactionTimeoutMs"),
    pruningIntervalMs: wholeMs(options.pruningIntervalMs, limits.pruningIntervalMs, "pruningIntervalMs"),
    sessionsMax: positive(options.sessionsMax, limits.sessionsMax, "sessionsMax"),
    sessionsPerClientMax: positive(options.sessionsPerClientMax, limits.sessionsPerClientMax, "sessionsPerClientMax"),
    fencesPerSessionMax: positive(options.fencesPerSessionMax, limits.fencesPerSessionMax, "fencesPerSessionMax"),
    transactionsOpenMax: positive(options.transactionsOpenMax, limits.transactionsOpenMax, "transactionsOpenMax"),
    commitQueueMax: positive(options.commitQueueMax, limits.commitQueueMax, "commitQueueMax"),
    commitsInAirBytesMax: positive(options.commitsInAirBytesMax, limits.commitsInAirBytesMax, "commitsInAirBytesMax"),
    batchBytesMax: positive(options.batchBytesMax, limits.batchBytesMax, "batchBytesMax"),
  };
  if (common.keepAliveIntervalMs >= sessionTimeoutMs) {
    throw new InvalidOptionError({ option: "keepAliveIntervalMs", reason: `is not below sessionTimeoutMs, ${sessionTimeoutMs}` });
  }
  const checked = new Map<string, CheckedStorageOptions>();
  for (const [name, store] of Object.entries(options.storages)) {
    checkName("storages", name);
    checkNames(store, storageOptionNames, `storages.${name}.`);
    checked.set(name, { ...common, store: checkedStore(name, store) });
  }
  if (checked.size === 0) throw new InvalidOptionError({ option: "storages", reason: "names none" });
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

/** The same of one storage. */
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

function positive(value: number | undefined, otherwise: number, option: string): number {
  if (value === undefined) return otherwise;
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidOptionError({ option, reason: `is ${value}, not a whole number from 1` });
  return value;
}

/** A duration from 1 ms, rounded up to whole milliseconds: some of them travel as such. */
function wholeMs(value: Duration | undefined, otherwise: number, option: string): number {
  return Math.ceil(asDurationIfGiven(value, option, atLeastOneMs) ?? otherwise);
}
