/** The connection machine as it runs in a client: register, verify, keep alive, over a transport. */
import { createActor, fromCallback, fromPromise, type Actor, type AnyActor } from "xstate";
import { cacheVerificationMachine } from "../../../machines/client/cache-verification.js";
import { connectionMachine, type Asking, type ConnectionProblem, type Registration } from "../../../machines/client/connection.js";
import type { ClientCache } from "../../../storage/client-cache/client-cache.js";
import type { Subscription, Transport } from "../../../transport/transport.js";
import { type Random, type Clock, ClosedError, limits, newSecret, type Log, ZooidError } from "../../../core/index.js";
import { AwaitedLink, type ConnectionState } from "./awaited-link.js";
import { errorOfProblem } from "./connection-problem.js";
import { InvalidationIntake } from "./invalidations.js";
import { storageSubjects, type Broadcast, type Position } from "../../protocol/messages.js";
import { patientClock } from "./patient-clock.js";
import { Registering } from "./registering.js";
import { retryDelay } from "../../../core/backoff.js";
import { ServerLink } from "./server-link.js";
import { ServerPosition } from "./server-position.js";
import { type RegisterActor, ShownMachines } from "./shown-machines.js";
import { type Verification, Verifying } from "./verifying.js";
import * as wire from "../../protocol/codec.js";
import { WriterInquiry } from "./writer-inquiry.js";

export type { ConnectionState } from "./awaited-link.js";
export type { RegisterActor } from "./shown-machines.js";
export type { Verification } from "./verifying.js";

/** Heartbeats of its server that a client waits for at least, whatever its time-out: one may be lost, and the next be late. */
const silentHeartbeatsMin = 2.5;

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

/** One client's link to a storage server, made again for as long as the client lives. */
export class ClientConnection extends AwaitedLink {
  readonly intake: InvalidationIntake;
  readonly actor: Actor<typeof connectionMachine>;
  readonly #options: ClientConnectionOptions;
  readonly #subjects;
  readonly #broadcasts: Subscription;
  readonly #offStatus: () => void;
  #state: ConnectionState = "disconnected";
  #link: ServerLink | undefined;
  #verification: Verification | undefined;
  readonly #shown: ShownMachines;
  readonly #firstFailed: Promise<void>;
  #tellFirstFailed: () => void = () => undefined;
  readonly #server: ServerPosition;
  readonly #verifying: Verifying;
  #registering: Registering | undefined;
  /** The next session's secret: the same until it was answered, so that all that was asked before opens one session. */
  #sessionSecret: string | undefined;
  readonly #inquiry: WriterInquiry;
  /** Monotonic moment at which the server was last heard. */
  #heardAt: number | undefined;

  constructor(options: ClientConnectionOptions) {
    super(options);
    this.#options = options;
    this.#subjects = storageSubjects(options.realm, options.storage);
    const { cache, clock, log, requestTimeoutMs } = options;
    this.#shown = new ShownMachines(options.register, () => ({ ...this.#who(), position: cache.position.tid }));
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
    this.#verifying = new Verifying({
      ...options,
      intake: this.intake,
      who: () => this.#who(),
      link: () => this.#registered(),
      checkLink: (link) => {
        if (link !== this.#link) throw this.disconnected();
      },
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
    this.#shown.showConnection(this.actor, () => ({
      ...this.#who(),
      instance: this.#link?.instance ?? null,
      problem: this.isConnected ? null : (this.problem?.message ?? null),
    }));
    this.actor.subscribe({
      next: ({ value, children }) => {
        // The child of a machine is an actor; its type says less.
        this.#shown.showVerification(children.verification as AnyActor | undefined);
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

  protected get wasConnected(): boolean {
    return this.#verification !== undefined;
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
    this.#shown.hide();
    this.#offStatus();
    this.#broadcasts.unsubscribe();
    this.intake.stop();
    this.actor.stop();
    this.#link?.drop();
    this.#link = undefined;
    this.#state = "closed";
    this.ready.fail(new ClosedError({ what: "client" }));
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
    this.#shown.hide();
    this.#offStatus();
    this.#broadcasts.unsubscribe();
    this.intake.stop();
    this.actor.send({ type: "CLOSE" });
    this.ready.fail(new ClosedError({ what: "client" }));
  }

  #createActor(): Actor<typeof connectionMachine> {
    const { log, clock, random } = this.#options;
    const logUnexpected = ({ event }: { event: { type: string } }) => log.debug({ ...this.#who(), event: event.type }, "unexpected event");
    const verification = cacheVerificationMachine.provide({
      actors: {
        compare: fromPromise(() => this.#verifying.compare()),
        replay: fromPromise(() => this.#verifying.replay()),
        discard: fromPromise(({ input }) => this.#verifying.discard(input)),
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
    if (signal.aborted) throw this.disconnected();
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

  #hear(message: Broadcast): void {
    const link = this.#link;
    switch (message.type) {
      case "invalidations":
        if (link?.instance === message.instance) this.intake.receive(message.transactions);
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
    if (this.isConnected) this.ready.release();
    else if (state === "refused") this.ready.fail(this.problem ?? this.disconnected());
    this.#options.onState(state);
  }

  #verified(): void {
    const output = this.actor.getSnapshot().context.verification;
    const how = output?.type === "verified" ? output.how : "upToDate";
    this.#verification = this.#verifying.verified(how);
    this.#server.freshness.current(this.#verifying.comparedAt);
    this.intake.follow();
  }

  #registered(): ServerLink {
    if (this.#link === undefined) throw this.disconnected();
    return this.#link;
  }

  #who() {
    return { client: this.#options.client, storage: this.#options.storage };
  }

  #errorOf(problem: ConnectionProblem | undefined): Error | undefined {
    const { storage, cache } = this.#options;
    return errorOfProblem(problem, storage, cache.asOf.tid);
  }
}

function stateOf(value: string | { readonly linked?: string }): ConnectionState {
  return (typeof value === "string" ? value : value.linked) as ConnectionState;
}
