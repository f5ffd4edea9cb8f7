import type { AnyActor } from "xstate";
import { ClientCache, type AppliedInvalidation } from "../../storage/client-cache/client-cache.js";
import {
  asDurationIfGiven,
  ClosedError,
  DisconnectedError,
  endlessMs,
  InvalidOptionError,
  newSecret,
  publicId,
  silentLog,
  StaleError,
  tidZero,
  TimeoutError,
  type Random,
  type Clock,
  type Duration,
  type Log,
  type Tid,
  type Value,
} from "../../core/index.js";
import { ClientConnection, type ConnectionState } from "./connection.js";
import type { ClientStatus, ObjectClient, ReadOptions, ReadResult, TransactOptions } from "./interface.js";
import type { ClientCore, CommitUnderWay } from "./client-core.js";
import { clientBounds, type ClientBounds, type ObjectClientOptions } from "./options.js";
import { checkChoice, checkName } from "../../core/options.js";
import { Ending } from "./closing.js";
import { isAnythingComputing } from "../tracking/computations.js";
import { Loader } from "./loader.js";
import { transactionId, type Committed, type Invalidation, type Position, type ServerStatus } from "../protocol/messages.js";
import { NotedAges, noteFailure, noteFound, noteMomentary, noteUnderWay } from "./tracked-reads.js";
import type { ListOptions, Listing, Reader, Recipe, Transaction } from "./object-access.js";
import { ObjectTransaction, type Isolation, type TransactionOptions } from "./transaction.js";
import type { ServerLink } from "./server-link.js";
import { ValidatorTable, type AnySchema, type UntypedSchema } from "../protocol/schema.js";
import { deadlineSignal, readWith, transactWith, type Attempts, type Transacted } from "./transact.js";
import { Waiting } from "./waiters.js";
import { Watchers, type Change } from "./watching.js";
import * as wire from "../protocol/codec.js";

export type { ClientStatus, ObjectClient, ReadOptions, ReadResult, TransactOptions } from "./interface.js";

/**
 * Opens a client over seams that are open. Resolves when it is verified; when the cache holds data, also once the first attempt to
 * connect has failed. Rejects with InvalidOptionError, the error of a server that refuses it, or DisconnectedError after waitTimeoutMs.
 */
export async function openObjectClient<Schema extends AnySchema = UntypedSchema>(
  options: ObjectClientOptions<Schema>,
): Promise<ObjectClient<Schema>> {
  checkName("realm", options.realm);
  checkName("storage", options.storage);
  checkName("client", options.client);
  checkChoice("readOnly", options.readOnly, [true, false]);
  checkChoice("onOtherHistory", options.onOtherHistory, ["refuse", "discard"]);
  const bounds = clientBounds(options);
  const validators = new ValidatorTable(options.schemas);
  const log = options.log ?? silentLog;
  const { realm, storage, clock, cacheBytesMax, memoryBytesMax } = { ...options, ...bounds };
  const opening = ClientCache.open({ storage, realm, clock, log, open: options.cache, cacheBytesMax, memoryBytesMax });
  const cache = await opening.catch(async (error: unknown) => {
    await options.release?.();
    throw error;
  });
  const client = new TheClient(options as unknown as ObjectClientOptions<UntypedSchema>, bounds, cache, validators, log);
  try {
    await client.opened();
  } catch (error) {
    await client.close();
    throw error;
  }
  return client as unknown as ObjectClient<Schema>;
}

class TheClient implements ObjectClient, ClientCore {
  readonly client: string;
  readonly storage: string;
  readonly cache: ClientCache;
  readonly connection: ClientConnection;
  readonly loader: Loader;
  readonly validators: ValidatorTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly waitTimeoutMs: number;
  readonly commits = new Map<string, CommitUnderWay>();
  readonly #options: ObjectClientOptions<UntypedSchema>;
  readonly #bounds: ClientBounds;
  readonly #watchers = new Watchers();
  readonly #moved: Waiting;
  readonly #listeners = new Set<(state: ConnectionState) => void>();
  /** Transactions and commits under way, until their outcome is known: `close` waits for them. */
  readonly #underWay = new Set<Promise<unknown>>();
  /** Comes at once with `close`, for what only reads; for what may still commit, when `close` has waited long enough. */
  readonly #endingReads = new Ending();
  readonly #ages: NotedAges;
  readonly #ending = new Ending();
  /** Hash of the client's secret. */
  readonly #owner: string;
  #transactions = 0;
  #history = 0;
  #discards = 0;
  #lastCommit: Tid = tidZero;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: ObjectClientOptions<UntypedSchema>, bounds: ClientBounds, cache: ClientCache, validators: ValidatorTable, log: Log) {
    const { realm, storage, client, transport, clock, random } = options;
    this.client = client;
    this.storage = storage;
    this.cache = cache;
    this.validators = validators;
    this.clock = clock;
    this.random = random;
    this.log = log;
    this.waitTimeoutMs = bounds.waitTimeoutMs;
    this.#options = options;
    this.#bounds = bounds;
    this.#moved = new Waiting(clock);
    const clientSecret = newSecret(random);
    this.#owner = publicId(clientSecret);
    this.connection = new ClientConnection({
      realm,
      storage,
      client,
      clientSecret,
      readOnly: options.readOnly ?? false,
      onOtherHistory: options.onOtherHistory ?? "refuse",
      transport,
      cache,
      clock,
      random,
      log,
      requestTimeoutMs: bounds.requestTimeoutMs,
      heartbeatTimeoutMs: bounds.heartbeatTimeoutMs,
      waitTimeoutMs: bounds.waitTimeoutMs,
      onApplied: (invalidation) => this.#applied(invalidation),
      onDiscarded: (otherHistory) => this.#discarded(otherHistory),
      onState: (state) => {
        const { refusal } = this.connection;
        if (refusal !== undefined) this.#moved.fail(refusal);
        for (const listener of this.#listeners) listener(state);
      },
      register: (name, actor, describe) => this.register(name, actor, () => ({ ...describe(), ...this.#shown() })),
    });
    this.#ages = new NotedAges(cache, clock, () => this.connection.staleMs);
    this.loader = new Loader({
      cache,
      link: () => this.connection.link,
      address: () => transport.address,
      loadsInFlightMax: bounds.loadsInFlightMax,
    });
  }

  async opened(): Promise<void> {
    const { transport } = this.#options;
    this.connection.start();
    const connected = this.connection.connected();
    if (this.cache.isNew) {
      await connected;
      return;
    }
    // With data to serve, a server that is not there, or refuses, is no reason not to open.
    connected.catch(() => undefined);
    if (transport.status === "connected") await Promise.race([connected, this.connection.firstFailed]);
  }

  get history(): number {
    return this.#history;
  }

  get discards(): number {
    return this.#discards;
  }

  get state(): ConnectionState {
    return this.connection.state;
  }

  get isConnected(): boolean {
    return this.connection.isConnected;
  }

  get position(): Position {
    return this.cache.position;
  }

  async connected(timeoutMs?: Duration, signal?: AbortSignal): Promise<void> {
    await noteFailure(this.connection.connected(asDurationIfGiven(timeoutMs, "timeoutMs", endlessMs), signal));
  }

  transact<T>(fn: (tx: Transaction<UntypedSchema>) => Promise<T> | T, options: TransactOptions = {}): Promise<Transacted<T>> {
    return this.track(this.#transact(fn, options));
  }

  read<T>(fn: (reader: Reader<UntypedSchema>) => Promise<T> | T, options: ReadOptions = {}): Promise<ReadResult<T>> {
    return noteUnderWay(this.#read(fn, options));
  }

  async #read<T>(fn: (reader: Reader<UntypedSchema>) => Promise<T> | T, options: ReadOptions): Promise<ReadResult<T>> {
    const timeoutMs = asDurationIfGiven(options.timeoutMs, "timeoutMs", endlessMs);
    const maxStaleMs = asDurationIfGiven(options.maxStaleMs, "maxStaleMs", endlessMs);
    const { signal, clear } = deadlineSignal(this.clock, "read", timeoutMs, options.signal);
    try {
      // What is as new as its call is old for the next one, from the moment on at which the server is asked.
      const agedMs = options.serverSync === true ? 0 : maxStaleMs;
      if (agedMs === 0) noteMomentary();
      await noteFailure(this.#endingReads.sooner(this.#fresh(options, maxStaleMs, signal)));
      if (agedMs !== undefined) this.#ages.note(agedMs);
      const { value, snapshot, loads } = await readWith(this.#readAttempts(signal), fn);
      return { value, asOf: snapshot, connected: this.connection.isConnected, loads };
    } finally {
      clear();
    }
  }

  async begin(
    options: { readonly isolation?: Isolation | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ObjectTransaction> {
    checkChoice("isolation", options.isolation, ["serializable", "snapshot"]);
    const beginning = this.#begin({
      isolation: options.isolation ?? "serializable",
      readOnly: this.#options.readOnly ?? false,
      signal: options.signal,
      ending: this.#ending,
    });
    return noteUnderWay(beginning);
  }

  get(key: string) {
    // Outside of a transaction a read is a snapshot of its own; what is current here needs no snapshot to be kept for it.
    if (!this.#isClosed && this.cache.position.tid >= this.#lastCommit) {
      const snapshot = this.cache.position.tid;
      const revision = this.cache.find(key, snapshot);
      if (revision !== undefined && isAnythingComputing())
        noteFound({ cache: this.cache, snapshot, ticket: undefined }, key, revision.serial);
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
    // A result that is made of changes is as old as they are.
    noteMomentary();
    if (this.#isClosed) throw new ClosedError({ what: "client" });
    return this.#watchers.watch(prefix, options.signal);
  }

  onState(listener: (state: ConnectionState) => void): () => void {
    const own = (state: ConnectionState) => listener(state);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  status(): ClientStatus {
    const { connection, cache } = this;
    const machines: Record<string, string> = { connection: this.state, "cache-verification": connection.verifying ?? "none" };
    for (const { actor } of this.commits.values()) machines[actor.id] = JSON.stringify(actor.getSnapshot().value);
    return {
      client: this.client,
      realm: this.#options.realm,
      storage: this.storage,
      state: this.state,
      address: connection.address,
      instance: connection.link?.instance,
      position: cache.position,
      asOf: cache.asOf,
      heardMsAgo: connection.heardMsAgo,
      verification: connection.verification,
      problem: connection.isConnected ? undefined : connection.problem?.message,
      cache: cache.stats(),
      inFlight: { requests: connection.link?.inFlight ?? 0, loads: this.loader.inFlight, commits: this.commits.size },
      early: connection.intake.early,
      watchers: this.#watchers.count,
      machines,
    };
  }

  serverStatus(signal?: AbortSignal): Promise<ServerStatus> {
    const ask = (link: ServerLink) => link.request("status", wire.session.write({ session: link.session }), wire.serverStatus);
    return noteFailure(this.connection.overReconnects(ask, { signal }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  kill(): void {
    this.#isClosed = true;
    const closed = new ClosedError({ what: "client" });
    this.#endingReads.end(closed);
    this.#ending.end(closed);
    this.#watchers.close();
    this.#ages.close();
    // Without a link nothing that is given up is sent.
    this.connection.stop();
    for (const commit of this.commits.values()) {
      commit.abandon();
      commit.giveUp();
    }
    this.#moved.fail(closed);
    this.#closing ??= this.cache.abandon().then(() => this.#options.release?.());
    this.#closing.catch((error: unknown) =>
      this.log.warn({ client: this.client, storage: this.storage, err: error }, "a killed client left something open"),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What its connection shows at its address, beside its state. */
  #shown(): Readonly<Record<string, Value>> {
    const { entries, bytes, memoryEntries, memoryBytes, hits, misses } = this.cache.stats();
    const { position, connection } = this;
    const held = { position: position.tid, entries, bytes, memoryEntries, memoryBytes, hits: hits.memory + hits.disk, misses };
    return connection.heardMsAgo === undefined ? held : { ...held, heardMsAgo: connection.heardMsAgo };
  }

  // ---- ClientCore

  nextTransactionId(): string {
    return transactionId(this.#owner, ++this.#transactions);
  }

  register(name: string, actor: AnyActor, describe: () => Readonly<Record<string, Value>>): () => void {
    return this.#options.system?.register(`client/${this.client}/${name}`, actor, { accepts: [], describe }) ?? (() => undefined);
  }

  async reached(tid: Tid, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const deadline = this.clock.monotonic() + timeoutMs;
    while (this.cache.position.tid < tid) {
      this.#checkOpen();
      const { refusal } = this.connection;
      if (refusal !== undefined) throw refusal;
      const late = () =>
        this.connection.isConnected
          ? new TimeoutError({ what: `transaction ${tid}`, timeoutMs })
          : new DisconnectedError({ address: this.connection.address });
      await this.#moved.wait(deadline - this.clock.monotonic(), late, signal);
    }
  }

  committed(committed: Committed, keys: Invalidation["keys"]): void {
    if (committed.tid > this.#lastCommit) this.#lastCommit = committed.tid;
    this.connection.intake.take([{ ...committed, keyCount: keys?.length ?? 0, keys }]);
    // No read begins before it is applied.
    if (this.cache.position.tid < committed.tid) this.cache.committedAhead(committed.tid, keys);
  }

  track<T>(promise: Promise<T>): Promise<T> {
    this.#underWay.add(promise);
    const forget = () => this.#underWay.delete(promise);
    promise.then(forget, forget);
    return promise;
  }

  // ----

  async #transact<T>(fn: (tx: Transaction<UntypedSchema>) => Promise<T> | T, options: TransactOptions): Promise<Transacted<T>> {
    checkChoice("isolation", options.isolation, ["serializable", "snapshot"]);
    const { isolation = "serializable", attemptsMax = this.#bounds.transactAttemptsMax } = options;
    if (!(Number.isSafeInteger(attemptsMax) && attemptsMax > 0)) {
      throw new InvalidOptionError({ option: "attemptsMax", reason: "is not a whole number from 1" });
    }
    const timeoutMs = asDurationIfGiven(options.timeoutMs, "timeoutMs", endlessMs);
    const { signal, clear } = deadlineSignal(this.clock, "transact", timeoutMs, options.signal);
    try {
      const attempts = this.#attempts({ isolation, readOnly: this.#options.readOnly ?? false, signal, ending: this.#ending });
      return await transactWith(this, { ...attempts, attemptsMax }, fn);
    } finally {
      clear();
    }
  }

  #attempts(options: TransactionOptions): Attempts {
    const { signal, ending } = options;
    return { attemptsMax: this.#bounds.transactAttemptsMax, signal, ending, begin: () => this.#begin(options) };
  }

  #readAttempts(signal?: AbortSignal): Attempts {
    return this.#attempts({ isolation: "serializable", readOnly: true, signal, ending: this.#endingReads });
  }

  async #begin(options: TransactionOptions): Promise<ObjectTransaction> {
    const { signal } = options;
    try {
      this.#checkOpen();
      signal?.throwIfAborted();
      if (this.cache.position.tid < this.#lastCommit) await this.reached(this.#lastCommit, this.waitTimeoutMs, signal);
    } catch (error) {
      noteMomentary();
      throw error;
    }
    return new ObjectTransaction(this, options);
  }

  #readOnce<T>(fn: (reader: Reader<UntypedSchema>) => Promise<T>): Promise<T> {
    return noteUnderWay(readWith(this.#readAttempts(), fn).then(({ value }) => value));
  }

  /** Waits until the snapshot is as new as it was asked to be. */
  async #fresh(options: ReadOptions, maxStaleMs: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    const deadline = this.clock.monotonic() + this.waitTimeoutMs;
    const leftMs = () => deadline - this.clock.monotonic();
    if (options.after !== undefined) await this.reached(options.after, leftMs(), signal);
    if (options.serverSync === true) {
      const { tid } = await this.connection.synchronize(leftMs(), signal);
      await this.reached(tid, leftMs(), signal);
      return;
    }
    if (maxStaleMs === undefined || this.connection.staleMs <= maxStaleMs) return;
    try {
      const { tid } = await this.connection.synchronize(leftMs(), signal, maxStaleMs);
      await this.reached(tid, leftMs(), signal);
    } catch (error) {
      if (!(error instanceof DisconnectedError || error instanceof TimeoutError) || signal?.aborted === true) throw error;
      throw new StaleError({ staleMs: this.connection.staleMs, maxStaleMs });
    }
  }

  async *#list(prefix: string, options: ListOptions & { readonly signal?: AbortSignal | undefined }) {
    const { signal } = options;
    const tx = await noteUnderWay(this.#begin({ isolation: "serializable", readOnly: true, signal, ending: this.#endingReads }));
    try {
      yield* tx.list(prefix, options);
    } finally {
      tx.end();
    }
  }

  #applied(invalidation: AppliedInvalidation): void {
    if (this.#moved.count > 0) this.#moved.release();
    this.#watchers.applied(invalidation);
  }

  #discarded(otherHistory: boolean): void {
    this.#discards++;
    if (otherHistory) {
      this.#history++;
      this.#lastCommit = tidZero;
    }
    this.#moved.release();
    this.#watchers.reset();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ClosedError({ what: "client" });
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    // Of what changes from now on nothing will be heard.
    this.cache.reads.close();
    this.#ages.close();
    const closed = new ClosedError({ what: "client" });
    this.#endingReads.end(closed);
    this.#watchers.close();
    // What was voted and is not finished now never will be: those who wait for its objects need not wait for the time-out.
    for (const commit of this.commits.values()) commit.abandon();
    const deadline = this.clock.monotonic() + this.#bounds.closeTimeoutMs;
    const disconnect = () => {
      this.#ending.end(closed);
      this.connection.close();
      for (const commit of this.commits.values()) commit.giveUp();
    };
    const patience = this.clock.setTimeout(disconnect, this.#bounds.closeTimeoutMs);
    await Promise.allSettled([...this.#underWay, ...Array.from(this.commits.values(), ({ ended }) => ended)]);
    this.clock.clearTimeout(patience);
    disconnect();
    this.#moved.fail(closed);
    await this.cache.close();
    await this.#release(deadline - this.clock.monotonic());
  }

  /** Releases what was opened for this client. A link that hangs is given up by its pings, and not waited for beyond `timeoutMs`. */
  async #release(timeoutMs: number): Promise<void> {
    const released = this.#options.release?.();
    if (released === undefined) return;
    let timer: unknown;
    const timedOut = new Promise<void>((resolve) => {
      timer = this.clock.setTimeout(resolve, Math.max(1, timeoutMs));
    });
    try {
      await Promise.race([released, timedOut]);
    } finally {
      this.clock.clearTimeout(timer);
    }
  }
}
