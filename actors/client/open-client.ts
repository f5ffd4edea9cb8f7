import type { AnyActor } from "xstate";
import { type AppliedInvalidation, ClientCache } from "../../storage/client-cache/client-cache.js";
import {
  ClosedError,
  detachedClock,
  DisconnectedError,
  newSecret,
  publicId,
  StaleError,
  tidZero,
  TimeoutError,
  type Random,
  type Clock,
  type Log,
  type Tid,
  type Value,
} from "../../core/index.js";
import { ClosingSignal } from "./closing.js";
import { ClientConnection, type ConnectionState } from "./connection/connection.js";
import { CommitBatches } from "./commit-batches.js";
import type { ClientCore, CommitUnderWay } from "./client-core.js";
import type { ReadOptions } from "./interface.js";
import { Loader } from "./loader.js";
import type { ClientBounds, OpenClientOptions } from "./options.js";
import { transactionId, type Committed, type Invalidation } from "../protocol/messages.js";
import type { ValidatorTable } from "../protocol/schema.js";
import { noNotes, type Notes } from "../record/notes.js";
import { NotedAges, noteMomentary } from "./tracked-reads.js";
import type { Attempts } from "./transact.js";
import { ObjectTransaction, type TransactionOptions } from "./transaction.js";
import { Waiting } from "./connection/waiters.js";
import { Watchers } from "./watching.js";

/** The parts of one client, from its opening to its end. Its user has an ObjectClient, and no access to these. */
export class OpenClient implements ClientCore {
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
  readonly notes: Notes;
  readonly batches: CommitBatches;
  readonly commits = new Map<string, CommitUnderWay>();
  readonly options: OpenClientOptions;
  readonly bounds: ClientBounds;
  readonly watchers = new Watchers();
  readonly #moved: Waiting;
  readonly #listeners = new Set<(state: ConnectionState) => void>();
  /** Transactions and commits without an outcome. `close` waits for them. */
  readonly #underWay = new Set<Promise<unknown>>();
  /** Ends reads. Comes at once with `close`. */
  readonly endingReads = new ClosingSignal();
  readonly ages: NotedAges;
  /** Ends transactions that may still commit. Comes when they have ended, or when `close` has waited long enough. */
  readonly ending = new ClosingSignal();
  /** Hash of the client's secret. */
  readonly #owner: string;
  #transactions = 0;
  #history = 0;
  #discards = 0;
  #lastCommit: Tid = tidZero;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: OpenClientOptions, bounds: ClientBounds, cache: ClientCache, validators: ValidatorTable) {
    const { storage, client, transport, clock, random, log } = options;
    this.client = client;
    this.storage = storage;
    this.cache = cache;
    this.validators = validators;
    this.clock = clock;
    this.random = random;
    this.log = log;
    this.waitTimeoutMs = bounds.waitTimeoutMs;
    this.notes = options.system?.notes ?? noNotes;
    this.options = options;
    this.bounds = bounds;
    this.#moved = new Waiting(clock);
    const clientSecret = newSecret(random);
    this.#owner = publicId(clientSecret);
    this.connection = new ClientConnection({
      ...options,
      ...bounds,
      clientSecret,
      readOnly: options.readOnly ?? false,
      onOtherHistory: options.onOtherHistory ?? "refuse",
      cache,
      clock: detachedClock(clock),
      onApplied: (invalidation) => this.#applied(invalidation),
      onDiscarded: (otherHistory) => this.#discarded(otherHistory),
      onState: (state) => {
        for (const listener of this.#listeners) listener(state);
      },
      onRefused: (error) => this.#moved.fail(error),
      register: (name, actor, describe) => this.register(name, actor, () => ({ ...describe(), ...this.#shown() })),
    });
    this.batches = new CommitBatches({ ...options, register: (name, actor, describe) => this.register(name, actor, describe) });
    this.ages = new NotedAges(cache, clock, () => this.connection.staleMs);
    this.loader = new Loader({
      cache,
      link: () => this.connection.link,
      address: () => transport.address,
      loadsInFlightMax: bounds.loadsInFlightMax,
    });
  }

  async opened(): Promise<void> {
    const { transport, onOpening } = this.options;
    this.connection.start();
    this.batches.start();
    onOpening?.(() => this.connection.whyNotConnected);
    const connected = this.#connected(this.bounds.connectTimeoutMs);
    if (this.cache.isNew) {
      await connected;
      return;
    }
    // A client whose cache holds data opens without a server, or with one that refuses it.
    connected.catch(() => undefined);
    if (transport.status === "connected") await Promise.race([connected, this.connection.firstFailed]);
  }

  /**
   * Waits until the connection is verified. With a time-out of 0, waits until the first attempt ends, at most as long
   * as a request.
   */
  async #connected(timeoutMs: number): Promise<void> {
    const { connection } = this;
    if (timeoutMs > 0 || this.options.transport.status !== "connected") {
      await connection.connected(timeoutMs);
      return;
    }
    const connected = connection.connected();
    await Promise.race([connected, connection.firstFailed.then(() => connection.connected(0))]);
  }

  get history(): number {
    return this.#history;
  }

  get discards(): number {
    return this.#discards;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The cache holds all commits of this client. */
  get hasOwnCommits(): boolean {
    return this.cache.position.tid >= this.#lastCommit;
  }

  onState(listener: (state: ConnectionState) => void): () => void {
    const own = (state: ConnectionState) => listener(state);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  nextTransactionId(): string {
    return transactionId(this.#owner, ++this.#transactions);
  }

  register(name: string, actor: AnyActor, describe: () => Readonly<Record<string, Value>>): () => void {
    return this.options.system?.register(`client/${this.client}/${name}`, actor, { accepts: [], describe }) ?? (() => undefined);
  }

  async reached(tid: Tid, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const deadline = this.clock.monotonic() + timeoutMs;
    while (this.cache.position.tid < tid) {
      this.checkOpen();
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
    this.connection.intake.receive([{ ...committed, keyCount: keys?.length ?? 0, keys }]);
    // The position is before the commit. Reads that begin from now on must not miss it.
    if (this.cache.position.tid < committed.tid) this.cache.committedAhead(committed.tid, keys);
  }

  track<T>(promise: Promise<T>): Promise<T> {
    this.#underWay.add(promise);
    const forget = () => this.#underWay.delete(promise);
    promise.then(forget, forget);
    return promise;
  }

  attempts(options: TransactionOptions): Attempts {
    const { signal, ending } = options;
    return { attemptsMax: this.bounds.transactAttemptsMax, signal, ending, begin: () => this.begin(options) };
  }

  /**
   * Attempts of a read. The snapshot of each one contains `after`: when the server's history is replaced, the next
   * attempt may begin before it and then waits.
   */
  readAttempts(signal?: AbortSignal, after = tidZero): Attempts {
    const attempts = this.attempts({ isolation: "serializable", readOnly: true, signal, ending: this.endingReads });
    const begin = async (): Promise<ObjectTransaction> => {
      for (;;) {
        const tx = await attempts.begin();
        if (tx.snapshot >= after) return tx;
        tx.end();
        await this.reached(after, this.waitTimeoutMs, signal);
      }
    };
    return { ...attempts, begin };
  }

  async begin(options: TransactionOptions): Promise<ObjectTransaction> {
    const { signal } = options;
    try {
      this.checkOpen();
      signal?.throwIfAborted();
      if (this.cache.position.tid < this.#lastCommit) await this.reached(this.#lastCommit, this.waitTimeoutMs, signal);
    } catch (error) {
      noteMomentary();
      throw error;
    }
    return new ObjectTransaction(this, options);
  }

  /** Waits until the snapshot is as new as `options` and `maxStaleMs` require. */
  async fresh(options: ReadOptions, maxStaleMs: number | undefined, signal: AbortSignal | undefined): Promise<void> {
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

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  kill(): void {
    this.#isClosed = true;
    const closed = new ClosedError({ what: "client" });
    this.endingReads.end(closed);
    this.ending.end(closed);
    this.watchers.close();
    this.ages.close();
    // Without a link, aborting sends nothing.
    this.connection.stop();
    this.batches.close();
    for (const commit of this.commits.values()) {
      commit.abandon();
      commit.giveUp();
    }
    this.#moved.fail(closed);
    this.#closing ??= this.cache.abandon().then(() => this.options.release?.());
    this.#closing.catch((error: unknown) =>
      this.log.warn({ client: this.client, storage: this.storage, err: error }, "a killed client left something open"),
    );
  }

  /** The facts that the connection shows at its address, beside its state. */
  #shown(): Readonly<Record<string, Value>> {
    const { entries, bytes, memoryEntries, memoryBytes, hits, misses } = this.cache.stats();
    const { connection } = this;
    const held = { position: this.cache.position.tid, entries, bytes, memoryEntries, memoryBytes, hits: hits.memory + hits.disk, misses };
    return connection.heardMsAgo === undefined ? held : { ...held, heardMsAgo: connection.heardMsAgo };
  }

  #applied(invalidation: AppliedInvalidation): void {
    if (this.#moved.count > 0) this.#moved.release();
    this.watchers.applied(invalidation);
    if (!this.notes.admits()) return;
    const { tid, keys } = invalidation;
    this.notes.note({ what: "applied", who: `client/${this.client}`, of: this.storage, number: tid, size: keys.length });
  }

  #discarded(otherHistory: boolean): void {
    this.#discards++;
    if (otherHistory) {
      this.#history++;
      this.#lastCommit = tidZero;
    }
    this.#moved.release();
    this.watchers.reset();
  }

  /** Throws ClosedError. */
  checkOpen(): void {
    if (this.#isClosed) throw new ClosedError({ what: "client" });
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    // From now on the client gets no invalidations.
    this.cache.reads.close();
    this.ages.close();
    const closed = new ClosedError({ what: "client" });
    this.endingReads.end(closed);
    this.watchers.close();
    // A vote that is not finished by now never will be. Aborting it frees its objects before the time-out.
    for (const commit of this.commits.values()) commit.abandon();
    const deadline = this.clock.monotonic() + this.bounds.closeTimeoutMs;
    const disconnect = () => {
      this.ending.end(closed);
      this.connection.close();
      this.batches.close();
      for (const commit of this.commits.values()) commit.giveUp();
    };
    const patience = this.clock.setTimeout(disconnect, this.bounds.closeTimeoutMs);
    await Promise.allSettled([...this.#underWay, ...Array.from(this.commits.values(), ({ ended }) => ended)]);
    this.clock.clearTimeout(patience);
    disconnect();
    this.#moved.fail(closed);
    await this.cache.close();
    await this.#release(deadline - this.clock.monotonic());
  }

  /** Releases the resources that were opened for this client. Waits at most `timeoutMs` for a link that hangs. */
  async #release(timeoutMs: number): Promise<void> {
    const released = this.options.release?.();
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
