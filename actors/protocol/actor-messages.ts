/**
 * The conversation with an actor in another process. The actor `client/shop-1/connection` of realm `main` has the
 * address `zooid.main.actor.client.shop-1.connection`, where it takes requests. It publishes its views on
 * `zooid.main.view.client.shop-1.connection`.
 *
 *     remote                                     actor
 *       │ send {event} ──────────────────────────▶ │ if it accepts the event
 *       │ ◀──────────────────────────── {} | error │ once the event was processed
 *       │ view ──────────────────────────────────▶ │
 *       │ ◀─────────────────────────────── {view}  │
 *       │ watch ─────────────────────────────────▶ │ a lease, renewed every actorLeaseRenewalMs
 *       │ ◀─────────────────────────────── {view}  │
 *       │ ◀═══════════════════════════════ {view}  │ at each change, to all watchers, until no lease is left
 *
 *       │ machine ───────────────────────────────▶ │
 *       │ ◀──────────────────────────── {machine}  │ its states and transitions, for a drawing
 *
 * `zooid.main.actors` asks every process of the realm for the views of its actors: {answerTo}, the last token of a
 * subject.
 */
import { InvalidOptionError, limits, MalformedMessageError, type Value } from "../../core/index.js";
import { count, element, id, name, oneOf, text } from "./fields.js";
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
  const names = path.split("/");
  const reason = `is ${JSON.stringify(path.slice(0, 200))}, not 1 to ${limits.actorPathNamesMax} names of letters, digits, _ and - with / between`;
  if (names.length > limits.actorPathNamesMax || !names.every(isName)) throw new InvalidOptionError({ option: "path", reason });
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

export const actorRequest = union(
  "actor request",
  {
    send: variant("send", { event }),
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

export const actorView = message(
  "view",
  {
    path: text,
    /** Id of its machine, or of the actor if its logic is not a machine. */
    machine: text,
    status: oneOf("active", "done", "error", "stopped"),
    /** State value of the machine; null if its logic is not a machine. */
    value,
    context: record,
    /** Why it failed, in one line; null if it has not failed. */
    failure: textOrNull,
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
