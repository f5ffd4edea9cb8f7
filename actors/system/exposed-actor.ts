/** One actor as other processes reach it: the events that it accepts from them, and its views. */
import type { AnyActorRef, AnyStateMachine } from "xstate";
import type { Message, Transport } from "../../transport/transport.js";
import {
  ActorEndedError,
  ActorFailedError,
  type Random,
  type Clock,
  isThenable,
  limits,
  type Log,
  unreachable,
  type Value,
} from "../../core/index.js";
import { AcceptedEvents, type Accepts } from "./accepted-events.js";
import {
  actorRequest,
  type ActorView,
  actorSubjects,
  actorView,
  machineDescription,
  type RemoteEvent,
} from "../protocol/actor-messages.js";
import { Containment } from "./containment.js";
import { describeMachine } from "./machine-description.js";
import { nothing, writeAnswer, writeError } from "../protocol/codec.js";

/** The events that an actor accepts, and its view. */
export interface ExposedActor {
  readonly accepts: Accepts;
  /**
   * The part of a snapshot that is shown in addition to its state. Default: nothing. Must not throw, and must return
   * storable values.
   */
  readonly describe?: ((snapshot: unknown) => Readonly<Record<string, Value>>) | undefined;
  /**
   * Called once when the actor fails, for any reason. A registered actor that fails is stopped with all actors that it
   * invoked and spawned. Its error is logged, and does not become an exception of the process. If this callback throws
   * or rejects, that is logged.
   */
  readonly onFailure?: ((error: unknown) => unknown) | undefined;
}

interface EndpointDeps {
  readonly realm: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The common part of XState's snapshots; snapshots of machines have a value and their machine. */
interface AnySnapshot {
  readonly status: ActorView["status"];
  readonly value?: Value;
  readonly machine?: AnyStateMachine;
}

const secondMs = 1_000;

/** Answers for `actor` at its address until `close`. */
export class OpenEndpoint {
  readonly #actor: AnyActorRef;
  readonly #path: string;
  readonly #endpoint: ExposedActor;
  readonly #accepted: AcceptedEvents;
  readonly #containment: Containment;
  readonly #deps: EndpointDeps;
  readonly #views: string;
  readonly #registration: string;
  readonly #requests: { unsubscribe(): void };
  #version = 0;
  /** End of the last lease, for all watchers together: nothing is kept for each of them. Monotonic, in milliseconds. */
  #watchedUntil = 0;
  #watching: { unsubscribe(): void } | undefined;
  #secondBeganAt = 0;
  #viewsThisSecond = 0;
  #late: unknown;

  constructor(path: string, actor: AnyActorRef, endpoint: ExposedActor, deps: EndpointDeps) {
    this.#path = path;
    this.#actor = actor;
    this.#endpoint = endpoint;
    this.#deps = deps;
    this.#registration = deps.random.id();
    this.#accepted = new AcceptedEvents(path, endpoint.accepts);
    const subjects = actorSubjects(deps.realm, path);
    this.#containment = new Containment(actor, (error) => {
      this.#failed(error);
    });
    this.#views = subjects.views;
    this.#requests = deps.transport.subscribe(subjects.requests, (message) => this.#answer(message));
  }

  close(): void {
    this.#requests.unsubscribe();
    this.#stopWatching();
    this.#containment.end();
  }

  /** The bytes of the view of this moment. */
  view(): Uint8Array {
    const snapshot = this.#actor.getSnapshot() as AnySnapshot;
    this.#version += 1;
    return actorView.write({
      path: this.#path,
      machine: snapshot.machine?.id ?? this.#actor.id,
      status: snapshot.status,
      value: snapshot.value ?? null,
      context: this.#endpoint.describe?.(snapshot) ?? {},
      failure: this.#containment.reason ?? null,
      at: this.#deps.clock.now(),
      registration: this.#registration,
      version: this.#version,
    });
  }

  #answer({ payload, reply }: Message): void {
    let answer: Uint8Array;
    try {
      answer = this.#carryOut(payload);
    } catch (error) {
      answer = writeError(error);
      this.#deps.log.debug({ actor: this.#path, err: error }, "a request was refused");
    }
    reply?.(answer);
  }

  #carryOut(payload: Uint8Array): Uint8Array {
    const request = actorRequest.read(payload);
    switch (request.type) {
      case "send":
        this.#take(request.event);
        return writeAnswer(nothing, {});
      case "watch":
        this.#watchedUntil = this.#deps.clock.monotonic() + limits.actorLeaseMs;
        this.#watch();
        return shown(this.view());
      case "view":
        return shown(this.view());
      case "machine":
        return writeAnswer(machineDescription, this.#machine());
      default:
        return unreachable(request);
    }
  }

  /** The description of its machine, as plain data; null if its logic is not a machine. */
  #machine(): Value {
    const { machine } = this.#actor.getSnapshot() as AnySnapshot;
    return machine === undefined ? null : (describeMachine(machine) as unknown as Value);
  }

  #take(event: RemoteEvent): void {
    const actor = this.#path;
    const { status } = this.#actor.getSnapshot() as AnySnapshot;
    if (status !== "active") throw new ActorEndedError({ actor, status, reason: this.#containment.reason });
    const checked = this.#accepted.checked(event);
    this.#deps.log.info({ actor, event: event.type }, "took an event from outside");
    this.#actor.send(checked);
    const { reason } = this.#containment;
    if (reason !== undefined) throw new ActorFailedError({ actor, event: event.type, reason });
  }

  #failed(error: unknown): void {
    this.#deps.log.error({ actor: this.#path, err: error }, "a registered actor failed");
    const failedToo = (thrown: unknown): void => {
      this.#deps.log.error({ actor: this.#path, err: thrown }, "onFailure of a registered actor failed");
    };
    try {
      const done = this.#endpoint.onFailure?.(error);
      if (isThenable(done)) Promise.resolve(done).catch(failedToo);
    } catch (thrown) {
      failedToo(thrown);
    }
  }

  #watch(): void {
    const { status } = this.#actor.getSnapshot() as AnySnapshot;
    if (this.#watching !== undefined || status !== "active") return;
    this.#watching = this.#actor.subscribe({
      next: () => this.#changed(),
      complete: () => this.#changed(),
      error: () => this.#changed(),
    });
  }

  #changed(): void {
    const now = this.#deps.clock.monotonic();
    if (now > this.#watchedUntil) {
      this.#stopWatching();
      return;
    }
    if (this.#late !== undefined) return;
    if (now - this.#secondBeganAt >= secondMs) {
      this.#secondBeganAt = now;
      this.#viewsThisSecond = 0;
    }
    this.#viewsThisSecond += 1;
    if (this.#viewsThisSecond <= limits.actorViewsPerSecondMax) {
      this.#show();
      return;
    }
    this.#late = this.#deps.clock.setTimeout(
      () => {
        this.#late = undefined;
        this.#show();
      },
      this.#secondBeganAt + secondMs - now,
    );
  }

  #show(): void {
    try {
      this.#deps.transport.publish(this.#views, this.view());
    } catch (error) {
      // Watchers get the current view at their next renewal. The actor continues even if its view cannot be sent.
      this.#deps.log.debug({ actor: this.#path, err: error }, "could not show a change");
    }
  }

  #stopWatching(): void {
    this.#watching?.unsubscribe();
    this.#watching = undefined;
    this.#deps.clock.clearTimeout(this.#late);
    this.#late = undefined;
  }
}

/** The answer that carries an encoded view. */
function shown(view: Uint8Array): Uint8Array {
  return writeAnswer({ write: () => view, read: () => undefined }, undefined);
}
