import type { Draft } from "immer";
import type { Tid } from "../../core/index.js";
import type { AnySchema, KeyOf, ListedKey, ListedValue } from "../protocol/schema.js";

/** Which part of a listing. */
export interface ListOptions {
  /** Begin after this key. */
  readonly after?: string | undefined;
  /** End after so many rows. */
  readonly limit?: number | undefined;
}

/** Rows of a listing in the order of keys. Can be iterated once. */
export type Listing<Schema extends AnySchema, Prefix extends string> = AsyncIterableIterator<
  readonly [key: ListedKey<Schema, Prefix>, value: ListedValue<Schema, Prefix>]
>;

/**
 * Changes a draft of the value in place, or returns what is to stand instead. There is no draft where there is no value;
 * when it returns nothing then, nothing is written.
 */
export type Recipe<V> = (draft: Draft<V> | undefined) => V | Draft<V> | undefined | void;

/** One snapshot of a storage: all reads see it as of `snapshot`. What they return is frozen, but for bytes and Dates, which are copies. */
export interface Reader<Schema extends AnySchema> {
  readonly snapshot: Tid;

  /** Value of `key`, or undefined when there is none. From memory in about 100 ns, from the disk cache in some µs, else from the server. */
  get<K extends KeyOf<Schema>>(key: K): Promise<Schema[K] | undefined>;

  /** Values of `keys`, in their order. What no cache holds is loaded together. */
  getMany<K extends KeyOf<Schema>>(keys: readonly K[]): Promise<readonly (Schema[K] | undefined)[]>;

  /** Rows whose keys begin with `prefix`. Comes from the server: while disconnected it throws DisconnectedError. */
  list<Prefix extends string>(prefix: Prefix, options?: ListOptions): Listing<Schema, Prefix>;
}

/** A transaction under way. Its reads see its own writes. */
export interface Transaction<Schema extends AnySchema> extends Reader<Schema> {
  readonly id: string;

  /** Writes `value`. To be awaited where the key has an asynchronous validator. Rejects with SchemaError, InvalidValueError, InvalidKeyError, TooLargeError. */
  put<K extends KeyOf<Schema>>(key: K, value: Schema[K]): Promise<void>;

  /** Reads, changes and writes. Resolves to what was written, or undefined. */
  update<K extends KeyOf<Schema>>(key: K, recipe: Recipe<Schema[K]>): Promise<Schema[K] | undefined>;

  delete<K extends KeyOf<Schema>>(key: K): Promise<void>;
}

/** A transaction whose end is in the hands of whoever coordinates it with others. Disposing of it aborts it. */
export interface OpenTransaction<Schema extends AnySchema> extends Transaction<Schema>, AsyncDisposable {
  /** First phase: validates, and holds what it read and wrote for at most the server's transactionTimeoutMs. Rejects with ConflictError and others; it is aborted then. */
  vote(): Promise<void>;

  /**
   * Second phase: commits, and resolves to its tid. Without a vote both phases are one message.
   * When it was voted and is told that it was aborted, what was coordinated with it may be half done: logged as fatal.
   */
  finish(): Promise<Tid>;

  /** Writes nothing, and lets others have what it held. Idempotent. */
  abort(): Promise<void>;
}
