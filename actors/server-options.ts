import type { OpenStore } from "../storage/ordered-store.js";
import type { Transport } from "../transport/transport.js";
import { type Chance, type Clock, InvalidOptionError, limits, type Log } from "../words/index.js";
import type { ActorSystem } from "./system.js";

/** What is particular to one storage of a server. */
export interface StorageOptions {
  /** Opens where its objects are kept; called again after a write in doubt. */
  readonly open: OpenStore;
  /** Revisions and log entries older than this are removed, milliseconds; undefined: kept for ever. */
  readonly historyAgeMs?: number | undefined;
  /** Clients that missed no more than this verify from the log, milliseconds; older ones discard their cache. */
  readonly invalidationAgeMs?: number;
  /** Clients that missed more transactions than this discard their cache: it is faster than replaying. */
  readonly replayTransactionsMax?: number;
  /** Transactions in the invalidation queue, and their keys. */
  readonly invalidationQueueSize?: number;
  readonly invalidationQueueKeysMax?: number;
  /** Outcomes are known by transaction id for at least this, milliseconds. */
  readonly outcomeAgeMs?: number;
  readonly outcomesMax?: number;
  /** A snapshot younger than this is never pruned, milliseconds. */
  readonly snapshotRetentionMs?: number;
}

/** What a storage server serves, and over which seams. */
export interface StorageServerOptions {
  readonly realm: string;
  /** By name. */
  readonly storages: Readonly<Record<string, StorageOptions>>;
  /** Not closed with the server. */
  readonly transport: Transport;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: Log;
  /** Takes no commits. */
  readonly readOnly?: boolean;
  /**
   * Begins to write though a writer may be left that does not answer, as when its machine has lost its power and the broker still holds
   * its link. That writer stops when it is heard again; what it commits meanwhile is lost. A writer that answers is an error all the same.
   */
  readonly takeOver?: boolean;
  /** Calls off a start that waits for the broker or for another writer. */
  readonly signal?: AbortSignal | undefined;
  readonly heartbeatIntervalMs?: number;
  /** How often clients are asked to say that they live; a quarter of the session timeout, at most the default, unless told. */
  readonly keepAliveIntervalMs?: number;
  readonly sessionTimeoutMs?: number;
  readonly transactionTimeoutMs?: number;
  readonly pruningIntervalMs?: number;
  readonly sessionsMax?: number;
  readonly transactionsOpenMax?: number;
  readonly commitQueueMax?: number;
  readonly commitsInAirBytesMax?: number;
  readonly batchBytesMax?: number;
  /** A storage ended by itself: its store cannot be opened again, or another server writes it. Unless given, it is only logged. */
  readonly onFatal?: (error: unknown) => void;
  /** Where the machines of the server can be looked at: `server/<storage>/<machine>`. */
  readonly system?: ActorSystem | undefined;
}

/** All bounds of one storage, checked. */
export interface CheckedStorageOptions {
  readonly store: StorageOptions;
  readonly readOnly: boolean;
  readonly heartbeatIntervalMs: number;
  readonly keepAliveIntervalMs: number;
  readonly sessionTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly pruningIntervalMs: number;
  readonly sessionsMax: number;
  readonly transactionsOpenMax: number;
  readonly commitQueueMax: number;
  readonly commitsInAirBytesMax: number;
  readonly batchBytesMax: number;
}

/** The options of each storage by its name. Throws InvalidOptionError, which names the option that is wrong. */
export function checkServerOptions(options: StorageServerOptions): ReadonlyMap<string, CheckedStorageOptions> {
  checkName(options.realm, "realm");
  const sessionTimeoutMs = positive(options.sessionTimeoutMs, limits.sessionTimeoutMs, "sessionTimeoutMs");
  const common = {
    readOnly: options.readOnly ?? false,
    heartbeatIntervalMs: positive(options.heartbeatIntervalMs, limits.heartbeatIntervalMs, "heartbeatIntervalMs"),
    keepAliveIntervalMs: positive(
      options.keepAliveIntervalMs,
      Math.max(1, Math.min(limits.keepAliveIntervalMs, Math.floor(sessionTimeoutMs / 4))),
      "keepAliveIntervalMs",
    ),
    sessionTimeoutMs,
    transactionTimeoutMs: positive(options.transactionTimeoutMs, limits.transactionTimeoutMs, "transactionTimeoutMs"),
    pruningIntervalMs: positive(options.pruningIntervalMs, limits.pruningIntervalMs, "pruningIntervalMs"),
    sessionsMax: positive(options.sessionsMax, limits.sessionsMax, "sessionsMax"),
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
    checkName(name, "storages");
    for (const option of storageNumbers) positive(store[option], 1, `storages.${name}.${option}`);
    checked.set(name, { ...common, store });
  }
  if (checked.size === 0) throw new InvalidOptionError({ option: "storages", reason: "names none" });
  return checked;
}

const storageNumbers = [
  "historyAgeMs",
  "invalidationAgeMs",
  "replayTransactionsMax",
  "invalidationQueueSize",
  "invalidationQueueKeysMax",
  "outcomeAgeMs",
  "outcomesMax",
  "snapshotRetentionMs",
] as const satisfies readonly (keyof StorageOptions)[];

function checkName(value: string, option: string): void {
  if (/^[A-Za-z0-9_-]+$/.test(value) && value.length <= limits.nameBytesMax) return;
  throw new InvalidOptionError({
    option,
    reason: `${JSON.stringify(value)} is not a name: 1 to ${limits.nameBytesMax} letters, digits, _ and -`,
  });
}

function positive(value: number | undefined, otherwise: number, option: string): number {
  if (value === undefined) return otherwise;
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidOptionError({ option, reason: `is ${value}, not a whole number from 1` });
  return value;
}
