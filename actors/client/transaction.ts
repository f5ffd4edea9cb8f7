import { Immer } from "immer";
import type { CachedRevision } from "../../storage/client-cache/client-cache.js";
import {
  asKey,
  ClosedError,
  InvalidOptionError,
  limits,
  ReadOnlyError,
  SnapshotTooOldError,
  checkSize,
  type Tid,
  type Value,
} from "../../core/index.js";
import type { ClientCore } from "./client-core.js";
import { commitWhole, VotedCommit } from "./committing.js";
import { currentComputations, isAnythingComputing } from "../tracking/computations.js";
import type { ClosingSignal } from "./closing.js";
import { listedRange, listRows, type ReadRange } from "./listing.js";
import type { CommitRequest } from "../protocol/messages.js";
import { noteFailure, noteFound, noteListed, noteMomentary, noteReading, type ReadContext } from "./tracked-reads.js";
import type { Listing, ListOptions, OpenTransaction, Recipe } from "./object-access.js";
import type { UntypedSchema } from "../protocol/schema.js";
import { encoded, Writes, written } from "./write-set.js";

/**
 * `serializable`: no object that the transaction read or wrote was changed since its snapshot. `snapshot`: no object
 * that it wrote was changed.
 */
export type Isolation = "serializable" | "snapshot";

export interface TransactionOptions {
  readonly isolation: Isolation;
  readonly readOnly: boolean;
  readonly signal?: AbortSignal | undefined;
  /** The commit can be sent until this comes. */
  readonly ending: ClosingSignal;
}

const nothingWritten: Promise<void> = Promise.resolve();
// A written value is encoded at once. Freezing the recipe's result would be useless work.
const immer = new Immer({ autoFreeze: false });

/**
 * One transaction: its reads, its writes, and its end. All its reads are as of its snapshot, which the cache and the
 * server keep until the transaction has ended.
 */
export class ObjectTransaction implements OpenTransaction<UntypedSchema> {
  readonly id: string;
  readonly snapshot: Tid;
  readonly #core: ClientCore;
  readonly #options: TransactionOptions;
  readonly #discards: number;
  readonly #context: ReadContext;
  readonly #reads = new Set<string>();
  readonly #ranges: ReadRange[] = [];
  readonly #writes = new Writes();
  /** Revisions that this transaction loaded. The cache may not have been able to keep them. */
  readonly #loaded = new Map<string, CachedRevision>();
  /** Writes whose validators have not ended. */
  readonly #validating = new Set<Promise<void>>();
  #voted: VotedCommit | undefined;
  #isEnded = false;

  constructor(core: ClientCore, options: TransactionOptions) {
    this.#core = core;
    this.#options = options;
    this.#discards = core.discards;
    this.id = core.nextTransactionId();
    this.snapshot = core.cache.position.tid;
    const { cache } = core;
    cache.openSnapshot(this.snapshot);
    // Within a computation the cache remembers invalidations until the transaction ends, so that it can judge later
    // reads at this snapshot too.
    const ticket = currentComputations().length > 0 ? cache.beginLoad(this.snapshot) : undefined;
    this.#context = { cache, snapshot: this.snapshot, ticket };
  }

  /** Number of objects that the transaction loaded from the server. */
  get loads(): number {
    return this.#loaded.size;
  }

  // Not async: if the cache knows the value, its own promise is returned.
  get(key: string): Promise<Value | undefined> {
    if (this.#isEnded || this.#discards !== this.#core.discards) return Promise.reject(this.#unusable());
    if (this.#writes.size > 0) {
      const write = this.#writes.get(key);
      if (write !== undefined) return Promise.resolve(written(write));
    }
    const revision = this.#core.cache.find(key, this.snapshot);
    if (revision === undefined) return this.#load(key);
    this.#reads.add(key);
    if (isAnythingComputing()) noteFound(this.#context, key, revision.serial);
    return revision.shareable ? revision.promise : Promise.resolve(revision.give());
  }

  getMany(keys: readonly string[]): Promise<readonly (Value | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)));
  }

  list<Prefix extends string>(prefix: Prefix, options: ListOptions = {}): Listing<UntypedSchema, Prefix> {
    const { cache, connection } = this.#core;
    const context = {
      snapshot: this.snapshot,
      cache,
      writes: this.#writes,
      signal: this.#options.signal,
      ending: this.#options.ending,
      connection,
      check: () => this.#check(),
      note: noteListed(this.#context, prefix),
      record: (range: ReadRange) => {
        this.#ranges.push(range);
      },
    };
    const rows = listRows(context, listedRange(prefix, options), options.limit ?? Infinity);
    // Without a schema all keys are strings. The compiler cannot resolve Listing for a prefix that it does not know.
    return rows as AsyncIterableIterator<readonly [string, Value]> as Listing<UntypedSchema, Prefix>;
  }

  put(key: string, value: unknown): Promise<void> {
    try {
      this.#checkWritable();
      const order = this.#writes.nextOrder();
      const accepted = this.#core.validators.validate(asKey(key), value);
      if (accepted instanceof Promise) return this.#afterValidation(key, accepted, order);
      this.#writes.set(key, encoded(key, accepted), order);
      return nothingWritten;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  delete(key: string): Promise<void> {
    try {
      this.#checkWritable();
      this.#writes.set(key, undefined, this.#writes.nextOrder());
      return nothingWritten;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async update(key: string, recipe: Recipe<Value>): Promise<Value | undefined> {
    this.#checkWritable();
    const value = await this.get(key);
    const next: unknown = immer.produce(value, recipe as (draft: unknown) => unknown);
    if (next === undefined) {
      if (value !== undefined) throw new InvalidOptionError({ option: "recipe", reason: "returned nothing for a value that has no draft" });
      return undefined;
    }
    await this.put(key, next);
    return this.get(key);
  }

  async vote(): Promise<void> {
    if (this.#voted === undefined) {
      this.#checkWritable();
      this.#voted = new VotedCommit(this.#core, await this.#request());
    }
    try {
      await noteFailure(this.#voted.vote());
    } catch (error) {
      this.end();
      throw error;
    }
  }

  async finish(): Promise<Tid> {
    const voted = this.#voted;
    if (voted === undefined) return this.commit();
    try {
      return await noteFailure(voted.finish());
    } finally {
      this.end();
    }
  }

  /**
   * Commits in one message, or without a message if nothing was written. Resolves to the tid, or to the snapshot if
   * nothing was written.
   */
  commit(): Promise<Tid> {
    return this.#core.track(noteFailure(this.#commit()));
  }

  async abort(): Promise<void> {
    this.end();
    await this.#voted?.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }

  /** Releases the snapshot. Idempotent. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const { cache, ticket } = this.#context;
    cache.closeSnapshot(this.snapshot);
    if (ticket !== undefined) cache.endLoad(ticket);
  }

  async #commit(): Promise<Tid> {
    this.#check();
    try {
      await this.#validated();
      if (this.#writes.size === 0) return this.snapshot;
      const request = await this.#request();
      return await commitWhole(this.#core, request, this.#options);
    } finally {
      this.end();
    }
  }

  async #load(key: string): Promise<Value | undefined> {
    this.#reads.add(asKey(key));
    const revision = this.#loaded.get(key) ?? (await noteReading(this.#loadOverReconnects(key)));
    if (isAnythingComputing()) noteFound(this.#context, key, revision.serial);
    if (this.#loaded.has(key)) return revision.give();
    this.#check();
    this.#loaded.set(key, revision);
    return revision.give();
  }

  async #loadOverReconnects(key: string): Promise<CachedRevision> {
    this.#check();
    const { connection, loader } = this.#core;
    const load = () => {
      this.#check();
      return loader.load(key, this.snapshot);
    };
    return connection.overReconnects(load, { signal: this.#options.signal });
  }

  async #afterValidation(key: string, accepted: Promise<unknown>, order: number): Promise<void> {
    const done = accepted.then((value) => {
      this.#checkWritable();
      this.#writes.set(key, encoded(key, value), order);
    });
    this.#validating.add(done);
    try {
      await done;
    } finally {
      this.#validating.delete(done);
    }
  }

  async #validated(): Promise<void> {
    if (this.#validating.size > 0) await this.#options.ending.sooner(Promise.all(this.#validating));
  }

  async #request(): Promise<CommitRequest> {
    await this.#validated();
    this.#check();
    const writes = this.#writes.all();
    const serializable = this.#options.isolation === "serializable";
    // The server validates a write as it validates a read. Sending the key twice would be useless.
    const reads = serializable ? [...this.#reads].filter((key) => !this.#writes.has(key)) : [];
    const ranges = serializable ? this.#ranges.map(({ from, to }) => ({ from, to })) : [];
    const keys = reads.length + writes.length;
    checkSize("keys of a transaction", keys, limits.transactionKeysMax);
    checkSize("ranges of a transaction", ranges.length, limits.transactionRangesMax);
    return { id: this.id, snapshot: this.snapshot, serializable, reads, ranges, writes };
  }

  #check(): void {
    const { signal, ending } = this.#options;
    if (signal?.aborted === true || ending.hasCome) noteMomentary();
    signal?.throwIfAborted();
    ending.check();
    if (this.#isEnded || this.#discards !== this.#core.discards) throw this.#unusable();
  }

  #checkWritable(): void {
    if (this.#options.readOnly) throw new ReadOnlyError({ who: "client" });
    if (this.#voted !== undefined) throw new ClosedError({ what: "voted transaction" });
    this.#check();
  }

  #unusable(): Error {
    noteMomentary();
    if (this.#isEnded) return new ClosedError({ what: "transaction" });
    // The snapshot may belong to a history that was replaced: `transact` begins again.
    return new SnapshotTooOldError({ snapshot: this.snapshot, floor: this.#core.cache.position.tid });
  }
}
