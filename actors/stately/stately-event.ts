/** The messages of `@statelyai/inspect` (0.2 to 0.7) over WebSocket: JSON texts, one event of XState each. */
import { limits, MalformedMessageError, type Value } from "../../core/index.js";
import { isRecord } from "../drawing/description.js";
import { named } from "../record/followed-actor.js";
import { reasonOf } from "../system/containment.js";

/** The part of an actor's snapshot that is shown. Its context and output are not. */
export interface StatelySnapshot {
  readonly status: "active" | "done" | "error" | "stopped";
  /** Undefined: the logic of the actor is not a machine. */
  readonly value: Value | undefined;
  readonly reason: string;
}

/** One message. Actors are given by the session ids that XState makes in the application. */
export type StatelyEvent =
  | {
      readonly type: "actor";
      readonly session: string;
      readonly parent: string | undefined;
      readonly name: string | undefined;
      /** JSON of a machine's configuration, or of an object with an id alone. Undefined: it is no actor of XState. */
      readonly definition: string | undefined;
      /** As it was when the message was made: later than the actor's first snapshots. */
      readonly snapshot: StatelySnapshot;
    }
  | {
      readonly type: "event";
      /** The receiver. It may handle other events before this one. */
      readonly session: string;
      /** The sender. */
      readonly from: string | undefined;
      readonly event: string;
      /** Why the sender has failed, if this event says so. */
      readonly failure: string | undefined;
    }
  | {
      readonly type: "snapshot";
      readonly session: string;
      readonly snapshot: StatelySnapshot;
      /** The event that led to it. */
      readonly event: string | undefined;
    }
  /** An event of XState that is not shown. */
  | { readonly type: "other" };

/** Reads one message. Throws a MalformedMessageError for any other text. */
export function readStatelyEvent(text: string): StatelyEvent {
  const read = parsed(text);
  const { type } = read;
  switch (type) {
    case "@xstate.actor":
      return {
        type: "actor",
        session: sessionOf(read["sessionId"]),
        parent: textOf(read["parentId"]),
        name: textOf(read["name"]),
        definition: typeof read["definition"] === "string" ? read["definition"] : undefined,
        snapshot: snapshotOf(read["snapshot"]),
      };
    case "@xstate.event": {
      const event = isRecord(read["event"]) ? read["event"] : {};
      const { type: name, error } = event;
      if (typeof name !== "string") throw malformed("has an event without a type");
      const isFailure = name.startsWith("xstate.error.actor.");
      return {
        type: "event",
        session: sessionOf(read["sessionId"]),
        from: textOf(read["sourceId"]),
        event: named(name),
        failure: isFailure ? failureOf(error) : undefined,
      };
    }
    case "@xstate.snapshot": {
      const event = isRecord(read["event"]) ? textOf(read["event"]["type"]) : undefined;
      return { type: "snapshot", session: sessionOf(read["sessionId"]), snapshot: snapshotOf(read["snapshot"]), event };
    }
    default:
      if (typeof type === "string" && type.startsWith("@xstate.")) return { type: "other" };
      throw malformed("has no type of @statelyai/inspect");
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch (error) {
    throw new MalformedMessageError({ what: "message", reason: "is not JSON" }, error);
  }
  if (!isRecord(read)) throw malformed("is not an object");
  return read;
}

function sessionOf(read: unknown): string {
  if (typeof read !== "string" || read === "") throw malformed("has no sessionId");
  return named(read);
}

function textOf(read: unknown): string | undefined {
  return typeof read === "string" && read !== "" ? named(read) : undefined;
}

function snapshotOf(read: unknown): StatelySnapshot {
  if (!isRecord(read)) return { status: "active", value: undefined, reason: "" };
  const { status, value, error } = read;
  return {
    status: status === "done" || status === "error" || status === "stopped" ? status : "active",
    value: value === undefined ? undefined : stateOf(value, limits.actorMachineDepthMax),
    reason: failureOf(error),
  };
}

/** A state value, with its names cut as a record holds them. Any other value is no state. */
function stateOf(read: unknown, depthMax: number): Value {
  if (typeof read === "string" || typeof read === "number" || typeof read === "boolean") return named(String(read));
  if (!isRecord(read) || depthMax === 0) return null;
  const inner = Object.entries(read).slice(0, limits.statelyStateNamesMax);
  return Object.fromEntries(inner.map(([name, value]) => [named(name), stateOf(value, depthMax - 1)]));
}

/** The inspector sends an Error as `{}`. */
function failureOf(error: unknown): string {
  if (typeof error === "string") return reasonOf(error);
  if (isRecord(error) && typeof error["message"] === "string") return reasonOf(error["message"]);
  return "@statelyai/inspect does not send the reason";
}

function malformed(reason: string): MalformedMessageError {
  return new MalformedMessageError({ what: "message", reason });
}
