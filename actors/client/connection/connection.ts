/** The connection machine as it runs in a client: register, verify, keep alive, over a transport. */
import { createActor, fromCallback, fromPromise, type Actor, type AnyActor } from "xstate";
import { cacheVerificationMachine } from "../../../machines/client/cache-verification.js";
import {
  connectionMachine,
  type Asking,
  type ConnectionContext,
  type ConnectionProblem,
  type Registration,
  type Verified,
} from "../../../machines/client/connection.js";
import type { Subscription } from "../../../transport/transport.js";
import { ClosedError, deferred, limits, newSecret, retryDelay, ZooidError } from "../../../core/index.js";
import { AwaitedLink } from "./awaited-link.js";
import type { ClientConnectionOptions } from "./connection-options.js";
import { type ConnectionState, errorOfProblem, stateOf } from "./connection-snapshot.js";
import { InvalidationIntake, readerOver } from "./invalidations.js";
import { storageSubjects, type Broadcast, type Position } from "../../protocol/messages.js";
import { patientClock } from "./patient-clock.js";
import { Registering } from "./registering.js";
import { ServerLink } from "./server-link.js";
import { ServerPosition } from "./server-position.js";
import { ShownMachines } from "./shown-machines.js";
import { type Verification, Verifying } from "./verifying.js";
import * as wire from "../../protocol/codec.js";
import { WriterInquiry } from "./writer-inquiry.js";

export type { ConnectionState } from "./connection-snapshot.js";
export type { RegisterActor } from "./shown-machines.js";
export type { Verification } from "./verifying.js";

/**
 * A client waits for at least this many heartbeats, even if its time-out is shorter: one may be lost, and the next one
 * late.
 */
const silentHeartbeatsMin = 2.5;

/** One client's link to a storage server. It is made again after each loss, until the client ends. */
export class ClientConnection extends AwaitedLink {
  readonly intake: InvalidationIntake;
  readonly actor: Actor<typeof connectionMachine>;
  readonly #options: ClientConnectionOptions;
  readonly #subjects;
  readonly #broadcasts: Subscription;
  readonly #offStatus: () => void;
  /** `stop` was called. The machine itself stops only after the event that it is processing. */
  #isStopped = false;
  #link: ServerLink | undefined;
  #verification: Verification | undefined;
  readonly #shown: ShownMachines;
  readonly #firstFailed = deferred<void>();
  readonly #server: ServerPosition;
  readonly #verifying: Verifying;
  #registering: Registering | undefined;
  /** Secret of the next session. All requests until an answer carry the same secret, so that they open one session. */
  #sessionSecret: string | undefined;
  readonly #inquiry: WriterInquiry;
  /** Monotonic moment at which the server was last heard. */
  #heardAt: number | undefined;

  constructor(options: ClientConnectionOptions) {
    super(options);
    this.#options = options;
    this.#subjects = storageSubjects(options.realm, options.storage);
    const { cache } = options;
    this.#shown = new ShownMachines(options.register, () => ({ ...this.#who(), position: cache.position.tid }));
    this.#server = new ServerPosition({
      ...options,
      onAnswer: (link, position) => {
        if (link !== this.#link) return false;
        this.#heard(position);
        return this.isConnected;
      },
    });
    this.intake = new InvalidationIntake({
      ...options,
      onApplied: (invalidation) => {
        if (this.isConnected) this.#server.freshness.moved(cache.position.tid);
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
        if (this.state !== "closed") this.actor.send({ type: "WRITER_SHOWN", instance });
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
    let from = this.state;
    const changed = () => {
      const to = this.state;
      if (to !== from) this.#changed(from, to);
      from = to;
    };
    this.actor.subscribe({
      next: ({ children }) => {
        // The machine declares `children` with the type of a reference, but they are actors.
        this.#shown.showVerification(children.verification as AnyActor | undefined);
        changed();
      },
      error: (error) => {
        this.#options.log.fatal({ ...this.#who(), err: error }, "the connection machine stopped");
        changed();
      },
    });
    this.actor.start();
    if (this.#options.transport.status === "connected") this.actor.send({ type: "LINK_UP" });
  }

  get state(): ConnectionState {
    return this.#isStopped ? "closed" : stateOf(this.actor.getSnapshot());
  }

  get isConnected(): boolean {
    const snapshot = this.actor.getSnapshot();
    return snapshot.hasTag("connected") && snapshot.status === "active" && !this.#isStopped;
  }

  /** The verified link to the server; undefined while there is none. */
  get link(): ServerLink | undefined {
    return this.isConnected ? this.#link : undefined;
  }

  /** Address that the client is linked to, or tries to reach. For people. */
  get address(): string {
    return this.#options.transport.address;
  }

  protected get wasConnected(): boolean {
    return this.#verification !== undefined;
  }

  get verification(): Verification | undefined {
    return this.#verification;
  }

  /** State of the running verification; undefined when none runs. */
  get verifying(): string | undefined {
    return this.actor.getSnapshot().children.verification?.getSnapshot().value;
  }

  get heardMsAgo(): number | undefined {
    return this.#heardAt === undefined ? undefined : this.#options.clock.monotonic() - this.#heardAt;
  }

  /** Milliseconds since the cache last held all that the server had; Infinity if it never did. */
  get staleMs(): number {
    return this.#server.freshness.staleMs;
  }

  /** Resolves when the first attempt to connect has failed. */
  get firstFailed(): Promise<void> {
    return this.#firstFailed.promise;
  }

  /** Why the client is not connected. */
  get problem(): Error | undefined {
    return this.#problem(this.actor.getSnapshot().context);
  }

  /**
   * Asks for the server's position. Once the client has applied everything up to it, no read is older than this call
   * minus `maxStaleMs`. Sends one message, unless a message that was sent within `maxStaleMs` still waits for its
   * answer.
   */
  synchronize(timeoutMs: number, signal?: AbortSignal, maxStaleMs = 0): Promise<Position> {
    return this.overReconnects((link, leftMs) => this.#server.at(link, leftMs, signal, maxStaleMs), { timeoutMs, signal });
  }

  /** Ends the connection without a goodbye. Waiting calls reject with ClosedError. */
  stop(): void {
    this.#end();
    this.actor.stop();
    this.#link?.drop();
    this.#link = undefined;
    this.#isStopped = true;
    this.ready.fail(new ClosedError({ what: "client" }));
  }

  /** Says goodbye and ends the connection. Waiting calls reject with ClosedError. Idempotent. */
  close(): void {
    if (this.state === "closed") return;
    if (this.#link !== undefined && this.#options.transport.status === "connected") {
      try {
        this.#link.send("bye", wire.session.write({ session: this.#link.session }));
      } catch (error) {
        this.#options.log.debug({ ...this.#who(), err: error }, "the goodbye could not be sent");
      }
    }
    this.#end();
    this.actor.send({ type: "CLOSE" });
    this.ready.fail(new ClosedError({ what: "client" }));
  }

  /** Stops taking messages and showing machines. */
  #end(): void {
    this.#shown.hide();
    this.#offStatus();
    this.#broadcasts.unsubscribe();
    this.intake.stop();
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
        follow: (_, { how }) => this.#follow(how),
        releaseWaiters: () => this.ready.release(),
        failWaiters: ({ context }) => this.#failWaiters(context),
        reportFailure: () => this.#firstFailed.resolve(),
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
    const { transport } = this.#options;
    this.#registering = undefined;
    await transport.flush();
    // Without invalidations the cache cannot be trusted, and a registration is useless.
    if (this.#broadcasts.refused !== undefined) throw this.#broadcasts.refused;
    const sessionSecret = (this.#sessionSecret ??= newSecret(this.#options.random));
    const registering = new Registering(instance, { ...this.#options, sessionSecret });
    this.#registering = registering;
    const registered = await registering.registered();
    if (signal.aborted) throw this.disconnected();
    this.#registering = undefined;
    this.#sessionSecret = undefined;
    const onLost = (reason: string) => {
      if (this.#link === link) this.#lose(reason);
    };
    const link = new ServerLink({ ...registered, session: sessionSecret }, { ...this.#options, onLost });
    this.#link = link;
    this.intake.listen(readerOver(link));
    return { instance: link.instance, readOnly: link.readOnly };
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

  /** Fetches the missing invalidations up to `position`, which the server had when it sent the message. */
  #heard(position: Position): void {
    this.#heardAt = this.#options.clock.monotonic();
    this.intake.reach(position);
  }

  #lose(reason: string): void {
    this.#options.log.info({ ...this.#who(), instance: this.#link?.instance, reason }, "server lost");
    this.actor.send({ type: "SERVER_LOST", reason });
  }

  #dropLink(): void {
    this.#server.freshness.forgetAnswer();
    this.intake.stop();
    this.#link?.drop();
    this.#link = undefined;
  }

  #changed(from: ConnectionState, to: ConnectionState): void {
    const { log, cache, onState } = this.#options;
    const err = this.isConnected ? undefined : this.problem;
    log.info({ ...this.#who(), from, to, position: cache.position.tid, err }, "connection");
    onState(to);
  }

  #follow(how: Verified): void {
    this.#verification = this.#verifying.verified(how);
    this.#server.freshness.current(this.#verifying.comparedAt);
    this.intake.follow();
  }

  /** While an action runs, the actor's snapshot is the one before the transition. `context` is the current one. */
  #failWaiters(context: ConnectionContext): void {
    const refusal = this.#problem(context) ?? this.disconnected();
    this.ready.fail(refusal);
    this.#options.onRefused(refusal);
  }

  #registered(): ServerLink {
    if (this.#link === undefined) throw this.disconnected();
    return this.#link;
  }

  #who() {
    return { client: this.#options.client, storage: this.#options.storage };
  }

  /** The transport's problem while the transport has no link, else the problem of the last attempt. */
  #problem({ problem }: ConnectionContext): Error | undefined {
    const { transport } = this.#options;
    const ofTransport = transport.status === "disconnected" ? transport.problem : undefined;
    return ofTransport ?? this.#errorOf(problem);
  }

  #errorOf(problem: ConnectionProblem | undefined): Error | undefined {
    const { storage, cache } = this.#options;
    return errorOfProblem(problem, storage, cache.asOf.tid);
  }
}
