/** The connection machine as it runs in a client: register, verify, keep alive, over a transport. */
import { createActor, fromCallback, fromPromise, type Actor, type AnyActor } from "xstate";
import { cacheVerificationMachine, type Comparison } from "../../machines/client/cache-verification.js";
import { connectionMachine, type Asking, type ConnectionProblem, type Registration } from "../../machines/client/connection.js";
import type { ClientCache } from "../../storage/client-cache/client-cache.js";
import type { Subscription, Transport } from "../../transport/transport.js";
import {
  asTid,
  BehindError,
  type Random,
  type Clock,
  ClosedError,
  DisconnectedError,
  limits,
  newSecret,
  type Log,
  OtherHistoryError,
  ReadOnlyError,
  ServerBehindError,
  ServerBusyError,
  tidZero,
  TimeoutError,
  ZooidError,
  type Value,
} from "../../core/index.js";
import { abortable } from "../../core/abortable.js";
import { InvalidationIntake } from "./invalidations.js";
import { storageSubjects, type Broadcast, type Position } from "../protocol/messages.js";
import { patientClock } from "./patient-clock.js";
import { Registering } from "./registering.js";
import { retryDelay } from "../../core/backoff.js";
import { ServerLink } from "./server-link.js";
import { ServerPosition } from "./server-position.js";
import { Waiting } from "./waiters.js";
import * as wire from "../protocol/codec.js";
import { WriterInquiry } from "./writer-inquiry.js";

/** Heartbeats of its server that a client waits for at least, whatever its time-out: one may be lost, and the next be late. */
const silentHeartbeatsMin = 2.5;

/** State of a connection, as its machine draws them; `verifying`, `readWrite` and `readOnly` are those of `linked`. */
export type ConnectionState = "disconnected" | "registering" | "verifying" | "readWrite" | "readOnly" | "backingOff" | "refused" | "closed";

export interface ClientConnectionOptions {
  readonly realm: string;
  readonly storage: string;
  readonly client: string;
  /** Ids of the client's transactions begin with the hash of it. */
  readonly clientSecret: string;
  readonly readOnly: boolean;
  readonly onOtherHistory: "refuse" | "discard";
  readonly transport: Transport;
  readonly cache: ClientCache;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly requestTimeoutMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly waitTimeoutMs: number;
  /** An invalidation was applied. */
  readonly onApplied: ConstructorParameters<typeof InvalidationIntake>[0]["onApplied"];
  /** All that was cached was dropped; `otherHistory`: because it belonged to another history. */
  readonly onDiscarded: (otherHistory: boolean) => void;
  readonly onState: (state: ConnectionState) => void;
  /** Gives an actor of the client its address, until the returned function is called. */
  readonly register: RegisterActor;
}

/** Gives the actor `name` of a client its address, and says what it shows beside its state. */
export type RegisterActor = (name: string, actor: AnyActor, describe: () => Readonly<Record<string, Value>>) => () => void;

/** How the cache was verified when the connection was last made. */
export interface Verification {
  readonly how: "upToDate" | "replayed" | "discarded";
  readonly transactions: number;
  readonly elapsedMs: number;
}

/** One client's link to a storage server, made again for as long as the client lives. */
export class ClientConnection {
  readonly intake: InvalidationIntake;
  readonly actor: Actor<typeof connectionMachine>;
  readonly #options: ClientConnectionOptions;
  readonly #subjects;
  readonly #ready: Waiting;
  readonly #broadcasts: Subscription;
  readonly #offStatus: () => void;
  #state: ConnectionState = "disconnected";
  #link: ServerLink | undefined;
  #verification: Verification | undefined;
  #comparedAt = 0;
  #replayed = 0;
  #shown: AnyActor | undefined;
  #verificationHidden: () => void = () => undefined;
  #hidden: () => void = () => undefined;
  readonly #firstFailed: Promise<void>;
  #tellFirstFailed: () => void = () => undefined;
  readonly #server: ServerPosition;
  #registering: Registering | undefined;
  /** The next session's secret: the same until it was answered, so that all that was asked before opens one session. */
  #sessionSecret: string | undefined;
  readonly #inquiry: WriterInquiry;
  /** Monotonic moment at which the server was last heard. */
  #heardAt: number | undefined;

  constructor(options: ClientConnectionOptions) {
    this.#options = options;
    this.#subjects = storageSubjects(options.realm, options.storage);
    this.#ready = new Waiting(options.clock);
    const { cache, clock, log, requestTimeoutMs } = options;
    this.#server = new ServerPosition({
      cache,
      clock,
      log,
      requestTimeoutMs,
      onAnswer: (link, position) => {
        if (link !== this.#link) return false;
        this.#heard(position);
        return this.isConnected;
      },
    });
    this.#firstFailed = new Promise((resolve) => {
      this.#tellFirstFailed = resolve;
    });
    this.intake = new InvalidationIntake({
      cache: options.cache,
      log: options.log,
      onApplied: (invalidation) => {
        if (this.isConnected) this.#server.freshness.moved(options.cache.position.tid);
        options.onApplied(invalidation);
      },
      onLost: (reason) => this.#lose(reason),
    });
    this.#inquiry = new WriterInquiry({
      ...options,
      who: () => this.#who(),
      onShown: (instance) => {
        if (this.#state !== "closed") this.actor.send({ type: "WRITER_SHOWN", instance });
      },
    });
    this.actor = this.#createActor();
    this.#broadcasts = options.transport.subscribe(this.#subjects.invalidations, (message) => {
      const broadcast = wire.readOrDrop(wire.broadcast, message, options.log);
      if (broadcast !== undefined) this.#hear(broadcast);
    });
    this.#offStatus = options.transport.onStatus((status) => {
      if (status === "connected") {
        this.#inquiry.linked();
        this.actor.send({ type: "LINK_UP" });
      } else this.actor.send({ type: "LINK_LOST" });
    });
  }

  start(): void {
    this.#hidden = this.#options.register("connection", this.actor, () => ({
      ...this.#who(),
      instance: this.#link?.instance ?? null,
      problem: this.isConnected ? null : (this.problem?.message ?? null),
    }));
    this.actor.subscribe({
      next: ({ value, children }) => {
        // The child of a machine is an actor; its type says less.
        this.#show(children.verification as AnyActor | undefined);
        this.#entered(stateOf(value));
      },
      error: (error) => {
        this.#options.log.fatal({ ...this.#who(), err: error }, "the connection machine stopped");
        this.#entered("closed");
      },
    });
    this.actor.start();
    if (this.#options.transport.status === "connected") this.actor.send({ type: "LINK_UP" });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The link to the server, verified; undefined while there is none. */
  get link(): ServerLink | undefined {
    return this.isConnected ? this.#link : undefined;
  }

  /** Where it is linked to, or tries to be, for people. */
  get address(): string {
    return this.#options.transport.address;
  }

  get isConnected(): boolean {
    return this.#state === "readWrite" || this.#state === "readOnly";
  }

  get verification(): Verification | undefined {
    return this.#verification;
  }

  /** State of the verification that runs now. */
  get verifying(): string | undefined {
    return this.actor.getSnapshot().children.verification?.getSnapshot().value;
  }

  get heardMsAgo(): number | undefined {
    return this.#heardAt === undefined ? undefined : this.#options.clock.monotonic() - this.#heardAt;
  }

  /** Milliseconds since the cache was last known to hold all that the server had; Infinity when it never was. */
  get staleMs(): number {
    return this.#server.freshness.staleMs;
  }

  /** Resolves when the first attempt to connect has failed. */
  get firstFailed(): Promise<void> {
    return this.#firstFailed;
  }

  /**
   * The link, waited for at most `timeoutMs`. Rejects with DisconnectedError after it, or with ServerBusyError when a server is there and
   * has no room; at once with the error of a server that refused this client for good, with ClosedError, or with the signal's reason.
   */
  async connected(timeoutMs = this.#options.waitTimeoutMs, signal?: AbortSignal): Promise<ServerLink> {
    for (;;) {
      const { link } = this;
      if (link !== undefined) return link;
      if (this.#state === "closed") throw new ClosedError({ what: "client" });
      const { refusal } = this;
      if (refusal !== undefined) throw refusal;
      const since = this.#options.clock.monotonic();
      await this.#ready.wait(timeoutMs, () => this.#unconnected(), signal);
      timeoutMs -= this.#options.clock.monotonic() - since;
    }
  }

  /** As `connected`, but a server that refuses this client is waited for too: it may be repaired, or be the wrong one of two. */
  async connectedInTime(timeoutMs: number): Promise<ServerLink> {
    const { clock } = this.#options;
    const deadline = clock.monotonic() + timeoutMs;
    const leftMs = () => deadline - clock.monotonic();
    for (;;) {
      try {
        return await this.connected(leftMs());
      } catch (error) {
        if (leftMs() <= 0 || this.#state === "closed") throw error;
        // Until the next answer of a server, whatever it is.
        if (this.#state === "refused") await this.#ready.wait(leftMs(), () => this.#disconnected()).catch(() => undefined);
      }
    }
  }

  /** As `connected`, for a write. Throws ReadOnlyError when the client or the server is. */
  async writable(timeoutMs?: number, signal?: AbortSignal): Promise<ServerLink> {
    if (this.#options.readOnly) throw new ReadOnlyError({ who: "client" });
    const link = await this.connected(timeoutMs, signal);
    if (this.#state === "readOnly") throw new ReadOnlyError({ who: "server" });
    return link;
  }

  /**
   * What `attempt` comes to on the verified link. One that fails with its link, or has no answer in time, is made again on the next
   * one, for at most `timeoutMs` in all. Rejects as `connected` does, with what `attempt` rejects with, or with the signal's reason.
   */
  async overReconnects<T>(
    attempt: (link: ServerLink, leftMs: number) => Promise<T>,
    { timeoutMs = this.#options.waitTimeoutMs, signal }: { readonly timeoutMs?: number; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    const { clock, random } = this.#options;
    const deadline = clock.monotonic() + timeoutMs;
    const leftMs = () => deadline - clock.monotonic();
    for (let failures = 1; ; failures++) {
      const link = await this.connected(leftMs(), signal);
      try {
        return await abortable(attempt(link, leftMs()), signal);
      } catch (error) {
        const isOfLink = error instanceof DisconnectedError || error instanceof TimeoutError;
        if (!isOfLink || signal?.aborted === true || leftMs() <= 0) throw error;
      }
      // A link may stand, and fail each request at once. A new link, and the end of the client, end the pause.
      const pauseMs = Math.min(retryDelay(failures, random), Math.max(0, leftMs()));
      await this.#ready.wait(pauseMs, () => this.#disconnected(), signal).catch(() => signal?.throwIfAborted());
    }
  }

  /** Why the server refuses this client; undefined while it does not. */
  get refusal(): Error | undefined {
    return this.#state === "refused" ? this.problem : undefined;
  }

  /** Why it is not connected. */
  get problem(): Error | undefined {
    const { transport } = this.#options;
    const ofLink = transport.status === "disconnected" ? transport.problem : undefined;
    return ofLink ?? this.#errorOf(this.actor.getSnapshot().context.problem);
  }

  /**
   * Where the server stands: a client that has applied up to it reads nothing older than this call, less `maxStaleMs`. Sends one message,
   * unless one that was sent within maxStaleMs is about to be answered.
   */
  synchronize(timeoutMs: number, signal?: AbortSignal, maxStaleMs = 0): Promise<Position> {
    return this.overReconnects((link, leftMs) => this.#server.at(link, leftMs, signal, maxStaleMs), { timeoutMs, signal });
  }

  /** Ends it without a word. Those who wait get ClosedError. */
  stop(): void {
    this.#hide();
    this.#offStatus();
    this.#broadcasts.unsubscribe();
    this.intake.stop();
    this.actor.stop();
    this.#link?.drop();
    this.#link = undefined;
    this.#state = "closed";
    this.#ready.fail(new ClosedError({ what: "client" }));
  }

  /** Says goodbye, and ends it. Those who wait get ClosedError. Idempotent. */
  close(): void {
    if (this.#state === "closed") return;
    if (this.#link !== undefined && this.#options.transport.status === "connected") {
      try {
        this.#link.tell("bye", wire.session.write({ session: this.#link.session }));
      } catch (error) {
        this.#options.log.debug({ ...this.#who(), err: error }, "goodbye could not be said");
      }
    }
    this.#hide();
    this.#offStatus();
    this.#broadcasts.unsubscribe();
    this.intake.stop();
    this.actor.send({ type: "CLOSE" });
    this.#ready.fail(new ClosedError({ what: "client" }));
  }

  #createActor(): Actor<typeof connectionMachine> {
    const { log, clock, random } = this.#options;
    const logUnexpected = ({ event }: { event: { type: string } }) => log.debug({ ...this.#who(), event: event.type }, "unexpected event");
    const verification = cacheVerificationMachine.provide({
      actors: {
        compare: fromPromise(() => this.#compare()),
        replay: fromPromise(() => this.#replay()),
        discard: fromPromise(({ input }) => this.#discard(input)),
      },
      actions: { logUnexpected },
    });
    const machine = connectionMachine.provide({
      actors: {
        register: fromPromise<Registration, Asking>(({ input, signal }) => this.#register(input.instance, signal)),
        verify: verification,
        keepAlive: fromCallback(() => this.#server.keepAlive(this.#registered(), this.#who())),
      },
      actions: {
        dropLink: () => this.#dropLink(),
        askAgain: () => this.#registering?.again(),
        askWhetherItWrites: (_, { instance }) => void this.#inquiry.ask(instance),
        logUnexpected,
      },
      guards: {
        isTransient: (_, problem: ConnectionProblem) => {
          const error = this.#errorOf(problem);
          return error instanceof ZooidError && error.transient;
        },
      },
      delays: {
        retryDelay: ({ context }) => retryDelay(context.failures, random),
        refusalDelay: () => limits.retryDelayMsMax * (0.5 + random.fraction()),
        heartbeatTimeout: () => Math.max(this.#options.heartbeatTimeoutMs, silentHeartbeatsMin * (this.#link?.heartbeatIntervalMs ?? 0)),
      },
    });
    return createActor(machine, {
      id: `client/${this.#options.client}/connection`,
      clock: patientClock(clock),
      input: { readOnly: this.#options.readOnly, onOtherHistory: this.#options.onOtherHistory },
    });
  }

  async #register(instance: string | undefined, signal: AbortSignal): Promise<Registration> {
    const { transport, requestTimeoutMs, realm, storage } = this.#options;
    this.#registering = undefined;
    await transport.flush();
    // Without invalidations nothing in the cache could be believed: being registered would be of no use.
    if (this.#broadcasts.refused !== undefined) throw this.#broadcasts.refused;
    const sessionSecret = (this.#sessionSecret ??= newSecret(this.#options.random));
    const registering = new Registering(instance, { ...this.#options, sessionSecret });
    this.#registering = registering;
    const registered = await registering.registered();
    if (signal.aborted) throw this.#disconnected();
    this.#registering = undefined;
    this.#sessionSecret = undefined;
    const link = new ServerLink(
      { ...registered, session: sessionSecret },
      {
        realm,
        storage,
        transport,
        requestTimeoutMs,
        onLost: (reason) => {
          if (this.#link === link) this.#lose(reason);
        },
      },
    );
    this.#link = link;
    this.intake.listen({
      log: (after) => link.request("log", wire.logRequest.write({ session: link.session, after }), wire.logPage),
      keys: async (tid, from) => {
        const page = await link.request("keys", wire.keysRequest.write({ session: link.session, tid, from }), wire.keysPage);
        return page.keys;
      },
    });
    return link;
  }

  async #compare(): Promise<Comparison> {
    this.#comparedAt = this.#options.clock.monotonic();
    this.#replayed = 0;
    const link = this.#registered();
    const { position, asOf } = this.#options.cache;
    return link.request("verify", wire.verify.write({ session: link.session, position, asOf }), wire.verdict);
  }

  async #replay(): Promise<void> {
    const link = this.#registered();
    this.#replayed = await this.intake.replay();
    if (link !== this.#link) throw this.#disconnected();
  }

  async #discard(comparison: Comparison): Promise<void> {
    const link = this.#registered();
    const otherHistory = comparison.type !== "discard";
    const { log, cache } = this.#options;
    // A client that begins has nothing to lose.
    if (cache.position.tid !== tidZero) {
      log.warn({ ...this.#who(), from: cache.position.tid, to: comparison.position.tid, otherHistory }, "cache discarded");
    }
    const isOnDisk = cache.discard({ tid: asTid(comparison.position.tid), digest: comparison.position.digest });
    // The position is of the new history already. A link that comes up before the disk has it must find no transaction of the old one.
    this.#options.onDiscarded(otherHistory);
    await isOnDisk;
    if (link !== this.#link) throw this.#disconnected();
  }

  #hear(message: Broadcast): void {
    const link = this.#link;
    switch (message.type) {
      case "invalidations":
        if (link?.instance === message.instance) this.intake.take(message.transactions);
        return;
      case "heartbeat":
        if (link?.instance === message.instance) {
          link.heardLinks(message.links);
          this.#heard(message.position);
        }
        this.actor.send({ type: "SERVER_HEARD", instance: message.instance, readOnly: message.readOnly });
        return;
      case "goodbye":
        if (link?.instance === message.instance) this.#lose("it said goodbye");
        return;
    }
  }

  /** The server stands there, or did when it said so: what is missing up to it is fetched. */
  #heard(position: Position): void {
    this.#heardAt = this.#options.clock.monotonic();
    this.intake.reach(position);
  }

  #lose(reason: string): void {
    this.#options.log.info({ ...this.#who(), instance: this.#link?.instance, reason }, "server lost");
    this.actor.send({ type: "SERVER_LOST", reason });
  }

  #dropLink(): void {
    this.#server.freshness.forgetTold();
    this.intake.stop();
    this.#link?.drop();
    this.#link = undefined;
  }

  #entered(state: ConnectionState): void {
    const from = this.#state;
    if (state === from) return;
    this.#state = state;
    const { log, cache } = this.#options;
    if (from === "verifying" && this.isConnected) this.#verified();
    log.info(
      { ...this.#who(), from, to: state, position: cache.position.tid, err: this.isConnected ? undefined : this.problem },
      "connection",
    );
    if (state === "backingOff" || state === "refused") this.#tellFirstFailed();
    if (this.isConnected) this.#ready.release();
    else if (state === "refused") this.#ready.fail(this.problem ?? this.#disconnected());
    this.#options.onState(state);
  }

  /** Gives the verification that runs now its address. */
  #show(verification: AnyActor | undefined): void {
    if (verification === this.#shown) return;
    this.#shown = verification;
    this.#verificationHidden();
    this.#verificationHidden =
      verification === undefined
        ? () => undefined
        : this.#options.register("cache-verification", verification, () => ({
            ...this.#who(),
            position: this.#options.cache.position.tid,
          }));
  }

  #hide(): void {
    this.#show(undefined);
    this.#hidden();
  }

  #verified(): void {
    const output = this.actor.getSnapshot().context.verification;
    const how = output?.type === "verified" ? output.how : "upToDate";
    const elapsedMs = this.#options.clock.monotonic() - this.#comparedAt;
    this.#verification = { how, transactions: this.#replayed, elapsedMs };
    this.#options.log.info({ ...this.#who(), ...this.#verification, position: this.#options.cache.position.tid }, "verified");
    this.#server.freshness.current(this.#comparedAt);
    this.intake.follow();
  }

  #registered(): ServerLink {
    if (this.#link === undefined) throw this.#disconnected();
    return this.#link;
  }

  #unconnected(): DisconnectedError | ServerBusyError {
    const { problem } = this;
    return problem instanceof ServerBusyError ? problem : this.#disconnected();
  }

  /** Says why, as far as it is known. */
  #disconnected(): DisconnectedError {
    const { problem } = this;
    const { address } = this.#options.transport;
    if (problem instanceof DisconnectedError) return new DisconnectedError({ address, reason: problem.reason }, problem.cause ?? problem);
    return new DisconnectedError({ address, reason: problem?.message }, problem);
  }

  #who() {
    return { client: this.#options.client, storage: this.#options.storage };
  }

  #errorOf(problem: ConnectionProblem | undefined): Error | undefined {
    if (problem === undefined) return undefined;
    if (problem.type === "failed") return problem.error instanceof Error ? problem.error : new Error(String(problem.error));
    const { storage, cache } = this.#options;
    const server = asTid(problem.comparison.position.tid);
    const last = cache.asOf.tid;
    if (problem.comparison.type === "otherHistory") return new OtherHistoryError({ storage, last });
    // A server that only reads may still reach it. One that writes has lost it, and its clock may be years before the client's last tid.
    if (problem.comparison.type === "behind") return new BehindError({ snapshot: last, last: server });
    return new ServerBehindError({ storage, last, server });
  }
}

function stateOf(value: string | { readonly linked?: string }): ConnectionState {
  return (typeof value === "string" ? value : value.linked) as ConnectionState;
}
