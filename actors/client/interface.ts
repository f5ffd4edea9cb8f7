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
  /** `serializable` checks the reads and the writes of a transaction, `snapshot` only its writes. Default: `serializable`. */
  readonly isolation?: Isolation | undefined;
  /** Calls the transaction off, up until its commit is sent. */
  readonly signal?: AbortSignal | undefined;
  /** All attempts together reject with TimeoutError after this. A commit that was sent is not called off. Default: Infinity. */
  readonly timeoutMs?: Duration | undefined;
  /** Attempts, after which it rejects with ConflictError. Default: `transactAttemptsMax` of the client. */
  readonly attemptsMax?: number | undefined;
}

/** How new the data of a read must be, and how long the read may take. */
export interface ReadOptions {
  /**
   * The snapshot must hold all that the server had committed this long before the call. If the server was last asked longer ago, it is asked
   * again, with one message for all waiting reads. Rejects with StaleError when the server does not answer. Default: Infinity, which costs no message.
   */
  readonly maxStaleMs?: Duration | undefined;
  /** The snapshot must hold the transaction of this tid, as another client's `transact` returned it. */
  readonly after?: Tid | undefined;
  /** The snapshot must hold all that the server has committed before this call. Default: false. */
  readonly serverSync?: boolean | undefined;
  /** Calls the read off. */
  readonly signal?: AbortSignal | undefined;
  /** The read rejects with TimeoutError after this. Default: Infinity. */
  readonly timeoutMs?: Duration | undefined;
}

/** Value of a read, with its snapshot. */
export interface ReadResult<T> {
  readonly value: T;
  /** Tid of the snapshot that was read. */
  readonly asOf: Tid;
  /** Whether the client is connected and its snapshot follows the server's. */
  readonly connected: boolean;
  /** Objects that no cache held: they were loaded from the server. */
  readonly loads: number;
}

/** A client as it is now: plain data, times in ms. */
export interface ClientStatus {
  readonly client: string;
  readonly realm: string;
  readonly storage: string;
  readonly state: ConnectionState;
  readonly address: string;
  readonly instance: string | undefined;
  readonly position: Position;
  readonly asOf: Position;
  /** Since the server was last heard. */
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
 * A client of one storage. What it serves from its cache is what the server had as of `position`, also while cut off from it.
 * Every method throws ClosedError once it is closed.
 */
export interface ObjectClient<Schema extends AnySchema = UntypedSchema> extends Reads<Schema>, AsyncDisposable {
  /**
   * Runs `fn` in a transaction and commits it; `fn` may run several times. Rejects with what `fn` throws, ConflictError after
   * attemptsMax, ReadOnlyError, DisconnectedError, OutcomeUnknownError, and errors of bad input.
   */
  transact<T>(fn: (tx: Transaction<Schema>) => Promise<T> | T, options?: TransactOptions): Promise<Transacted<T>>;

  /** Runs `fn` on one snapshot. Rejects with StaleError, DisconnectedError, TimeoutError. */
  read<T>(fn: (reader: Reader<Schema>) => Promise<T> | T, options?: ReadOptions): Promise<ReadResult<T>>;

  /** Begins a transaction, to coordinate several. Finish or abort it; `await using` aborts it. */
  begin(options?: {
    readonly isolation?: Isolation | undefined;
    readonly signal?: AbortSignal | undefined;
  }): Promise<OpenTransaction<Schema>>;

  put<K extends KeyOf<Schema>>(key: K, value: Schema[K], options?: TransactOptions): Promise<Tid>;
  update<K extends KeyOf<Schema>>(key: K, recipe: Recipe<Schema[K]>, options?: TransactOptions): Promise<Transacted<Schema[K] | undefined>>;
  delete<K extends KeyOf<Schema>>(key: K, options?: TransactOptions): Promise<Tid>;

  /**
   * Changes of keys that begin with `prefix`, from this call on, by any client; `reset` when any of them may have changed.
   * Ends with the signal or the client.
   */
  watch(prefix: string, options?: { readonly signal?: AbortSignal | undefined }): AsyncIterableIterator<Change<KeyOf<Schema>>>;

  readonly state: ConnectionState;
  /** Verified, and following the server. */
  readonly isConnected: boolean;
  /** Last tid applied, with its digest. */
  readonly position: Position;
  status(): ClientStatus;
  /** Status that the server reports. Rejects with DisconnectedError, TimeoutError. */
  serverStatus(signal?: AbortSignal): Promise<ServerStatus>;
  /** Calls `listener` at each change of `state` until the returned function is called. */
  onState(listener: (state: ConnectionState) => void): () => void;

  /** Resolves when connected and verified. Rejects with DisconnectedError after `timeoutMs`, or at once with why the server refuses. */
  connected(timeoutMs?: Duration, signal?: AbortSignal): Promise<void>;

  /**
   * Says goodbye and closes the cache, within closeTimeoutMs. Reads and watchers end at once. Transactions may go on until they have
   * committed; at the time-out those that have not sent their commit reject with ClosedError, and those whose outcome is not known by
   * then with OutcomeUnknownError. Idempotent.
   */
  close(): Promise<void>;
  /**
   * Ends it at once, without goodbye and without writing what its cache gathered. All calls under way reject, watchers end; `close`
   * resolves when its folder and its link are free again.
   */
  kill(): void;
}

/** Reads outside of `read` and `transact`: each is a snapshot of its own. */
type Reads<Schema extends AnySchema> = Pick<Reader<Schema>, "get" | "getMany"> & {
  list<Prefix extends string>(
    prefix: Prefix,
    options?: ListOptions & { readonly signal?: AbortSignal | undefined },
  ): Listing<Schema, Prefix>;
};
