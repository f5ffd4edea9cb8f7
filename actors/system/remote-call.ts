/** One request to an actor, sent until it has an answer: a lost answer or link does not end it. */
import type { Transport } from "../../transport/transport.js";
import {
  ActorLostError,
  type Clock,
  ClosedError,
  DisconnectedError,
  limits,
  NoActorError,
  onAbort,
  TimeoutError,
  ZooidError,
} from "../../core/index.js";
import type { Pulse, PulseMember } from "./pulse.js";

/** The address of a request, and how to reach it. */
export interface CallDeps {
  readonly path: string;
  readonly realm: string;
  readonly requests: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly pulse: Pulse;
}

export interface CallOptions {
  /** Id under which the actor's process knows it. Undefined: a repeat is a request like the first. */
  readonly request: string | undefined;
  /** The bytes to send. */
  readonly write: (isRepeat: boolean) => Uint8Array;
  /** The actor may have processed its event when there is no answer. */
  readonly hasEvent: boolean;
  /** Whether the actor has answered an earlier request. */
  readonly hasAnswered: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Resolves to the first answer. Rejects with NoActorError, ActorLostError, DisconnectedError, TimeoutError, the errors
 * of the transport, and the signal's reason.
 */
export function call(deps: CallDeps, options: CallOptions): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    new RemoteCall(deps, options, resolve, reject).begin();
  });
}

class RemoteCall implements PulseMember {
  readonly request: string | undefined;
  readonly #deps: CallDeps;
  readonly #options: CallOptions;
  readonly #resolve: (answer: Uint8Array) => void;
  readonly #reject: (error: unknown) => void;
  readonly #deadline: number;
  #stopListening: (() => void) | undefined;
  #deadlineTimer: unknown;
  #isSettled = false;
  /** A try has failed, and nothing is on its way now. */
  #isBroken = false;
  /** A try may have reached the actor. */
  #mayHaveArrived = false;

  constructor(deps: CallDeps, options: CallOptions, resolve: (answer: Uint8Array) => void, reject: (error: unknown) => void) {
    this.#deps = deps;
    this.#options = options;
    this.request = options.request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#deadline = deps.clock.monotonic() + options.timeoutMs;
  }

  begin(): void {
    const { signal } = this.#options;
    if (signal !== undefined) this.#stopListening = onAbort(signal, () => this.#fail(signal.reason));
    if (this.#isSettled) return;
    this.#deps.pulse.add(this);
    this.#try(false);
  }

  heard(_registration: string, isWaiting: boolean): void {
    if (this.#isBroken || !isWaiting) this.#try(true);
  }

  silent(): void {
    const { transport } = this.#deps;
    this.#fail(transport.status === "connected" ? this.#lost() : new DisconnectedError({ address: transport.address }));
  }

  linked(): void {
    if (this.#isBroken) this.#try(true);
  }

  closed(): void {
    this.#fail(new ClosedError({ what: "actor system" }));
  }

  #try(isRepeat: boolean): void {
    const { transport, requests, clock } = this.#deps;
    const { write, signal, timeoutMs } = this.#options;
    const leftMs = isRepeat ? this.#deadline - clock.monotonic() : timeoutMs;
    if (leftMs < 0) {
      this.#fail(this.#late());
      return;
    }
    this.#isBroken = false;
    let bytes: Uint8Array;
    try {
      bytes = write(isRepeat);
    } catch (error) {
      this.#fail(error);
      return;
    }
    const isLinked = transport.status === "connected";
    transport.request(requests, bytes, { timeoutMs: Math.min(leftMs, limits.actorRequestRenewalMs), signal }).then(
      (answer) => this.#answered(answer),
      (error: unknown) => this.#failed(error, isLinked, isRepeat),
    );
  }

  #answered(answer: Uint8Array): void {
    if (this.#isSettled) return;
    this.#deps.pulse.heard();
    this.#end();
    this.#resolve(answer);
  }

  #failed(error: unknown, wasLinked: boolean, isRepeat: boolean): void {
    if (this.#isSettled) return;
    if (error instanceof DisconnectedError) {
      if (!error.isUnheard && wasLinked) this.#mayHaveArrived = true;
      // A first try that was not sent, or that no process heard, ends the request. A later one waits for a new link or
      // a new listener, until the pulse ends it.
      if (!isRepeat && !this.#mayHaveArrived) this.#fail(error.isUnheard ? this.#unheard() : error);
      else this.#broken();
    } else if (error instanceof TimeoutError) {
      this.#mayHaveArrived = true;
      if (this.#deps.clock.monotonic() >= this.#deadline) this.#fail(this.#late());
      else this.#try(true);
    } else this.#fail(error);
  }

  /** Waits for a new link, for a heartbeat or for the end of the time. */
  #broken(): void {
    const { clock } = this.#deps;
    this.#isBroken = true;
    this.#deadlineTimer ??= clock.setTimeout(() => this.#fail(this.#late()), this.#deadline - clock.monotonic());
  }

  #unheard(): ZooidError {
    const { path, realm } = this.#deps;
    return this.#options.hasAnswered ? new ActorLostError({ actor: path, isInDoubt: false }) : new NoActorError({ actor: path, realm });
  }

  #lost(): ZooidError {
    return new ActorLostError({ actor: this.#deps.path, isInDoubt: this.#options.hasEvent });
  }

  #late(): ZooidError {
    return new TimeoutError({ what: `request to ${this.#deps.requests}`, timeoutMs: this.#options.timeoutMs });
  }

  #fail(error: unknown): void {
    if (this.#isSettled) return;
    this.#end();
    this.#reject(error);
  }

  #end(): void {
    this.#isSettled = true;
    this.#stopListening?.();
    if (this.#deadlineTimer !== undefined) this.#deps.clock.clearTimeout(this.#deadlineTimer);
    this.#deps.pulse.remove(this);
  }
}
