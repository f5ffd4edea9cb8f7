/** References to actors, in another process or in this one. */
import type { Transport } from "../../transport/transport.js";
import {
  ActorLostError,
  asDurationIfGiven,
  type Clock,
  ClosedError,
  DisconnectedError,
  type Duration,
  endlessMs,
  limits,
  type Log,
  NoActorError,
  ZooidError,
} from "../../core/index.js";
import {
  type ActorRequest,
  actorRequest,
  actorSubjects,
  actorView,
  type ActorView,
  machineDescription,
  type RemoteEvent,
} from "../protocol/actor-messages.js";
import { checkedDescription, type MachineDescription } from "./machine-description.js";
import { nothing, readAnswer, readOrDrop, type Codec } from "../protocol/codec.js";

/** Reference to an actor by its address. */
export interface RemoteActor {
  readonly path: string;

  /**
   * Resolves when the actor has processed `event`. Rejects with NoActorError, ActorLostError, NotAcceptedError,
   * InvalidEventError, ActorEndedError, ActorFailedError, TooLargeError, InvalidValueError, DisconnectedError,
   * TimeoutError.
   */
  send(event: RemoteEvent, options?: RemoteOptions): Promise<void>;

  /** The current view of the actor. Rejects with NoActorError, ActorLostError, DisconnectedError, TimeoutError. */
  snapshot(options?: RemoteOptions): Promise<ActorView>;

  /**
   * The machine of the actor, as `describeMachine` returns it, for a drawing; undefined if its logic is not a machine.
   * Rejects with the errors of `snapshot`, and with TooLargeError.
   */
  machine(options?: RemoteOptions): Promise<MachineDescription | undefined>;

  /**
   * Calls `listener` with the current view of the actor, then after changes: with the newest view only, and never with
   * an older view after a newer one. Calls `onLost` each time the actor cannot be reached. It asks again until the
   * returned function is called.
   */
  subscribe(listener: (view: ActorView) => void, onLost?: (error: ZooidError) => void): () => void;
}

/** Bounds of the wait for an answer. */
export interface RemoteOptions {
  /** Default: `limits.requestTimeoutMs`. With Infinity it waits until the connection is lost. */
  readonly timeoutMs?: Duration | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface ReferenceDeps {
  readonly realm: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
}

/** Sends requests to one address. `close` ends its watches. */
export class RemoteReference implements RemoteActor {
  readonly path: string;
  readonly #deps: ReferenceDeps;
  readonly #subjects: { readonly requests: string; readonly views: string };
  readonly #watches = new Set<Watch>();
  /** Whether the actor has answered this reference before. */
  #hasAnswered = false;
  #closed = false;

  constructor(path: string, deps: ReferenceDeps) {
    this.path = path;
    this.#deps = deps;
    this.#subjects = actorSubjects(deps.realm, path);
  }

  async send(event: RemoteEvent, options: RemoteOptions = {}): Promise<void> {
    await this.ask({ type: "send", event }, nothing, options);
  }

  snapshot(options: RemoteOptions = {}): Promise<ActorView> {
    return this.ask({ type: "view" }, actorView, options);
  }

  async machine(options: RemoteOptions = {}): Promise<MachineDescription | undefined> {
    return checkedDescription(await this.ask({ type: "machine" }, machineDescription, options));
  }

  subscribe(listener: (view: ActorView) => void, onLost?: (error: ZooidError) => void): () => void {
    this.#checkOpen();
    const renew = () => this.ask({ type: "watch" }, actorView, {});
    const watch = new Watch({ ...this.#deps, views: this.#subjects.views, path: this.path, renew, listener, onLost });
    this.#watches.add(watch);
    return () => {
      this.#watches.delete(watch);
      watch.close();
    };
  }

  close(): void {
    this.#closed = true;
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
  }

  async ask<T>(request: ActorRequest, answer: Codec<T>, options: RemoteOptions): Promise<T> {
    this.#checkOpen();
    const { transport, realm } = this.#deps;
    const payload = actorRequest.write(request);
    const { signal } = options;
    const timeoutMs = asDurationIfGiven(options.timeoutMs, "timeoutMs", endlessMs) ?? limits.requestTimeoutMs;
    try {
      const bytes = await transport.request(this.#subjects.requests, payload, { timeoutMs, signal });
      this.#hasAnswered = true;
      return readAnswer(answer, bytes);
    } catch (error) {
      if (!(error instanceof DisconnectedError && error.isUnheard)) throw error;
      throw this.#hasAnswered ? new ActorLostError({ actor: this.path }) : new NoActorError({ actor: this.path, realm });
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError({ what: "actor system" });
  }
}

interface WatchOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly path: string;
  readonly views: string;
  readonly renew: () => Promise<ActorView>;
  readonly listener: (view: ActorView) => void;
  readonly onLost: ((error: ZooidError) => void) | undefined;
}

/** One subscriber: renews its lease, and passes new views to its listener. */
class Watch {
  readonly #options: WatchOptions;
  readonly #views: { unsubscribe(): void };
  readonly #forgetStatus: () => void;
  #timer: unknown;
  #closed = false;
  #newest: ActorView | undefined;
  #renewals = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#views = options.transport.subscribe(options.views, (message) => {
      const view = readOrDrop(actorView, message, options.log);
      if (view !== undefined) this.#take(view);
    });
    this.#forgetStatus = options.transport.onStatus((status) => {
      if (status === "connected") void this.#renew();
    });
    void this.#renew();
  }

  close(): void {
    this.#closed = true;
    this.#views.unsubscribe();
    this.#forgetStatus();
    this.#options.clock.clearTimeout(this.#timer);
  }

  /** Never rejects. */
  async #renew(): Promise<void> {
    const { clock, transport, renew, onLost, log, path } = this.#options;
    clock.clearTimeout(this.#timer);
    this.#renewals += 1;
    const renewal = this.#renewals;
    try {
      // The broker must know the subscription before the actor publishes, or a change in between would be missed.
      await transport.flush();
      this.#take(await renew());
    } catch (error) {
      if (this.#closed) return;
      if (error instanceof ZooidError) onLost?.(error);
      else log.error({ err: error, actor: path }, "a watch could not be renewed");
    } finally {
      // A link that came back may have begun another renewal meanwhile, which goes on.
      if (!this.#closed && renewal === this.#renewals) {
        this.#timer = clock.setTimeout(() => void this.#renew(), limits.actorLeaseRenewalMs);
      }
    }
  }

  #take(view: ActorView): void {
    const newest = this.#newest;
    if (this.#closed || (newest?.registration === view.registration && view.version <= newest.version)) return;
    this.#newest = view;
    this.#options.listener(view);
  }
}
