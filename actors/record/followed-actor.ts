import type { AnyActorRef, AnyStateMachine } from "xstate";
import { limits, type Value } from "../../core/index.js";
import type { ItemOf } from "./frames.js";

/** The part of a snapshot that a registration shows. */
export type Describe = (snapshot: unknown) => Readonly<Record<string, Value>>;

export type Facts = Readonly<Record<string, Value>>;
type Status = ItemOf<"actor">["status"];

/** The common part of XState's snapshots. */
export interface AnySnapshot {
  readonly status: Status;
  readonly error?: unknown;
  readonly value?: Value;
  readonly children?: Readonly<Record<string, AnyActorRef | undefined>>;
}

/** Parts of an actor that are not in the type of every reference: its parent, and its logic, which may be a machine. */
interface Internals {
  readonly _parent?: AnyActorRef;
  readonly logic?: unknown;
}

/** An event that was sent to an actor. */
export interface SentEvent {
  readonly event: { readonly type: string };
  /** The actor that sent it, and how it is followed. */
  readonly source: AnyActorRef | undefined;
  readonly from: Followed | undefined;
  /** Whether a step or a snapshot of XState has shown that the actor handles this one. */
  isShown: boolean;
}

/** An actor that is recorded, and the part of it that was sent last. */
export interface Followed {
  /** Number of the actor in the record. It is never used again. */
  readonly ref: number;
  readonly actor: AnyActorRef;
  /** Addresses at which it is registered, each with the `describe` of the registration. */
  readonly addresses: Map<string, Describe | undefined>;
  parent: Followed | undefined;
  readonly children: Set<Followed>;
  /** The object in which XState held its children at the last look. XState makes a new one for each change. */
  childrenSeen: object | undefined;
  /** The first `describe` of its registrations. */
  describe: Describe | undefined;
  /** Encoded facts that were sent last. */
  shown: Buffer | undefined;
  value: Value;
  valueText: string | undefined;
  status: Status;
  reason: string | undefined;
  since: number | undefined;
  /** Actions that the open microstep has run. */
  actions: string[];
  /** Events that wait until it handles them, in order. */
  readonly waiting: SentEvent[];
  /** The event that it handles. */
  event: SentEvent | undefined;
  /** Whether the record has an event of it, and no state since. */
  isOpen: boolean;
  /** Whether the open macrostep has a step in the record. */
  hasStepped: boolean;
  errors: { unsubscribe(): void } | undefined;
  /** Address whose registration ended while it handled an event: the record still shows what comes of the event. */
  leaving: string | undefined;
}

/** `actor` as it is followed from now on, before anything of it was sent. */
export function newlyFollowed(ref: number, actor: AnyActorRef, parent: Followed | undefined): Followed {
  return {
    ref,
    actor,
    addresses: new Map(),
    parent,
    children: new Set(),
    childrenSeen: undefined,
    describe: undefined,
    shown: undefined,
    value: null,
    valueText: undefined,
    status: "active",
    reason: undefined,
    since: undefined,
    actions: [],
    waiting: [],
    event: undefined,
    isOpen: false,
    hasStepped: false,
    errors: undefined,
    leaving: undefined,
  };
}

export function parentOf(actor: AnyActorRef): AnyActorRef | undefined {
  return (actor as Internals)["_parent"];
}

/** The address of an actor; below an actor with an address, `address#child#grandchild`. */
export function pathOf(followed: Followed): string {
  const [address] = followed.addresses.keys();
  return address ?? `${followed.parent === undefined ? "" : pathOf(followed.parent)}#${named(nameOf(followed.actor))}`;
}

/** The id of an actor; if XState has made the id, the name of its logic. */
export function nameOf({ id, src }: AnyActorRef): string {
  return typeof src === "string" && /^\d+\.|^x:\d/.test(id) ? src : id;
}

/** The event as the record names it: XState names the event of an actor's end by an id that it may have made itself. */
export function eventName(type: string, source: AnyActorRef | undefined): string {
  const ends = `.${source?.id ?? ""}`;
  const isOfSource = source !== undefined && type.startsWith("xstate.") && type.endsWith(ends);
  return named(isOfSource ? `${type.slice(0, -ends.length)}.${nameOf(source)}` : type);
}

export function machineOf(actor: AnyActorRef): AnyStateMachine | undefined {
  const { logic } = actor as Internals;
  return typeof logic === "object" && logic !== null && "root" in logic ? (logic as AnyStateMachine) : undefined;
}

/** A name of the application, as a record may hold it. */
export function named(name: string): string {
  const { recordNameLengthMax: lengthMax } = limits;
  return (name.length > lengthMax ? `${name.slice(0, lengthMax - 1)}…` : name).toWellFormed();
}
