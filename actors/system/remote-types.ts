/** An actor as another process sees it, typed by its logic. */
import type { AnyActorLogic, AnyStateMachine, EventFromLogic, OutputFrom, SnapshotFrom, StateValueFrom, TagsFrom } from "xstate";
import type { Duration, Value, ZooidError } from "../../core/index.js";
import type { ActorView, RemoteEvent } from "../protocol/actor-messages.js";
import type { MachineDescription } from "../drawing/description.js";

/** The events that a logic declares, without those of XState itself. An untyped logic has any plain event. */
export type EventOf<Logic extends AnyActorLogic> = string extends EventFromLogic<Logic>["type"]
  ? RemoteEvent
  : Exclude<EventFromLogic<Logic>, { type: `xstate.${string}` }>;

/** A state that the machine can be in: its name, or an object for inner states. */
export type StateOf<Logic extends AnyActorLogic> = Logic extends AnyStateMachine ? StateValueFrom<Logic> : Value;

/** A tag of the machine's states. */
export type TagOf<Logic extends AnyActorLogic> = Logic extends AnyStateMachine ? TagsFrom<Logic> : string;

/** The state to wait for: a state in which the machine is, perhaps with others, or a tag that it has. */
export type Until<Logic extends AnyActorLogic = AnyActorLogic> =
  { readonly state: StateOf<Logic>; readonly tag?: never } | { readonly tag: TagOf<Logic>; readonly state?: never };

/** A view with the types of its machine. */
export type RemoteView<Logic extends AnyActorLogic = AnyActorLogic> = Omit<ActorView, "value" | "tags" | "output"> & {
  /** State value of the machine; null if its logic is not a machine. */
  readonly value: Logic extends AnyStateMachine ? SnapshotFrom<Logic>["value"] : Value;
  readonly tags: readonly TagOf<Logic>[];
  /** Its output, when it is done; undefined before, and instead of null. */
  readonly output: OutputFrom<Logic> | undefined;
};

/** Bounds of the wait for an answer. */
export interface RemoteOptions {
  /** Default: `limits.requestTimeoutMs`. With Infinity it waits until the actor or the link is lost. */
  readonly timeoutMs?: Duration | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reference to an actor by its address, typed by its logic: `system.remote<typeof orderMachine>("orders/4711")`. */
export interface RemoteActor<Logic extends AnyActorLogic = AnyActorLogic> {
  readonly path: string;

  /**
   * Sends `event` once. Resolves when the actor has processed it; that says nothing about the new state. The actor
   * never gets it twice: when an answer or a link is lost, the request is repeated under its id until the time-out, and
   * the actor's process, which remembers the latest requests, answers the repeat without another event. If the process
   * cannot know whether it had the event, it refuses the repeat.
   *
   * Rejects with NoActorError, NotAcceptedError, InvalidEventError, ActorEndedError, TooLargeError, InvalidValueError,
   * ServerBusyError, before the actor got the event; with ActorFailedError, when the event made it fail. After
   * ActorLostError with `isInDoubt`, DisconnectedError and TimeoutError, the actor may have processed the event or may
   * still do so.
   */
  send(event: EventOf<Logic>, options?: RemoteOptions): Promise<void>;

  /**
   * Sends `event` as `send` does. Resolves to the actor's view when the actor has processed it and has then reached the
   * state `until`, which may be at once. The actor's process watches for the state: this is one request and one answer.
   * Rejects as `send` does, with ActorFailedError and ActorEndedError also when the actor fails or ends before it
   * reaches the state, and with InvalidOptionError when its machine has no such state.
   */
  ask(event: EventOf<Logic>, options: RemoteOptions & { readonly until: Until<Logic> }): Promise<RemoteView<Logic>>;

  /**
   * The view of the actor when it has reached the state, perhaps now. Rejects as `ask` does.
   *
   *     await order.waitFor({ state: "shipped", timeoutMs: "1m" })
   */
  waitFor(options: RemoteOptions & Until<Logic>): Promise<RemoteView<Logic>>;

  /** The current view of the actor. Rejects with NoActorError, ActorLostError, DisconnectedError, TimeoutError. */
  snapshot(options?: RemoteOptions): Promise<RemoteView<Logic>>;

  /**
   * The machine of the actor, as `describeMachine` returns it, for a drawing; undefined if its logic is not a machine.
   * Rejects with the errors of `snapshot`, and with TooLargeError.
   */
  machine(options?: RemoteOptions): Promise<MachineDescription | undefined>;

  /**
   * Calls `listener` with the current view of the actor, then after changes: with the newest view only, and never with
   * an older view after a newer one. Calls `onLost` when the actor cannot be reached, once until it is reached again:
   * with NoActorError or DisconnectedError, or with ActorLostError when it answered before and has not done so for the
   * heartbeat time-out. It asks again until the returned function is called.
   */
  subscribe(listener: (view: RemoteView<Logic>) => void, onLost?: (error: ZooidError) => void): () => void;
}
