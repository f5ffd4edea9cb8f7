/**
 * The conversation with an actor in another process. The actor `client/shop-1/connection` of realm `main` has the
 * address `zooid.main.actor.client.shop-1.connection`, where it takes requests. It publishes its views on
 * `zooid.main.view.client.shop-1.connection`.
 *
 *     remote                                     actor
 *       │ take {request, event} ─────────────────▶ │ if it accepts the event
 *       │ ◀────────────────────────── {} | error ─ │ once the event was processed
 *       │ take {request, event, until} ──────────▶ │ without an event: it waits alone
 *       │ ◀────────────────────── {view} | error ─ │ once the actor has reached the state
 *       │ alive {requests} ──────────────────────▶ │ at each heartbeat, while a request waits or a watch lasts
 *       │ ◀───────────────────────────── {waiting} │ the requests that it knows and has not answered
 *       │ view ──────────────────────────────────▶ │
 *       │ ◀─────────────────────────────── {view}  │
 *       │ watch ─────────────────────────────────▶ │ a lease, renewed every actorLeaseRenewalMs
 *       │ ◀─────────────────────────────── {view}  │
 *       │ ◀═══════════════════════════════ {view}  │ at each change, to all watchers, until no lease is left
 *       │ machine ───────────────────────────────▶ │
 *       │ ◀──────────────────────────── {machine}  │ its states and transitions, for a drawing
 *
 * A request whose answer was lost is sent again under its id, as a repeat. The actor's system remembers the answers of
 * the latest requests, so that it takes an event once. It numbers the requests that it took, and each answer carries
 * the latest number. A repeat names the registration and the number that its sender knew before the first try: if the
 * system has forgotten a request with a greater number, or the registration is another one, the system cannot know
 * whether it took the first try. It refuses the repeat then.
 *
 * `zooid.main.actors` asks every process of the realm for the views of its actors: {answerTo}, the last token of a
 * subject.
 */
import { InvalidOptionError, limits, MalformedMessageError, type Value } from "../../core/index.js";
import { bytes, count, element, flag, id, list, name, oneOf, optional, text } from "./fields.js";
import { type Codec, type Field, message, messageOf, type MessageOf, union, variant } from "./message.js";
import { record, valueEncoding } from "./values.js";

/** An event from outside: plain data with a `type`, frozen. */
export interface RemoteEvent {
  readonly type: string;
  readonly [fact: string]: Value;
}

const addressPattern = /^[A-Za-z0-9_-]+$/;

/**
 * Subjects of one actor. Throws InvalidOptionError unless `path` is 1 to `actorPathNamesMax` names with `/` between.
 */
export function actorSubjects(realm: string, path: string): { readonly requests: string; readonly views: string } {
  // A program without types may give anything.
  const names = typeof path === "string" ? path.split("/") : [];
  const shown = typeof path === "string" ? JSON.stringify(path.slice(0, 200)) : typeof path;
  const reason = `is ${shown}, not 1 to ${limits.actorPathNamesMax} names of letters, digits, _ and - with / between`;
  if (names.length === 0 || names.length > limits.actorPathNamesMax || !names.every(isName))
    throw new InvalidOptionError({ option: "path", reason });
  return { requests: `zooid.${checkedRealm(realm)}.actor.${names.join(".")}`, views: `zooid.${realm}.view.${names.join(".")}` };
}

/** The subject on which a realm's actors are asked for their views, and the subject of the answers. */
export function listSubjects(realm: string): { readonly ask: string; readonly answer: (answerTo: string) => string } {
  return { ask: `zooid.${checkedRealm(realm)}.actors`, answer: (answerTo) => `zooid.${realm}.listed.${answerTo}` };
}

function checkedRealm(realm: string): string {
  if (!isName(realm)) throw new InvalidOptionError({ option: "realm", reason: `is ${JSON.stringify(realm)}, not a name` });
  return realm;
}

function isName(name: string): boolean {
  return name.length <= limits.nameBytesMax && addressPattern.test(name);
}

const event = element((value) => {
  const read = record.read([value], 0, "event");
  if (!isEvent(read))
    throw new MalformedMessageError({ what: "event", reason: `has no type of at most ${limits.nameBytesMax} characters` });
  return read;
});

function isEvent(read: Readonly<Record<string, Value>>): read is RemoteEvent {
  return typeof read["type"] === "string" && read["type"].length <= limits.nameBytesMax;
}

/** The knowledge of a sender about its receiver, from before the first try of a request. */
export interface KnownReceiver {
  readonly registration: string;
  /** Number of the latest request that the receiver's system had taken. */
  readonly taken: number;
}

const knownReceiver: Field<KnownReceiver> = {
  slots: 2,
  write(value, into) {
    into.push(value.registration, value.taken);
  },
  read: (from, at, what) => ({ registration: text.check(from[at], what), taken: count.check(from[at + 1], what) }),
};

/** The state that a request waits for: a state value, a path as XState matches it, or a tag. */
export interface AwaitedState {
  readonly state?: Value | undefined;
  readonly tag?: string | undefined;
}

const awaitedState = element<AwaitedState>((read, what) => {
  const { state, tag } = record.read([read], 0, what);
  if ((state === undefined) === (tag === undefined)) throw new MalformedMessageError({ what, reason: "is neither a state nor a tag" });
  if (tag === undefined) return { state };
  return { tag: text.check(tag, what) };
});

export const actorRequest = union(
  "actor request",
  {
    take: variant("take", {
      request: id,
      /** A repeat, and what its sender knew before the first try. An empty registration: nothing. */
      isRepeat: flag,
      known: knownReceiver,
      event: optional(event),
      until: optional(awaitedState),
      /** Its sender sends it again within this many milliseconds, or has given up. */
      renewedWithinMs: count,
    }),
    alive: variant("alive", { requests: list(id, limits.actorRequestsNamedMax) }),
    view: variant("view", {}),
    watch: variant("watch", {}),
    machine: variant("machine", {}),
  },
  valueEncoding(limits.actorEventBytesMax),
);
export type ActorRequest = MessageOf<typeof actorRequest>;

const textOrNull: Field<string | null> = {
  ...text,
  read: (from, at, what) => (from[at] === null ? null : text.read(from, at, what)),
};

/** Decoded as a Value, like the whole message. */
const value = element((read) => read as Value);

/** A Value, or undefined. */
const valueIfAny: Field<Value | undefined> = {
  slots: 1,
  write(each, into) {
    into.push(each === undefined ? null : [each]);
  },
  read(from, at, what) {
    const each = from[at];
    if (each === null) return undefined;
    if (!Array.isArray(each) || each.length !== 1) throw new MalformedMessageError({ what, reason: "is not a value" });
    return each[0] as Value;
  },
};

export const actorView = message(
  "view",
  {
    path: text,
    /** Id of its machine, or of the actor if its logic is not a machine. */
    machine: text,
    /** `restarting`: it has failed, and its supervisor starts it again. */
    status: oneOf("active", "done", "error", "stopped", "restarting"),
    /** State value of the machine; null if its logic is not a machine. */
    value,
    tags: list(text, limits.actorTagsMax),
    /** Its output, when it is done. */
    output: valueIfAny,
    context: record,
    /** Why it failed the last time, in one line; null if it has not failed. */
    failure: textOrNull,
    /** How many times it has failed since it was registered. */
    failures: count,
    /** Wall clock of the actor's process, in milliseconds. */
    at: count,
    /**
     * Identifies one registration of an actor. `version` numbers the views of a registration: a later view has a
     * greater number.
     */
    registration: id,
    version: count,
  },
  { encoding: valueEncoding(limits.actorViewBytesMax) },
);
/** The view of an actor: its state, and the part of its context that it chose to show. */
export type ActorView = MessageOf<typeof actorView>;

/** The answer to `take`. `taken`: the number of the latest request that the system has taken. */
export const takenAnswer = message("taken", {
  registration: id,
  taken: count,
  /** An encoded view, if the request named a state. */
  view: optional(bytes),
});
export type TakenAnswer = MessageOf<typeof takenAnswer>;

/** The answer to `alive`. `waiting`: those of the named requests that the system knows and has not answered. */
export const heartbeatAnswer = message("alive", { registration: id, waiting: list(id, limits.actorRequestsNamedMax) });

/** The question for the views of all actors of a realm: the last token of the subject to answer on. */
export const listQuestion = messageOf("list", name, { encoding: valueEncoding(limits.actorEventBytesMax) });

const machines = valueEncoding(limits.actorMachineBytesMax);

/**
 * The description of a machine: plain data whose reader checks its shape; null if the actor's logic is not a machine.
 */
export const machineDescription: Codec<Value> = {
  write: (description) => machines.encode(description, "machine"),
  read: (bytes) => machines.decode(bytes, "machine"),
};
