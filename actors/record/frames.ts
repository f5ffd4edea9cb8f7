/**
 * The record of what the actors of a realm do. An instance is one actor system of one process. It sends nothing until
 * a watcher leases it.
 *
 *     watcher                                                  instance
 *       │ zooid.main.record.ask: snapshot ───────────────────────▶ │ begins to record, for actorLeaseMs
 *       │ ◀═════ zooid.main.record.<instance>: {number, items} ═══ │ all its actors, between `begin` and `end`
 *       │ ◀════════════════════════════════════════ {number, items} │ what happens, every recordFrameMs
 *       │ watch ─────────────────────────────────────────────────▶ │ every actorLeaseRenewalMs
 *       │ leave ─────────────────────────────────────────────────▶ │ without a watcher it stops
 *
 * All watchers get all frames. The frames of an instance have numbers without gaps. A watcher that misses one asks for
 * a snapshot. The items of a frame are in the order in which they happened.
 *
 * The record shows states, names and sizes. It never holds a context, a payload or a stored value, except what the
 * `describe` of a registration shows.
 */
import { encodeMessage, InvalidOptionError, limits, MalformedMessageError, type Value } from "../../core/index.js";
import { count, element, id, list, name, oneOf, optional, refined, text } from "../protocol/fields.js";
import { message, type MessageOf, union, variant } from "../protocol/message.js";
import { record, valueEncoding } from "../protocol/values.js";

/** Number of the format of frames. Watchers do not read another one. */
export const recordFormat = 1;

/** The subject on which instances of a realm are leased, and the subjects of their frames. */
export function recordSubjects(realm: string) {
  if (!/^[A-Za-z0-9_-]+$/.test(realm) || realm.length > limits.nameBytesMax)
    throw new InvalidOptionError({ option: "realm", reason: `is ${JSON.stringify(realm)}, not a name` });
  const of = (last: string) => `zooid.${realm}.record.${last}`;
  return { ask: of("ask"), frames: of, allFrames: of("*") };
}

const value = element((read) => read as Value);
const names = list(text, limits.recordItemsReadMax);
/** Milliseconds after the frame's `at`. */
const ms = count;
const actor = count;

export const recordQuestion = union("record question", {
  /** Renews a lease. */
  watch: variant("w", { watcher: name }),
  /** The same, and asks for a snapshot of `instance`, or of every instance. */
  snapshot: variant("s", { watcher: name, instance: optional(name) }),
  leave: variant("l", { watcher: name }),
});
export type RecordQuestion = MessageOf<typeof recordQuestion>;

/** Steps of a commit (`of`: its storage), and of an invalidation of cached results (`of`: its tag). */
export const noteKinds = ["sent", "committed", "refused", "written", "applied", "invalidated", "heard"] as const;

const item = union("record item", {
  /** A snapshot of all actors begins. Actors that happen to change meanwhile are in the same stream. */
  begin: variant("(", {}),
  /** The snapshot is complete. Actors that it did not show are gone. */
  end: variant(")", { actors: count }),
  /** A machine that actors refer to by `hash`: its MachineDescription. */
  machine: variant("m", { hash: id, definition: value }),
  /** An actor as it is now. `since` is when its state began, if that was recorded. */
  actor: variant("a", {
    ms,
    actor,
    parent: optional(count),
    path: text,
    name: text,
    machine: optional(id),
    status: oneOf("active", "done", "error", "stopped"),
    value,
    since: optional(count),
    shown: record,
    reason: optional(text),
  }),
  /** An actor got an event: from an actor, from itself (a timer) or, without `from`, from other code. */
  event: variant("e", { ms, actor, from: optional(count), event: text }),
  /** One microstep: its guards and actions by name. */
  step: variant("s", { ms, actor, event: text, guards: names, actions: names }),
  /** The state of an actor, or what it describes, has changed. */
  state: variant("v", { ms, actor, value, shown: optional(record) }),
  stop: variant("x", { ms, actor, status: oneOf("done", "stopped") }),
  failure: variant("!", { ms, actor, reason: text }),
  /** An actor is no longer there: its registration ended, or its parent removed it. */
  gone: variant("-", { ms, actor }),
  /** The facts that an actor describes, read again. */
  facts: variant("f", { ms, actor, shown: record }),
  /**
   * A step of a commit or an invalidation at one client, storage or node (`who`). `id` is the transaction id or the id
   * of the publication, `number` the tid or the sequence on the bus, `size` a count of keys.
   */
  note: variant("n", {
    ms,
    what: oneOf(...noteKinds),
    who: text,
    of: text,
    id: optional(text),
    number: optional(count),
    size: optional(count),
    reason: optional(text),
  }),
  /** Numbers of items that were left out since the frame before. */
  left: variant("~", { events: count, steps: count, states: count, notes: count, others: count }),
  /** Recording has stopped for `forMs`: it took `usedMs` of the last `ofMs`. Then comes a snapshot. */
  paused: variant("p", { ms, usedMs: count, ofMs: count, forMs: count }),
  /** The instance ends. */
  bye: variant(".", {}),
});

/** One item of a frame: what has happened, or an actor as it is. */
export type RecordItem = MessageOf<typeof item>;
export type ItemOf<Type extends RecordItem["type"]> = Extract<RecordItem, { readonly type: Type }>;

const format = refined(count, (read) => {
  if (read !== recordFormat) throw new MalformedMessageError({ what: "record frame", reason: `has format ${read}, not ${recordFormat}` });
});

export const recordFrame = message(
  "record frame",
  {
    format,
    instance: name,
    /** Counts the frames of an instance from 0. */
    number: count,
    /** Wall clock of the instance at the first item, in milliseconds. */
    at: count,
    items: list(item.nested, limits.recordItemsReadMax),
  },
  // Facts of actors are checked before they become items. Checking each frame again would take as long as the rest.
  { encoding: { encode: encodeMessage, decode: valueEncoding(limits.payloadBytesMax).decode } },
);
/** Items of one instance, in the order in which they happened. */
export type RecordFrame = MessageOf<typeof recordFrame>;

/** One entry for a watcher, and in a recording. `at` is the wall clock of the watcher, in milliseconds. */
export type RecordEntry =
  | { readonly type: "frame"; readonly at: number; readonly frame: RecordFrame }
  /** An instance has been silent for recordLostMs. */
  | { readonly type: "lost"; readonly at: number; readonly instance: string };
