/** An actor of another process as a child of an actor here. */
import type { ActorLogic, ActorScope, AnyActorLogic, EventObject, OutputFrom, Snapshot } from "xstate";
import {
  ActorEndedError,
  ActorFailedError,
  ActorLostError,
  asDurationIfGiven,
  type Duration,
  NoActorError,
  type Seams,
} from "../../core/index.js";
import type { ActorView } from "../protocol/actor-messages.js";
import type { RemoteReference } from "./remote-actor.js";
import type { EventOf, RemoteView } from "./remote-types.js";

/** The snapshot of a child that stands for an actor of another process: `done` with its output, or `error`. */
export type RemoteSnapshot<Logic extends AnyActorLogic = AnyActorLogic, Input = unknown> = Snapshot<OutputFrom<Logic>> & {
  /** The newest view of the actor; undefined before the first one. */
  readonly view: RemoteView<Logic> | undefined;
  readonly input: Input;
};

/**
 * The logic that `fromRemote` returns, typed by the logic of the remote actor and by the input of the child. `setup` of
 * a machine declares it so: `actors: { payment: {} as RemoteLogic<typeof paymentMachine, { order: string }> }`.
 */
export type RemoteLogic<Logic extends AnyActorLogic = AnyActorLogic, Input = unknown> = ActorLogic<
  RemoteSnapshot<Logic, Input>,
  EventOf<Logic>,
  Input
>;

/** The address of the actor: a path, or a function of the child's input. */
export type RemotePath<Input> = string | ((args: { readonly input: Input }) => string);

/** How a child meets its actor. */
export interface FromRemoteOptions {
  /** How long the actor may be missing at the start of the child. Default: 0. */
  readonly waitMs?: Duration | undefined;
}

interface ChildDeps extends Pick<Seams, "clock" | "log"> {
  readonly reference: (path: string) => RemoteReference;
}

/** Facts that a child sends to itself. */
type Fact =
  { readonly type: "zooid.remote.view"; readonly view: ActorView } | { readonly type: "zooid.remote.failed"; readonly error: unknown };

type AnySelf = ActorScope<RemoteSnapshot, EventObject>["self"];

/** See `fromRemote` of the actor system. Throws InvalidOptionError. */
export function fromRemote(path: RemotePath<never>, options: FromRemoteOptions, deps: ChildDeps): RemoteLogic {
  const waitMs = asDurationIfGiven(options.waitMs, "waitMs", { unit: "ms" }) ?? 0;
  const links = new WeakMap<AnySelf, RemoteLink>();
  const logic: ActorLogic<RemoteSnapshot, EventObject> = {
    config: path,
    getInitialSnapshot: (_, input) => ({ status: "active", output: undefined, error: undefined, view: undefined, input }),
    restoreSnapshot: (snapshot) => snapshot as RemoteSnapshot,
    getPersistedSnapshot: (snapshot) => snapshot,
    start: ({ status, input }, { self }) => {
      if (status !== "active") return;
      const address = typeof path === "string" ? path : path({ input: input as never });
      links.set(self, new RemoteLink(self, deps.reference(address), waitMs, deps));
    },
    transition: (snapshot, event, { self }) => {
      if (snapshot.status !== "active") return snapshot;
      const next = transition(snapshot, event, (sent) => links.get(self)?.send(sent));
      if (next.status !== "active") {
        links.get(self)?.close();
        links.delete(self);
      }
      return next;
    },
  };
  return logic;
}

function transition(snapshot: RemoteSnapshot, event: Fact | EventObject, send: (event: EventObject) => void): RemoteSnapshot {
  if (isFact(event)) return event.type === "zooid.remote.view" ? seen(snapshot, event.view) : failed(snapshot, event.error);
  if (event.type === "xstate.stop") return { ...snapshot, status: "stopped", output: undefined, error: undefined };
  send(event);
  return snapshot;
}

function isFact(event: Fact | EventObject): event is Fact {
  return event.type === "zooid.remote.view" || event.type === "zooid.remote.failed";
}

function seen(snapshot: RemoteSnapshot, view: ActorView): RemoteSnapshot {
  const { path: actor, status } = view;
  const next = { ...snapshot, view: view as RemoteView };
  switch (status) {
    case "active":
    case "restarting":
      return { ...next, status: "active", output: undefined, error: undefined };
    case "done":
      return { ...next, status: "done", output: view.output, error: undefined };
    case "error":
      return failed(next, new ActorFailedError({ actor, reason: view.failure ?? "for an unknown reason" }));
    case "stopped":
      return failed(next, new ActorEndedError({ actor, status }));
  }
}

function failed(snapshot: RemoteSnapshot, error: unknown): RemoteSnapshot {
  return { ...snapshot, status: "error", output: undefined, error };
}

/** The side of a child that meets its actor: it watches it, and sends it events. */
class RemoteLink {
  readonly #self: AnySelf;
  readonly #remote: RemoteReference;
  readonly #deps: ChildDeps;
  readonly #stopWatching: () => void;
  /** Until the actor has been seen: fails the child when the actor is missing for too long. */
  #missing: unknown;
  #registration: string | undefined;
  #isClosed = false;

  constructor(self: AnySelf, remote: RemoteReference, waitMs: number, deps: ChildDeps) {
    this.#self = self;
    this.#remote = remote;
    this.#deps = deps;
    this.#stopWatching = remote.watch(
      (view) => this.#see(view),
      (error) => {
        if (!(error instanceof NoActorError) || this.#registration !== undefined || waitMs === 0) this.#fail(error);
        else this.#missing ??= deps.clock.setTimeout(() => this.#fail(error), waitMs);
      },
      { isPatient: true },
    );
  }

  send(event: EventObject): void {
    this.#remote.send(event).catch((error: unknown) => {
      // If the actor is not started again, its view reports the failure.
      if (error instanceof ActorFailedError) this.#deps.log.debug({ actor: this.#remote.path, err: error }, "an event made an actor fail");
      else this.#fail(error);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#deps.clock.clearTimeout(this.#missing);
    this.#stopWatching();
  }

  #see(view: ActorView): void {
    if (this.#isClosed) return;
    this.#deps.clock.clearTimeout(this.#missing);
    this.#registration ??= view.registration;
    // Another actor has the address now.
    if (view.registration !== this.#registration) this.#fail(new ActorLostError({ actor: this.#remote.path, isInDoubt: false }));
    else this.#self.send({ type: "zooid.remote.view", view } as EventObject);
  }

  #fail(error: unknown): void {
    if (!this.#isClosed) this.#self.send({ type: "zooid.remote.failed", error } as EventObject);
  }
}
