/** One actor as other processes reach it: the events that it accepts from them, and its views. */
import type { AnyActorRef } from "xstate";
import { RareWarning } from "../../transport/rare-warning.js";
import type { Message } from "../../transport/transport.js";
import {
  ActorEndedError,
  ActorFailedError,
  ActorLostError,
  limits,
  MalformedMessageError,
  ServerBusyError,
  TimeoutError,
  unreachable,
  type Value,
} from "../../core/index.js";
import { AcceptedEvents, type Accepts } from "./accepted-events.js";
import {
  type ActorRequest,
  actorRequest,
  actorSubjects,
  actorView,
  type ActorView,
  heartbeatAnswer,
  type AwaitedState,
  type KnownReceiver,
  machineDescription,
  type RemoteEvent,
  takenAnswer,
} from "../protocol/actor-messages.js";
import type { AnySnapshot } from "./any-snapshot.js";
import { AwaitedStates, checkedAwaited } from "./awaited-states.js";
import { Containment, reasonOf } from "./containment.js";
import type { ActorFailure, AfterFailure, Failures } from "./failures.js";
import { describeMachine } from "../drawing/description.js";
import { writeAnswer, writeError } from "../protocol/codec.js";
import type { RealmSeams } from "../protocol/realm-seams.js";
import type { Reply, RequestMemory } from "./request-memory.js";
import { ViewPublishing } from "./view-publishing.js";

/** The events that an actor accepts, and its view. */
export interface ExposedActor {
  readonly accepts: Accepts;
  /**
   * The part of a snapshot that is shown in addition to its state, as storable values. Default: nothing. If it throws
   * or returns anything else, a warning is logged, and only the state is shown.
   */
  readonly describe?: ((snapshot: unknown) => Readonly<Record<string, Value>>) | undefined;
  /**
   * Called when the actor fails, for any reason. A registered actor that fails is stopped with all actors that it
   * invoked and spawned. Its error is logged, and does not become an exception of the process. If this callback throws
   * or rejects, that is logged.
   */
  readonly onFailure?: ((error: unknown, failure: ActorFailure) => unknown) | undefined;
}

/** The parts that all endpoints of a system share. */
export interface EndpointDeps extends RealmSeams {
  readonly memory: RequestMemory;
  readonly failures: Failures;
  /** Records the actor while a process watches. */
  readonly recorder: { add(path: string, actor: AnyActorRef, describe: ExposedActor["describe"]): void };
}

type TakeRequest = Extract<ActorRequest, { readonly type: "take" }>;

/** The decision of an actor without supervision. */
const unsupervised = (): AfterFailure => ({ next: "stop", restartInMs: undefined });

/** Answers for an actor at its address until `close`. */
export class OpenEndpoint {
  #actor: AnyActorRef;
  readonly #path: string;
  readonly #endpoint: ExposedActor;
  readonly #accepted: AcceptedEvents;
  #containment: Containment;
  readonly #afterFailure: () => AfterFailure;
  readonly #deps: EndpointDeps;
  readonly #views: string;
  readonly #registration: string;
  readonly #requests: { unsubscribe(): void };
  readonly #publishing: ViewPublishing;
  readonly #awaited: AwaitedStates;
  readonly #undescribed: RareWarning;
  #version = 0;
  #failures = 0;
  /** Why it failed the last time. */
  #failure: string | undefined;
  #isRestarting = false;
  /** Requests and events that wait for the restart, in their order; requests by their ids. */
  readonly #held = new Map<string | symbol, () => void>();

  /** `afterFailure` is called when the actor fails, and decides what follows. */
  constructor(path: string, actor: AnyActorRef, endpoint: ExposedActor, deps: EndpointDeps, afterFailure = unsupervised) {
    this.#path = path;
    this.#actor = actor;
    this.#endpoint = endpoint;
    this.#deps = deps;
    this.#registration = deps.random.id();
    this.#undescribed = new RareWarning(deps.clock, deps.log, "an actor is shown without what its registration describes of it");
    this.#accepted = new AcceptedEvents(path, endpoint.accepts);
    const subjects = actorSubjects(deps.realm, path);
    this.#afterFailure = afterFailure;
    this.#containment = this.#contained(actor);
    this.#views = subjects.views;
    this.#publishing = new ViewPublishing(actor, deps.clock, () => this.#show());
    this.#awaited = new AwaitedStates(actor, deps.clock);
    this.#requests = deps.transport.subscribe(subjects.requests, (message) => this.#answer(message));
    deps.recorder.add(path, actor, endpoint.describe);
  }

  /** The actor is another one now, which is started next. */
  replace(actor: AnyActorRef): void {
    this.#containment.end();
    this.#isRestarting = false;
    this.#actor = actor;
    this.#containment = this.#contained(actor);
    this.#awaited.follow(actor);
    this.#publishing.replace(actor);
    this.#deps.recorder.add(this.#path, actor, this.#endpoint.describe);
  }

  /** The actor has been started. Takes what has waited for it. */
  resume(): void {
    this.#publishing.changed();
    for (const [key, action] of this.#held) {
      if (this.#isRestarting) return;
      this.#held.delete(key);
      action();
    }
  }

  /** Runs `action` now, or after the restart that the actor waits for. Throws ServerBusyError. */
  whenRunning(action: () => void, key: string | symbol = Symbol("event")): void {
    const countMax = limits.actorRequestsWaitingMax;
    // Requests that have waited for the restart come first.
    if (!this.#isRestarting && this.#held.size === 0) action();
    else if (this.#held.size < countMax || this.#held.has(key)) this.#held.set(key, action);
    else throw new ServerBusyError({ what: "requests that wait for a restart", countMax });
  }

  close(): void {
    this.#isRestarting = false;
    for (const action of this.#held.values()) action();
    this.#held.clear();
    this.#requests.unsubscribe();
    this.#publishing.stop();
    this.#awaited.endAll();
    this.#containment.end();
  }

  /** The bytes of the view of this moment. */
  view(): Uint8Array {
    const snapshot = this.#actor.getSnapshot() as AnySnapshot;
    this.#version += 1;
    const fields: Omit<ActorView, "context"> = {
      path: this.#path,
      machine: snapshot.machine?.id ?? this.#actor.id,
      status: this.#isRestarting ? "restarting" : snapshot.status,
      value: snapshot.value ?? null,
      tags: [...(snapshot.tags ?? [])],
      // The encoding refuses an output that is not plain data.
      output: snapshot.output as Value | undefined,
      failure: this.#failure ?? null,
      failures: this.#failures,
      at: this.#deps.clock.now(),
      registration: this.#registration,
      version: this.#version,
    };
    const { describe } = this.#endpoint;
    try {
      return actorView.write({ ...fields, context: describe?.(snapshot) ?? {} });
    } catch (error) {
      // The actor can be seen without what its registration shows of it.
      const bytes = actorView.write({ ...fields, context: {} });
      this.#undescribed.warn({ actor: this.#path, err: error });
      return bytes;
    }
  }

  #answer({ payload, reply }: Message): void {
    const send = this.#sending(reply);
    try {
      const request = actorRequest.read(payload);
      if (request.type === "take") this.whenRunning(() => this.#takeOrRefuse(request, send), request.request);
      else send(this.#lookUp(request));
    } catch (error) {
      this.#refuse(error, send);
    }
  }

  #takeOrRefuse(request: TakeRequest, send: Reply): void {
    try {
      this.#take(request, send);
    } catch (error) {
      this.#refuse(error, send);
    }
  }

  #refuse(error: unknown, send: Reply): void {
    send(writeError(error));
    this.#deps.log.debug({ actor: this.#path, err: error }, "a request was refused");
  }

  /** An answer may be sent long after its request, when the link is gone. */
  #sending(reply: Message["reply"]): Reply {
    return (answer) => {
      try {
        reply?.(answer);
      } catch (error) {
        this.#deps.log.debug({ actor: this.#path, err: error }, "an answer could not be sent");
      }
    };
  }

  #lookUp(request: Exclude<ActorRequest, TakeRequest>): Uint8Array {
    switch (request.type) {
      case "alive": {
        const waiting = request.requests.filter((id) => this.#held.has(id) || this.#deps.memory.isWaiting(id));
        return writeAnswer(heartbeatAnswer, { registration: this.#registration, waiting });
      }
      case "watch":
        this.#publishing.watch();
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

  #take({ request: id, isRepeat, known, event, until, renewedWithinMs }: TakeRequest, reply: Reply): void {
    const { memory, log } = this.#deps;
    const waitMs = renewedWithinMs + limits.heartbeatTimeoutMs;
    if (memory.repeat(id, reply)) {
      this.#awaited.renew(id, waitMs);
      return;
    }
    const actor = this.#path;
    if (event !== undefined && isRepeat && !this.#isJudged(known)) throw new ActorLostError({ actor, isInDoubt: true });
    const awaited = until && checkedAwaited((this.#actor.getSnapshot() as AnySnapshot).machine, until);
    if (awaited === undefined && event === undefined)
      throw new MalformedMessageError({ what: "take", reason: "has neither an event nor a state" });
    const checked = event === undefined ? undefined : this.#checked(event);
    const countMax = limits.actorRequestsWaitingMax;
    // An event without a state to wait for is answered at once: it may be the one that the others wait for.
    if (awaited !== undefined && memory.waiting >= countMax) throw new ServerBusyError({ what: "waiting requests", countMax });
    memory.take(id, reply);
    if (checked !== undefined) {
      log.info({ actor, event: checked.type }, "took an event from outside");
      const containment = this.#containment;
      this.#actor.send(checked);
      const { reason } = containment;
      if (reason !== undefined) {
        memory.answer(id, writeError(new ActorFailedError({ actor, event: checked.type, reason })));
        return;
      }
    }
    if (awaited === undefined) memory.answer(id, this.#taken(false));
    else this.#await(id, awaited, waitMs);
  }

  /** Whether a request would be remembered here, if this registration had taken it. */
  #isJudged({ registration, taken }: KnownReceiver): boolean {
    return registration === this.#registration && this.#deps.memory.remembersAfter(taken);
  }

  #await(id: string, until: AwaitedState, waitMs: number): void {
    const { memory } = this.#deps;
    this.#awaited.add(id, until, waitMs, (how) => {
      if (how === "reached") memory.answer(id, this.#taken(true));
      else if (how === "ended") memory.answer(id, writeError(this.#ending()));
      else memory.answer(id, writeError(new TimeoutError({ what: `a state of actor ${this.#path}`, timeoutMs: waitMs })));
    });
  }

  #taken(isShown: boolean): Uint8Array {
    try {
      const { latest } = this.#deps.memory;
      return writeAnswer(takenAnswer, { registration: this.#registration, taken: latest, view: isShown ? this.view() : undefined });
    } catch (error) {
      return writeError(error);
    }
  }

  /** Why the actor reaches no other state. */
  #ending(): Error {
    const actor = this.#path;
    const { reason } = this.#containment;
    const { status } = this.#actor.getSnapshot() as AnySnapshot;
    // Its registration has ended.
    if (status === "active") return new ActorLostError({ actor, isInDoubt: true });
    return reason === undefined ? new ActorEndedError({ actor, status }) : new ActorFailedError({ actor, reason });
  }

  /** The event as the actor gets it. Throws ActorEndedError, NotAcceptedError, InvalidEventError. */
  #checked(event: RemoteEvent): { readonly type: string } {
    const { status } = this.#actor.getSnapshot() as AnySnapshot;
    if (status !== "active") throw new ActorEndedError({ actor: this.#path, status, reason: this.#containment.reason });
    return this.#accepted.checked(event);
  }

  #contained(actor: AnyActorRef): Containment {
    return new Containment(actor, (error) => this.#failed(error));
  }

  #failed(error: unknown): void {
    this.#failures += 1;
    this.#failure = reasonOf(error);
    const after = this.#afterFailure();
    this.#isRestarting = after.next === "restart";
    this.#deps.failures.report({ path: this.#path, error, failures: this.#failures }, after, (failure) =>
      this.#endpoint.onFailure?.(error, failure),
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
}

/** The answer that carries an encoded view. */
function shown(view: Uint8Array): Uint8Array {
  return writeAnswer({ write: () => view, read: () => undefined }, undefined);
}
