import { ObjectStore } from "../../storage/objects/object-store.js";
import type { Message, Subscription } from "../../transport/transport.js";
import { type AnotherWriterError, DisconnectedError, limits, type NotAuthorizedError, ZooidError } from "../../core/index.js";
import { askForWriter, checkNoWriter, WriterWatch } from "../protocol/another-writer.js";
import { CommitQueue } from "./commit-queue.js";
import { CommitRequests } from "./commit-requests.js";
import { GroupCommit } from "./group-commit.js";
import { InvalidationPublisher } from "./invalidation-publisher.js";
import { type ServerRole, type ServerStatus, storageSubjects, type Writer } from "../protocol/messages.js";
import { OpenTransactions } from "./open-transactions.js";
import type { ServedStorageDeps, StorageParts } from "./parts.js";
import { StoragePruner } from "./pruner.js";
import { RefusedIds } from "./refused-ids.js";
import { RequestHandlers } from "./requests.js";
import { Sessions } from "./sessions.js";
import { Verdicts } from "./verdict.js";
import * as wire from "../protocol/codec.js";
import { writerProof } from "../protocol/writer-proof.js";

/** One storage of a server: its store, its clients, and the subjects of its requests. */
export class ServedStorage {
  readonly #deps: ServedStorageDeps;
  readonly #store: ObjectStore;
  readonly #sessions: Sessions;
  readonly #transactions: OpenTransactions;
  readonly #groupCommit: GroupCommit;
  readonly #pruner: StoragePruner;
  readonly #publisher: InvalidationPublisher;
  readonly #handlers: RequestHandlers;
  readonly #watch: WriterWatch;
  readonly #subscriptions: Subscription[] = [];
  readonly #unregister: (() => void)[] = [];
  readonly #subjects: ReturnType<typeof storageSubjects>;
  #heartbeat: unknown;
  /** Number of times that the transport was connected since the storage began to serve. */
  #links = 0;
  #isServing = false;

  /**
   * Opens the store and serves it, after the check that there is no other writer. Rejects with AnotherWriterError,
   * NotAuthorizedError, CapturedSubjectsError, InUseError, StoreError, or the signal's reason.
   */
  static async start(deps: ServedStorageDeps): Promise<ServedStorage> {
    if (!deps.options.readOnly) await checkNoWriter(deps, deps);
    const store = await ObjectStore.open(deps.options.store.open, {
      ...deps.options.store,
      storage: deps.storage,
      log: deps.log,
      clock: deps.clock,
    });
    const served = new ServedStorage(deps, store);
    try {
      await served.#serve();
    } catch (error) {
      served.kill();
      await store.close();
      throw error;
    }
    return served;
  }

  private constructor(deps: ServedStorageDeps, store: ObjectStore) {
    this.#deps = deps;
    this.#store = store;
    const { realm, storage, log, options } = deps;
    this.#subjects = storageSubjects(realm, storage);
    const parts: StorageParts = {
      ...deps,
      store,
      queue: new CommitQueue(options.commitQueueMax, options.commitsInAirBytesMax),
      refusedIds: new RefusedIds(),
      wake: () => this.#groupCommit.wake(),
      onFatal: (error) => {
        log.fatal({ err: error, storage }, "a storage ended");
        this.kill();
        deps.onFatal(error);
      },
    };
    this.#transactions = new OpenTransactions({
      ...parts,
      closeSession: (session) => this.#sessions.hung(session),
      fencesOf: (session) => this.#sessions.get(session)?.fences,
    });
    const transactions = this.#transactions;
    this.#sessions = new Sessions({ ...parts, abortTransactions: (session) => transactions.abortAllOf(session) });
    this.#publisher = new InvalidationPublisher(deps, this.#subjects.invalidations);
    this.#groupCommit = new GroupCommit({ ...parts, transactions, publish: (committed) => this.#publisher.publish(committed) });
    this.#pruner = new StoragePruner({
      ...parts,
      oldestSnapshot: () => this.#sessions.oldestSnapshot,
      maintain: (work) => this.#groupCommit.maintain(work),
    });
    this.#handlers = new RequestHandlers({
      ...parts,
      sessions: this.#sessions,
      commits: new CommitRequests({ ...parts, transactions }),
      verdicts: new Verdicts(store, { ...options.store, writes: !options.readOnly }),
      isInDoubt: () => this.#groupCommit.isInDoubt,
      status: () => this.status(),
      writer: (nonce) => this.#writer(nonce),
      register: (payload) => this.#register(payload),
    });
    this.#watch = new WriterWatch(deps, this.#role, (error) => this.#stopForOtherWriter(error));
  }

  /** Completes the open batch, writes the finishes in the queue, refuses all other commits, and publishes a goodbye. */
  async close(): Promise<void> {
    if (!this.#isServing) return;
    this.#stopListening();
    await this.#groupCommit.close();
    this.#publisher.send({ type: "goodbye", instance: this.#deps.instance });
    this.#stopActors();
    await this.#store.close();
  }

  /** Stops at once and sends nothing, as if the process were killed. */
  kill(): void {
    this.#stopListening();
    this.#groupCommit.stop();
    this.#stopActors();
  }

  status(): ServerStatus {
    const { clock, instance, storage, startedAt, startedMs } = this.#deps;
    const stats = this.#store.stats();
    const nowMs = clock.monotonic();
    return {
      instance,
      storage,
      readOnly: this.#isReadOnly,
      startedAt,
      uptimeMs: nowMs - startedMs,
      position: this.#store.position,
      tidsAheadMs: this.#store.tidsAheadMs,
      historyFloor: this.#store.historyFloor,
      idFloor: this.#store.idFloor,
      sessions: this.#sessions.first(limits.statusListMax).map((session) => ({
        client: session.client,
        session: session.id,
        state: session.actor.getSnapshot().value,
        sinceMs: nowMs - session.sinceMs,
        seenMsAgo: nowMs - session.heardAtMs,
        oldestSnapshot: session.oldestSnapshot,
      })),
      queue: stats.queue,
      outcomes: stats.outcomes,
      openTransactions: this.#transactions.describe(limits.statusListMax).map(({ id, session, state, sinceMs }) => ({
        id,
        client: this.#sessions.get(session)?.client ?? "",
        state,
        sinceMs: nowMs - sinceMs,
      })),
      machines: { "group-commit": this.#groupCommit.state, pruning: this.#pruner.state },
      counters: {
        ...this.#groupCommit.counters,
        ...this.#handlers.counters,
        objects: stats.objects,
        sessions: this.#sessions.count,
        openTransactions: this.#transactions.count,
        fences: stats.fences,
        pruned: this.#pruner.removed,
      },
    };
  }

  #counts(): Readonly<Record<string, number>> {
    return { ...this.#groupCommit.counters, tid: this.#store.position.tid, sessions: this.#sessions.count };
  }

  get #role(): ServerRole {
    const { options, takeOver } = this.#deps;
    if (options.readOnly) return "reader";
    return takeOver ? "takeover" : "writer";
  }

  #writer(nonce: string): Writer {
    const { realm, storage, instance, startedAt } = this.#deps;
    const writer = { instance, startedAt, role: this.#role, position: this.#store.position };
    return { ...writer, proof: writerProof(realm, storage, nonce, writer) };
  }

  get #isReadOnly(): boolean {
    return this.#deps.options.readOnly || this.#groupCommit.isReadOnly;
  }

  async #serve(): Promise<void> {
    const { transport, instance, system, storage, log, options } = this.#deps;
    const operation = this.#subjects.operation(instance, "*");
    const operationAt = operation.length - 1;
    this.#isServing = true;
    this.#subscriptions.push(
      transport.subscribe(operation, (message) => this.#handlers.handle(message.subject.slice(operationAt), message)),
      transport.subscribe(this.#subjects.register, (message) => this.#answer(message, () => this.#register(message.payload))),
    );
    if (!options.readOnly) {
      this.#subscriptions.push(
        transport.subscribe(this.#subjects.writer, (message) => {
          this.#answer(message, () => wire.writeAnswer(wire.writer, this.#writer(wire.challenge.read(message.payload).nonce)));
        }),
        transport.subscribe(this.#subjects.invalidations, (message) => this.#hear(message)),
      );
    }
    if (system !== undefined) {
      this.#unregister.push(
        system.register(`server/${storage}/group-commit`, this.#groupCommit.actor, { accepts: [], describe: () => this.#counts() }),
        system.register(`server/${storage}/pruning`, this.#pruner.actor, { accepts: ["PRUNE"] }),
      );
    }
    try {
      await transport.flush();
    } catch (error) {
      if (!(error instanceof DisconnectedError)) throw error;
      log.warn({ storage, address: transport.address }, "no link to the broker: clients will find the server when it is connected");
    }
    for (const { refused } of this.#subscriptions) if (refused !== undefined) throw refused;
    await this.#checkMaySend();
    // The heartbeat shows clients at once which tid they missed, and that earlier requests may be lost.
    this.#unregister.push(
      transport.onStatus((status) => {
        if (status !== "connected") return;
        this.#links++;
        this.#beat();
      }),
    );
    this.#beat();
    log.info({ storage, instance, tid: this.#store.position.tid, readOnly: options.readOnly }, "serving");
  }

  /**
   * Rejects with NotAuthorizedError when the broker refuses a message that this server must send: its heartbeats, by
   * which another writer notices it, the question whether another server writes, or the answer to this question. The
   * server asks itself the question here.
   */
  async #checkMaySend(): Promise<void> {
    const { transport, instance, options, signal } = this.#deps;
    const refusals: NotAuthorizedError[] = [];
    const stopListening = transport.onRefused?.((refusal) => refusals.push(refusal));
    if (stopListening === undefined) return;
    try {
      this.#beat();
      const subject = this.#subjects.operation(instance, "writer");
      const shown = options.readOnly ? undefined : await askForWriter(this.#deps, subject, signal);
      await transport.flush().catch(() => undefined);
      // Other users of this link may cause refusals too. But if no answer came, the broker refused the question or the
      // answer of this server.
      const refusal = shown?.type === "silence" ? refusals.at(-1) : refusals.find((each) => each.subject === this.#subjects.invalidations);
      if (refusal !== undefined) throw refusal;
    } finally {
      stopListening();
    }
  }

  #beat(): void {
    if (!this.#isServing) return;
    const { clock, instance, startedAt, options } = this.#deps;
    clock.clearTimeout(this.#heartbeat);
    const { position } = this.#store;
    const readOnly = this.#isReadOnly;
    this.#publisher.send({ type: "heartbeat", instance, startedAt, links: this.#links, readOnly, role: this.#role, position });
    this.#heartbeat = clock.setTimeout(() => this.#beat(), options.heartbeatIntervalMs);
  }

  #register(payload: Uint8Array): Uint8Array {
    const register = wire.register.read(payload);
    const { instance, options } = this.#deps;
    this.#sessions.open(register);
    return wire.writeAnswer(wire.registered, {
      instance,
      links: this.#links,
      readOnly: register.readOnly || this.#isReadOnly,
      position: this.#store.position,
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      keepAliveIntervalMs: options.keepAliveIntervalMs,
    });
  }

  #answer(message: Message, answer: () => Uint8Array): void {
    const { log } = this.#deps;
    if (message.reply === undefined) {
      log.debug({ subject: message.subject }, "a request without a reply subject was dropped");
      return;
    }
    let bytes: Uint8Array;
    try {
      bytes = answer();
    } catch (error) {
      if (!(error instanceof ZooidError)) log.error({ err: error, subject: message.subject }, "a request failed due to a bug");
      bytes = wire.writeError(error);
    }
    try {
      message.reply(bytes);
    } catch (error) {
      log.debug({ err: error, subject: message.subject }, "an answer could not be sent");
    }
  }

  #hear(message: Message): void {
    if (!wire.mayBeHeartbeat(message.payload)) return;
    const broadcast = wire.readOrDrop(wire.broadcast, message, this.#deps.log);
    if (broadcast !== undefined) this.#watch.heard(broadcast);
  }

  #stopForOtherWriter(error: AnotherWriterError): void {
    const { log, storage, onFatal } = this.#deps;
    log.fatal({ err: error, storage }, "another server writes this storage");
    this.close().then(
      () => onFatal(error),
      () => onFatal(error),
    );
  }

  #stopListening(): void {
    this.#isServing = false;
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe();
    for (const unregister of this.#unregister.splice(0)) unregister();
    this.#deps.clock.clearTimeout(this.#heartbeat);
    this.#watch.stop();
  }

  #stopActors(): void {
    this.#handlers.stop();
    this.#pruner.stop();
    this.#transactions.stop();
    this.#sessions.stop();
  }
}
