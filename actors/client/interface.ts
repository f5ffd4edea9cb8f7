import type { ClientCacheStats } from "../../storage/client-cache/client-cache.js";
import type { Duration, Tid } from "../../core/index.js";
import type { ConnectionState, Verification } from "./connection/connection.js";
import type { Position, ServerStatus } from "../protocol/messages.js";
import type { ListOptions, Listing, OpenTransaction, Reader, Recipe, Transaction } from "./object-access.js";
import type { Isolation } from "./transaction.js";
import type { AnySchema, KeyOf, UntypedSchema } from "../protocol/schema.js";
import type { Transacted } from "./transact.js";
import type { Change } from "./watching.js";

/** How strictly a transaction is validated, and how long and how often it is tried. */
export interface TransactOptions {
  /**
   * `serializable` checks the reads and the writes of a transaction, `snapshot` only its writes. Default:
   * `serializable`.
   */
  readonly isolation?: Isolation | undefined;
  /** Aborts the transaction, unless its commit was already sent. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Time for all attempts together. Then it rejects with TimeoutError. A commit that was already sent is not aborted.
   * Default: Infinity.
   */
  readonly timeoutMs?: Duration | undefined;
  /**
   * Number of attempts. After them it rejects with the error of the last one, such as ConflictError. Default:
   * `transactAttemptsMax` of the client.
   */
  readonly attemptsMax?: number | undefined;
}

/** How new the data of a read must be, and how long the read may take. */
export interface ReadOptions {
  /**
   * The snapshot must contain everything that the server had committed this long before the call. If the client last
   * asked the server longer ago, it asks again, with one message for all waiting reads. Rejects with StaleError when
   * the server does not answer. Default: Infinity, which costs no message.
   */
  readonly maxStaleMs?: Duration | undefined;
  /** The snapshot must contain the transaction with this tid. `transact` of another client returned it. */
  readonly after?: Tid | undefined;
  /** The snapshot must contain everything that the server has committed before this call. Default: false. */
  readonly serverSync?: boolean | undefined;
  /** Aborts the read. */
  readonly signal?: AbortSignal | undefined;
  /** The read rejects with TimeoutError after this time. Default: Infinity. */
  readonly timeoutMs?: Duration | undefined;
}

/** Value of a read, with its snapshot. */
export interface ReadResult<T> {
  readonly value: T;
  /** Tid of the snapshot that was read. */
  readonly asOf: Tid;
  /** Whether the client is connected and its snapshot follows the server's. */
  readonly connected: boolean;
  /** Number of objects that were not cached and were loaded from the server. */
  readonly loads: number;
}

/** Current state of a client: plain data, times in ms. */
export interface ClientStatus {
  readonly client: string;
  readonly realm: string;
  readonly storage: string;
  readonly state: ConnectionState;
  readonly address: string;
  readonly instance: string | undefined;
  readonly position: Position;
  readonly asOf: Position;
  /** Time since the server was last heard. */
  readonly heardMsAgo: number | undefined;
  readonly verification: Verification | undefined;
  readonly problem: string | undefined;
  readonly cache: ClientCacheStats;
  readonly inFlight: { readonly requests: number; readonly loads: number; readonly commits: number };
  readonly early: number;
  readonly watchers: number;
  readonly machines: Readonly<Record<string, string>>;
}

/**
 * A client of one storage. The values that it returns from its cache are those that the server had as of `position`,
 * also while the client is disconnected. Every method throws ClosedError once the client is closed.
 */
export interface ObjectClient<Schema extends AnySchema = UntypedSchema> extends Reads<Schema>, AsyncDisposable {
  /**
   * Runs `fn` in a transaction and commits it; `fn` may run several times. Rejects with the error that `fn` throws,
   * ConflictError after attemptsMax, ReadOnlyError, DisconnectedError, OutcomeUnknownError, and errors of bad input.
   */
  transact<T>(fn: (tx: Transaction<Schema>) => Promise<T> | T, options?: TransactOptions): Promise<Transacted<T>>;

  /** Runs `fn` on one snapshot. Rejects with StaleError, DisconnectedError, TimeoutError. */
  read<T>(fn: (reader: Reader<Schema>) => Promise<T> | T, options?: ReadOptions): Promise<ReadResult<T>>;

  /**
   * Begins a transaction that the caller coordinates with others. The caller must finish or abort it; `await using`
   * aborts it.
   */
  begin(options?: {
    readonly isolation?: Isolation | undefined;
    readonly signal?: AbortSignal | undefined;
  }): Promise<OpenTransaction<Schema>>;

  put<K extends KeyOf<Schema>>(key: K, value: Schema[K], options?: TransactOptions): Promise<Tid>;
  update<K extends KeyOf<Schema>>(key: K, recipe: Recipe<Schema[K]>, options?: TransactOptions): Promise<Transacted<Schema[K] | undefined>>;
  delete<K extends KeyOf<Schema>>(key: K, options?: TransactOptions): Promise<Tid>;

  /**
   * Iterates over the changes of keys that begin with `prefix`, by any client, from this call on. `reset` means that
   * any of these keys may have changed. Ends when the signal aborts or the client closes.
   */
  watch(prefix: string, options?: { readonly signal?: AbortSignal | undefined }): AsyncIterableIterator<Change<KeyOf<Schema>>>;

  readonly state: ConnectionState;
  /** The cache is verified and follows the server. */
  readonly isConnected: boolean;
  /** Tid of the last applied transaction, with its digest. */
  readonly position: Position;
  status(): ClientStatus;
  /** Status that the server reports. Rejects with DisconnectedError, TimeoutError. */
  serverStatus(signal?: AbortSignal): Promise<ServerStatus>;
  /** Calls `listener` at each change of `state` until the returned function is called. */
  onState(listener: (state: ConnectionState) => void): () => void;

  /**
   * Resolves when the client is connected and its cache is verified. Rejects with DisconnectedError after `timeoutMs`,
   * or at once with the error of a server that refuses the client.
   */
  connected(timeoutMs?: Duration, signal?: AbortSignal): Promise<void>;

  /**
   * Says goodbye to the server and closes the cache, within closeTimeoutMs. Reads and watchers end at once.
   * Transactions may continue until they have committed. At the time-out, a transaction that has not sent its commit
   * rejects with ClosedError, and one whose outcome is not known rejects with OutcomeUnknownError. Idempotent.
   */
  close(): Promise<void>;
  /**
   * Ends the client at once, without a goodbye and without writing the entries that the cache has not written yet. All
   * calls under way reject, and watchers end. `close` resolves when the client's folder and link are free again.
   */
  kill(): void;
}

/** Reads outside of `read` and `transact`: each one has its own snapshot. */
type Reads<Schema extends AnySchema> = Pick<Reader<Schema>, "get" | "getMany"> & {
  list<Prefix extends string>(
    prefix: Prefix,
    options?: ListOptions & { readonly signal?: AbortSignal | undefined },
  ): Listing<Schema, Prefix>;
};
