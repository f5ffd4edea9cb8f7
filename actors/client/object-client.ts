import { ClientCache } from "../../storage/client-cache/client-cache.js";
import { asDurationIfGiven, endlessMs, InvalidOptionError, seamsOf, type Duration, type Tid } from "../../core/index.js";
import { type ConnectionState } from "./connection/connection.js";
import type { ClientStatus, ObjectClient, ReadOptions, ReadResult, TransactOptions } from "./interface.js";
import { clientBounds, type ObjectClientOptions } from "./options.js";
import { checkChoice, checkName, checkSeamsOverTransport } from "../../core/options.js";
import { isAnythingComputing } from "../tracking/computations.js";
import { OpenClient } from "./open-client.js";
import { type Position, type ServerStatus } from "../protocol/messages.js";
import { noteFailure, noteFound, noteMomentary, noteUnderWay } from "./tracked-reads.js";
import type { ListOptions, Listing, Reader, Recipe, Transaction } from "./object-access.js";
import { ObjectTransaction, type Isolation } from "./transaction.js";
import type { ServerLink } from "./connection/server-link.js";
import { ValidatorTable, type AnySchema, type UntypedSchema } from "../protocol/schema.js";
import { deadlineSignal, readWith, transactWith, type Transacted } from "./transact.js";
import { type Change } from "./watching.js";
import * as wire from "../protocol/codec.js";

export type { ClientStatus, ObjectClient, ReadOptions, ReadResult, TransactOptions } from "./interface.js";

/**
 * Opens a client over seams that are already open. Resolves when its cache is verified; if the cache holds data, also
 * when the first attempt to connect has failed. Rejects with InvalidOptionError, the error of a server that refuses the
 * client, or DisconnectedError after connectTimeoutMs.
 */
export async function openObjectClient<Schema extends AnySchema = UntypedSchema>(
  options: ObjectClientOptions<Schema>,
): Promise<ObjectClient<Schema>> {
  checkSeamsOverTransport(options);
  checkName("realm", options.realm);
  checkName("storage", options.storage);
  checkName("client", options.client);
  checkChoice("readOnly", options.readOnly, [true, false]);
  checkChoice("onOtherHistory", options.onOtherHistory, ["refuse", "discard"]);
  const bounds = clientBounds(options);
  const validators = new ValidatorTable(options.schemas);
  const { realm, storage } = options;
  const { clock, random, log } = seamsOf(options);
  const { cacheBytesMax, memoryBytesMax } = bounds;
  const opening = ClientCache.open({ storage, realm, clock, log, open: options.cache, cacheBytesMax, memoryBytesMax });
  const cache = await opening.catch(async (error: unknown) => {
    await options.release?.();
    throw error;
  });
  const given = options as unknown as ObjectClientOptions<UntypedSchema>;
  const core = new OpenClient({ ...given, clock, random, log }, bounds, cache, validators);
  try {
    await core.opened();
  } catch (error) {
    await core.close();
    throw error;
  }
  return new StorageClient(core) as unknown as ObjectClient<Schema>;
}

/** The client as its user sees it. */
class StorageClient implements ObjectClient {
  readonly #core: OpenClient;

  constructor(core: OpenClient) {
    this.#core = core;
  }

  get state(): ConnectionState {
    return this.#core.connection.state;
  }

  get isConnected(): boolean {
    return this.#core.connection.isConnected;
  }

  get position(): Position {
    return this.#core.cache.position;
  }

  async connected(timeoutMs?: Duration, signal?: AbortSignal): Promise<void> {
    await noteFailure(this.#core.connection.connected(asDurationIfGiven(timeoutMs, "timeoutMs", endlessMs), signal));
  }

  transact<T>(fn: (tx: Transaction<UntypedSchema>) => Promise<T> | T, options: TransactOptions = {}): Promise<Transacted<T>> {
    return this.#core.track(this.#transact(fn, options));
  }

  read<T>(fn: (reader: Reader<UntypedSchema>) => Promise<T> | T, options: ReadOptions = {}): Promise<ReadResult<T>> {
    return noteUnderWay(this.#read(fn, options));
  }

  async #read<T>(fn: (reader: Reader<UntypedSchema>) => Promise<T> | T, options: ReadOptions): Promise<ReadResult<T>> {
    const timeoutMs = asDurationIfGiven(options.timeoutMs, "timeoutMs", endlessMs);
    const maxStaleMs = asDurationIfGiven(options.maxStaleMs, "maxStaleMs", endlessMs);
    const { signal, clear } = deadlineSignal(this.#core.clock, "read", timeoutMs, options.signal);
    try {
      // A result that must be as new as its call is too old for the next call, from the moment at which the server is
      // asked.
      const agedMs = options.serverSync === true ? 0 : maxStaleMs;
      if (agedMs === 0) noteMomentary();
      await noteFailure(this.#core.endingReads.sooner(this.#core.fresh(options, maxStaleMs, signal)));
      if (agedMs !== undefined) this.#core.ages.note(agedMs);
      const { value, snapshot, loads } = await readWith(this.#core.readAttempts(signal, options.after), fn);
      return { value, asOf: snapshot, connected: this.#core.connection.isConnected, loads };
    } finally {
      clear();
    }
  }

  async begin(
    options: { readonly isolation?: Isolation | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ObjectTransaction> {
    checkChoice("isolation", options.isolation, ["serializable", "snapshot"]);
    const beginning = this.#core.begin({
      isolation: options.isolation ?? "serializable",
      readOnly: this.#core.options.readOnly ?? false,
      signal: options.signal,
      ending: this.#core.ending,
    });
    return noteUnderWay(beginning);
  }

  get(key: string) {
    // A read outside of a transaction has its own snapshot. A current revision needs no open snapshot.
    const core = this.#core;
    const { cache } = core;
    if (!core.isClosed && core.hasOwnCommits) {
      const snapshot = cache.position.tid;
      const revision = cache.find(key, snapshot);
      if (revision !== undefined && isAnythingComputing()) noteFound({ cache, snapshot, ticket: undefined }, key, revision.serial);
      if (revision !== undefined) return revision.shareable ? revision.promise : Promise.resolve(revision.give());
    }
    return this.#readOnce((reader) => reader.get(key));
  }

  getMany(keys: readonly string[]) {
    return this.#readOnce((reader) => reader.getMany(keys));
  }

  list<Prefix extends string>(
    prefix: Prefix,
    options: ListOptions & { readonly signal?: AbortSignal | undefined } = {},
  ): Listing<UntypedSchema, Prefix> {
    return this.#list(prefix, options) as Listing<UntypedSchema, Prefix>;
  }

  async put(key: string, value: unknown, options?: TransactOptions): Promise<Tid> {
    const { tid } = await this.transact((tx) => tx.put(key, value as never), options);
    return tid;
  }

  update(key: string, recipe: Recipe<never>, options?: TransactOptions): Promise<Transacted<never>> {
    return this.transact((tx) => tx.update(key, recipe as Recipe<UntypedSchema[string]>) as Promise<never>, options);
  }

  async delete(key: string, options?: TransactOptions): Promise<Tid> {
    const { tid } = await this.transact((tx) => tx.delete(key), options);
    return tid;
  }

  watch(prefix: string, options: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterableIterator<Change> {
    // A result that is computed from changes is valid for this moment only.
    noteMomentary();
    this.#core.checkOpen();
    return this.#core.watchers.watch(prefix, options.signal);
  }

  onState(listener: (state: ConnectionState) => void): () => void {
    return this.#core.onState(listener);
  }

  status(): ClientStatus {
    const { client, storage, options, connection, cache, loader, batches, commits, watchers } = this.#core;
    const machines: Record<string, string> = {
      connection: this.state,
      "cache-verification": connection.verifying ?? "none",
      committing: batches.state,
    };
    for (const { actor } of commits.values()) machines[actor.id] = JSON.stringify(actor.getSnapshot().value);
    return {
      client,
      realm: options.realm,
      storage,
      state: this.state,
      address: connection.address,
      instance: connection.link?.instance,
      position: cache.position,
      asOf: cache.asOf,
      heardMsAgo: connection.heardMsAgo,
      verification: connection.verification,
      problem: connection.isConnected ? undefined : connection.problem?.message,
      cache: cache.stats(),
      inFlight: { requests: connection.link?.inFlight ?? 0, loads: loader.inFlight, commits: batches.underWay + commits.size },
      early: connection.intake.early,
      watchers: watchers.count,
      machines,
    };
  }

  serverStatus(signal?: AbortSignal): Promise<ServerStatus> {
    const ask = (link: ServerLink) => link.request("status", wire.session.write({ session: link.session }), wire.serverStatus);
    return noteFailure(this.#core.connection.overReconnects(ask, { signal }));
  }

  close(): Promise<void> {
    return this.#core.close();
  }

  kill(): void {
    this.#core.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #transact<T>(fn: (tx: Transaction<UntypedSchema>) => Promise<T> | T, options: TransactOptions): Promise<Transacted<T>> {
    checkChoice("isolation", options.isolation, ["serializable", "snapshot"]);
    const { isolation = "serializable", attemptsMax = this.#core.bounds.transactAttemptsMax } = options;
    if (!(Number.isSafeInteger(attemptsMax) && attemptsMax > 0)) {
      throw new InvalidOptionError({ option: "attemptsMax", reason: "is not a whole number from 1" });
    }
    const timeoutMs = asDurationIfGiven(options.timeoutMs, "timeoutMs", endlessMs);
    const { signal, clear } = deadlineSignal(this.#core.clock, "transact", timeoutMs, options.signal);
    try {
      const attempts = this.#core.attempts({
        isolation,
        readOnly: this.#core.options.readOnly ?? false,
        signal,
        ending: this.#core.ending,
      });
      return await transactWith(this.#core, { ...attempts, attemptsMax }, fn);
    } finally {
      clear();
    }
  }

  #readOnce<T>(fn: (reader: Reader<UntypedSchema>) => Promise<T>): Promise<T> {
    return noteUnderWay(readWith(this.#core.readAttempts(), fn).then(({ value }) => value));
  }

  async *#list(prefix: string, options: ListOptions & { readonly signal?: AbortSignal | undefined }) {
    const { signal } = options;
    const tx = await noteUnderWay(this.#core.begin({ isolation: "serializable", readOnly: true, signal, ending: this.#core.endingReads }));
    try {
      yield* tx.list(prefix, options);
    } finally {
      tx.end();
    }
  }
}
