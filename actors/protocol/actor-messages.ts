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
import {
  decodeValue,
  encodeValue,
  InvalidOptionError,
  limits,
  MalformedMessageError,
  TooLargeError,
  type Value,
  ZooidError,
} from "../../core/index.js";
import * as shape from "./checks.js";
import type { Codec } from "./codec.js";

/** An event from outside: plain data with a `type`, frozen. */
export interface RemoteEvent {
  readonly type: string;
  readonly [fact: string]: Value;
}

export type ActorRequest =
  | { readonly type: "send"; readonly event: RemoteEvent }
  | { readonly type: "view" }
  | { readonly type: "watch" }
  | { readonly type: "machine" };

/** The view of an actor: its state, and the part of its context that it chose to show. */
export interface ActorView {
  readonly path: string;
  /** Id of its machine, or of the actor if its logic is not a machine. */
  readonly machine: string;
  readonly status: "active" | "done" | "error" | "stopped";
  /** State value of the machine; null if its logic is not a machine. */
  readonly value: Value;
  readonly context: Readonly<Record<string, Value>>;
  /** Why it failed, in one line; null if it has not failed. */
  readonly failure: string | null;
  /** Wall clock of the actor's process, in milliseconds. */
  readonly at: number;
  /**
   * Identifies one registration of an actor. `version` numbers the views of a registration: a later view has a greater
   * number.
   */
  readonly registration: string;
  readonly version: number;
}

const statuses = ["active", "done", "error", "stopped"] as const satisfies readonly ActorView["status"][];
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

export const actorRequest: Codec<ActorRequest> = {
  write: (request) => encode("event", request.type === "send" ? ["send", request.event] : [request.type], limits.actorEventBytesMax),
  read: (bytes) => {
    const message = decode("actor request", bytes, limits.actorEventBytesMax);
    const type = shape.oneOf(Array.isArray(message) ? message[0] : undefined, "actor request", ["send", "view", "watch", "machine"]);
    const read = shape.fields(message, "actor request", type === "send" ? 2 : 1);
    return type === "send" ? { type, event: remoteEvent(read[1]) } : { type };
  },
};

export const actorView: Codec<ActorView> = {
  write: (view) => encode("view", viewFields(view), limits.actorViewBytesMax),
  read: (bytes) => viewFrom(decode("view", bytes, limits.actorViewBytesMax)),
};

/** The question for the views of all actors of a realm: the last token of the subject to answer on. */
export const listQuestion: Codec<string> = {
  write: (answerTo) => encode("list", [answerTo], limits.actorEventBytesMax),
  read: (bytes) => shape.name(shape.fields(decode("list", bytes, limits.actorEventBytesMax), "list", 1)[0], "list.answerTo"),
};

/**
 * The description of a machine: plain data whose reader checks its shape; null if the actor's logic is not a machine.
 */
export const machineDescription: Codec<Value> = {
  write: (description) => encode("machine", description, limits.actorMachineBytesMax),
  read: (bytes) => decode("machine", bytes, limits.actorMachineBytesMax),
};

function encode(what: string, message: unknown, sizeMax: number): Uint8Array {
  const bytes = encodeValue(message);
  if (bytes.length > sizeMax) throw new TooLargeError({ what, size: bytes.length, sizeMax });
  return bytes;
}

function decode(what: string, bytes: Uint8Array, sizeMax: number): Value {
  if (bytes.length > sizeMax) throw new TooLargeError({ what, size: bytes.length, sizeMax });
  try {
    return decodeValue(bytes).value;
  } catch (error) {
    if (!(error instanceof ZooidError)) throw error;
    throw new MalformedMessageError({ what, reason: error.message }, error);
  }
}

function remoteEvent(value: unknown): RemoteEvent {
  const event = record(value, "event");
  if (typeof event["type"] !== "string" || event["type"].length > limits.nameBytesMax) {
    throw new MalformedMessageError({ what: "event", reason: `has no type of at most ${limits.nameBytesMax} characters` });
  }
  return event as RemoteEvent;
}

function record(value: unknown, what: string): Readonly<Record<string, Value>> {
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    throw new MalformedMessageError({ what, reason: "is not an object" });
  }
  return value as Readonly<Record<string, Value>>;
}

function viewFields(view: ActorView): readonly unknown[] {
  return [view.path, view.machine, view.status, view.value, view.context, view.failure, view.at, view.registration, view.version];
}

function viewFrom(message: unknown): ActorView {
  const [path, machine, status, value, context, failure, at, registration, version] = shape.fields(message, "view", 9);
  if (typeof path !== "string" || typeof machine !== "string") {
    throw new MalformedMessageError({ what: "view", reason: "names no actor" });
  }
  if (failure !== null && typeof failure !== "string")
    throw new MalformedMessageError({ what: "view", reason: "has a failure that is no text" });
  return {
    path,
    machine,
    status: shape.oneOf(status, "view.status", statuses),
    // Decoded as a Value, like all of the message.
    value: value as Value,
    context: record(context, "view.context"),
    failure,
    at: shape.count(at, "view.at"),
    registration: shape.id(registration, "view.registration"),
    version: shape.count(version, "view.version"),
  };
}
