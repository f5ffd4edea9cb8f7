import type { Draft } from "immer";
import type { Tid } from "../../core/index.js";
import type { AnySchema, KeyOf, ListedKey, ListedValue } from "../protocol/schema.js";

/** The part of a listing that is returned. */
export interface ListOptions {
  /** The listing begins after this key. */
  readonly after?: string | undefined;
  /** Maximum number of rows. */
  readonly limit?: number | undefined;
}

/** Rows of a listing in the order of keys. Can be iterated once. */
export type Listing<Schema extends AnySchema, Prefix extends string> = AsyncIterableIterator<
  readonly [key: ListedKey<Schema, Prefix>, value: ListedValue<Schema, Prefix>]
>;

/**
 * Changes a draft of the value in place, or returns a new value. If the object does not exist, the draft is undefined;
 * if the recipe then returns nothing, nothing is written.
 */
export type Recipe<V> = (draft: Draft<V> | undefined) => V | Draft<V> | undefined | void;

/**
 * One snapshot of a storage: all reads return the state as of `snapshot`. The returned values are frozen, except bytes
 * and Dates, which are copies.
 */
export interface Reader<Schema extends AnySchema> {
  readonly snapshot: Tid;

  /**
   * Returns the value of `key`, or undefined if there is none: from memory in about 100 ns, from the disk cache in some
   * µs, else from the server.
   */
  get<K extends KeyOf<Schema>>(key: K): Promise<Schema[K] | undefined>;

  /** Returns the values of `keys`, in their order. Loads the values that are not cached together. */
  getMany<K extends KeyOf<Schema>>(keys: readonly K[]): Promise<readonly (Schema[K] | undefined)[]>;

  /** Rows whose keys begin with `prefix`. They come from the server: while disconnected it throws DisconnectedError. */
  list<Prefix extends string>(prefix: Prefix, options?: ListOptions): Listing<Schema, Prefix>;
}

/** A transaction under way. Its reads see its own writes. */
export interface Transaction<Schema extends AnySchema> extends Reader<Schema> {
  readonly id: string;

  /**
   * Writes `value`. Await it if the key has an asynchronous validator. Rejects with SchemaError, InvalidValueError,
   * InvalidKeyError, TooLargeError.
   */
  put<K extends KeyOf<Schema>>(key: K, value: Schema[K]): Promise<void>;

  /** Reads, changes and writes the value. Resolves to the written value, or to undefined if nothing was written. */
  update<K extends KeyOf<Schema>>(key: K, recipe: Recipe<Schema[K]>): Promise<Schema[K] | undefined>;

  delete<K extends KeyOf<Schema>>(key: K): Promise<void>;
}

/** A transaction that its caller coordinates with others, and then finishes or aborts. Disposing of it aborts it. */
export interface OpenTransaction<Schema extends AnySchema> extends Transaction<Schema>, AsyncDisposable {
  /**
   * First phase: validates the transaction, and holds the objects that it read and wrote for at most the server's
   * transactionTimeoutMs. Rejects with ConflictError and others; the transaction is then aborted.
   */
  vote(): Promise<void>;

  /**
   * Second phase: commits, and resolves to the tid. Without a vote both phases are one message. If the server has
   * aborted a voted transaction, the transactions that were coordinated with it may be half done: this is logged as
   * fatal.
   */
  finish(): Promise<Tid>;

  /** Writes nothing, and releases the objects that the transaction held. Idempotent. */
  abort(): Promise<void>;
}
