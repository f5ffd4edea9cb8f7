/**
 * The model of a realm that follows from its record: the instances, their actors with their states, the latest
 * transitions, commits and invalidations. The same entries always give the same model. It reads no clock and no file,
 * so it serves terminals, pages, recordings and tests alike.
 */
import type { Value } from "../../core/value.js";
import { limits } from "../../core/limits.js";
import type { ItemOf, RecordEntry, RecordFrame, RecordItem } from "./frames.js";
import { Trails, type Trail } from "./trails.js";

export type { Trail } from "./trails.js";

type Facts = Readonly<Record<string, Value>>;

/** An actor as the record shows it. Times are wall clocks of its instance, in milliseconds. */
export interface ActorModel {
  /** Number of the actor at its instance. */
  readonly ref: number;
  readonly instance: string;
  /** Its address; for the child of an actor, `address#child`. */
  path: string;
  /** Id of its machine, or the name of its logic. */
  name: string;
  parent: number | undefined;
  /** Hash of its machine. */
  machine: string | undefined;
  status: ItemOf<"actor">["status"];
  /** State value; null if its logic is not a machine. */
  value: Value;
  /** When its state began. If that was before it was recorded: when it was seen first. */
  since: number;
  isSinceKnown: boolean;
  /** The facts that it describes. */
  shown: Facts;
  /** Why it failed. */
  reason: string | undefined;
  /** Counts since it is recorded. */
  events: number;
  transitions: number;
  /** Its last event if no state followed yet: it handles it, has failed on it, or the event had no effect. */
  open: { event: string; from: string | undefined; guards: string[]; actions: string[] } | undefined;
}

/**
 * `joining`: no snapshot has begun. `showing`: the first snapshot is not complete. `live`: the model is complete.
 * `behind`: a frame is missing, until the next snapshot is complete. `lost`: silent. `ended`: it said goodbye.
 */
export type InstanceState = "joining" | "showing" | "live" | "behind" | "paused" | "lost" | "ended";

/** One instance: an actor system of a process. */
export interface InstanceModel {
  readonly instance: string;
  state: InstanceState;
  /** Wall clock of the watcher at the last frame, in milliseconds. */
  heardAt: number;
  /** Its own wall clock then. */
  at: number;
  /** Number of the next frame. */
  next: number;
  frames: number;
  /** Times that frames were missing. */
  gaps: number;
  /** Items that the instance has left out, and actors beyond the bound of this model. */
  readonly left: { events: number; steps: number; states: number; notes: number; others: number; actors: number };
  readonly actors: Map<number, ActorModel>;
  /** Actors that the snapshot in progress has shown; undefined: there is none. */
  showing: Set<number> | undefined;
}

/** One transition of an actor: it ends where the actor comes to rest. */
export interface Transition {
  readonly at: number;
  readonly instance: string;
  readonly path: string;
  /** Id of the machine, or the name of the logic. */
  readonly name: string;
  readonly ref: number;
  /** Undefined: the record has left it out. */
  readonly event: string | undefined;
  /** Path of the actor that sent the event; `""`: other code; undefined: not known. */
  readonly from: string | undefined;
  readonly guards: readonly string[];
  readonly actions: readonly string[];
  readonly before: Value;
  readonly after: Value;
}

/** A change by an entry, for a reader of lines. An actor is a copy, as it was at that moment. */
export type Happening =
  | { readonly type: "instance"; readonly at: number; readonly instance: string; readonly state: InstanceState }
  | { readonly type: "actor"; readonly at: number; readonly actor: ActorModel; readonly isNew: boolean }
  | ({ readonly type: "transition" } & Transition)
  | { readonly type: "stopped"; readonly at: number; readonly actor: ActorModel }
  | { readonly type: "failed"; readonly at: number; readonly actor: ActorModel }
  | { readonly type: "gone"; readonly at: number; readonly actor: ActorModel }
  | { readonly type: "note"; readonly at: number; readonly instance: string; readonly note: ItemOf<"note">; readonly trail: Trail }
  | { readonly type: "left"; readonly at: number; readonly instance: string; readonly left: ItemOf<"left"> }
  | { readonly type: "paused"; readonly at: number; readonly instance: string; readonly paused: ItemOf<"paused"> };

/** All instances of a realm, and the latest of what they did. `applyEntry` changes it. */
export interface RecordModel {
  readonly instances: Map<string, InstanceModel>;
  /** Descriptions of machines by hash. */
  readonly machines: Map<string, Value>;
  /** The latest transitions, the newest last. */
  readonly transitions: Transition[];
  readonly commits: Trails;
  readonly invalidations: Trails;
  /** Counts since the model began. */
  readonly counts: { transitions: number; failures: number; commits: number; refused: number; invalidations: number };
}

/** The model before the first entry. */
export function emptyModel(): RecordModel {
  return {
    instances: new Map(),
    machines: new Map(),
    transitions: [],
    commits: new Trails("commit"),
    invalidations: new Trails("invalidation"),
    counts: { transitions: 0, failures: 0, commits: 0, refused: 0, invalidations: 0 },
  };
}

/** Changes `model` as `entry` says, and returns what has happened, in order. */
export function applyEntry(model: RecordModel, entry: RecordEntry): readonly Happening[] {
  const happened: Happening[] = [];
  if (entry.type === "lost") {
    const instance = model.instances.get(entry.instance);
    if (instance !== undefined) moveTo(instance, "lost", entry.at, happened);
    return happened;
  }
  const { frame, at } = entry;
  const instance = instanceOf(model, frame, at);
  const isInOrder = instance.frames === 0 || frame.number === instance.next;
  instance.frames++;
  instance.next = frame.number + 1;
  instance.heardAt = at;
  instance.at = frame.at;
  if (!isInOrder) {
    instance.gaps++;
    instance.showing = undefined;
    for (const actor of instance.actors.values()) actor.open = undefined;
  }
  if (instance.state === "lost" || instance.state === "ended") moveTo(instance, "joining", frame.at, happened);
  else if (!isInOrder && instance.state !== "joining") moveTo(instance, "behind", frame.at, happened);
  const reduction: Reduction = { model, instance, frameAt: frame.at, happened };
  for (const item of frame.items) applyItem(reduction, item);
  return happened;
}

interface Reduction {
  readonly model: RecordModel;
  readonly instance: InstanceModel;
  readonly frameAt: number;
  readonly happened: Happening[];
}

function applyItem(reduction: Reduction, item: RecordItem): void {
  const { model, instance, frameAt, happened } = reduction;
  switch (item.type) {
    case "begin":
      instance.showing = new Set();
      if (instance.state === "joining" || instance.state === "paused") moveTo(instance, "showing", frameAt, happened);
      return;
    case "end":
      endSnapshot(reduction);
      return;
    case "machine":
      if (!model.machines.has(item.hash) && model.machines.size >= limits.recordMachinesMax) {
        const [oldest] = model.machines.keys();
        if (oldest !== undefined) model.machines.delete(oldest);
      }
      model.machines.set(item.hash, item.definition);
      return;
    case "note":
      applyNote(reduction, item);
      return;
    case "left":
      for (const kind of ["events", "steps", "states", "notes", "others"] as const) instance.left[kind] += item[kind];
      happened.push({ type: "left", at: frameAt, instance: instance.instance, left: item });
      return;
    case "paused":
      // It is said again for each watcher that begins meanwhile.
      if (instance.state === "paused") return;
      moveTo(instance, "paused", frameAt + item.ms, happened);
      happened.push({ type: "paused", at: frameAt + item.ms, instance: instance.instance, paused: item });
      return;
    case "bye":
      moveTo(instance, "ended", frameAt, happened);
      instance.actors.clear();
      return;
    case "actor":
      showActor(reduction, item);
      return;
    default:
      applyToActor(reduction, item, frameAt + item.ms);
  }
}

/** Items of an actor that the model does not know belong to a snapshot that is still to come. */
function applyToActor(
  reduction: Reduction,
  item: ItemOf<"event" | "step" | "state" | "stop" | "failure" | "gone" | "facts">,
  at: number,
): void {
  const { model, instance, happened } = reduction;
  const actor = instance.actors.get(item.actor);
  if (actor === undefined) return;
  switch (item.type) {
    case "event":
      actor.events++;
      actor.open = { event: item.event, from: senderOf(instance, item.from), guards: [], actions: [] };
      return;
    case "step":
      actor.open ??= { event: item.event, from: undefined, guards: [], actions: [] };
      actor.open.guards.push(...item.guards);
      actor.open.actions.push(...item.actions);
      return;
    case "state":
      endTransition(reduction, actor, item, at);
      return;
    case "facts":
      actor.shown = item.shown;
      return;
    case "stop":
      actor.status = item.status;
      happened.push({ type: "stopped", at, actor: { ...actor } });
      return;
    case "failure":
      actor.status = "error";
      actor.reason = item.reason;
      model.counts.failures++;
      happened.push({ type: "failed", at, actor: { ...actor } });
      return;
    case "gone":
      instance.actors.delete(item.actor);
      happened.push({ type: "gone", at, actor: { ...actor } });
      return;
  }
}

/** Path of the actor that sent an event. */
function senderOf({ actors }: InstanceModel, from: number | undefined): string | undefined {
  return from === undefined ? "" : actors.get(from)?.path;
}

function endTransition({ model, instance, happened }: Reduction, actor: ActorModel, item: ItemOf<"state">, at: number): void {
  const { open, value: before } = actor;
  actor.open = undefined;
  if (item.shown !== undefined) actor.shown = item.shown;
  const isMoved = JSON.stringify(before) !== JSON.stringify(item.value);
  if (isMoved) {
    actor.since = at;
    actor.isSinceKnown = true;
  }
  actor.value = item.value;
  const { event, from, guards = [], actions = [] } = open ?? {};
  if (!isMoved && guards.length === 0 && actions.length === 0) return;
  actor.transitions++;
  model.counts.transitions++;
  const { instance: name } = instance;
  const { path, name: machine, ref } = actor;
  const transition = { at, instance: name, path, name: machine, ref, event, from, guards, actions, before, after: item.value };
  model.transitions.push(transition);
  if (model.transitions.length > 2 * limits.recordTransitionsMax) model.transitions.splice(0, limits.recordTransitionsMax);
  happened.push({ type: "transition", ...transition });
}

function showActor({ instance, frameAt, happened }: Reduction, item: ItemOf<"actor">): void {
  if (instance.state === "joining") return;
  const known = instance.actors.get(item.actor);
  const at = frameAt + item.ms;
  if (known === undefined && instance.actors.size >= limits.recordActorsMax) {
    instance.left.actors++;
    return;
  }
  const { path, name, parent, machine, status, value, since, shown, reason } = item;
  const actor: ActorModel = known ?? {
    ...{ ref: item.actor, instance: instance.instance, path, name, parent, machine, status, value, shown, reason },
    ...{ since: since ?? at, isSinceKnown: since !== undefined, events: 0, transitions: 0, open: undefined },
  };
  if (known !== undefined) {
    const isMoved = JSON.stringify(known.value) !== JSON.stringify(value);
    if (since !== undefined || isMoved) {
      known.since = since ?? at;
      known.isSinceKnown = since !== undefined;
    }
    Object.assign(known, { path, name, parent, machine, status, value, shown, reason });
  }
  instance.actors.set(item.actor, actor);
  instance.showing?.add(item.actor);
  happened.push({ type: "actor", at, actor: { ...actor }, isNew: known === undefined });
}

function endSnapshot({ instance, frameAt, happened }: Reduction): void {
  const { showing } = instance;
  if (showing === undefined) return;
  instance.showing = undefined;
  for (const [ref, actor] of instance.actors) {
    if (showing.has(ref)) continue;
    instance.actors.delete(ref);
    happened.push({ type: "gone", at: frameAt, actor: { ...actor } });
  }
  moveTo(instance, "live", frameAt, happened);
}

function applyNote({ model, instance, frameAt, happened }: Reduction, note: ItemOf<"note">): void {
  const at = frameAt + note.ms;
  const isInvalidation = note.what === "invalidated" || note.what === "heard";
  const trail = (isInvalidation ? model.invalidations : model.commits).add(note, at);
  if (note.what === "committed") model.counts.commits++;
  else if (note.what === "refused") model.counts.refused++;
  else if (note.what === "invalidated") model.counts.invalidations++;
  happened.push({ type: "note", at, instance: instance.instance, note, trail });
}

function instanceOf(model: RecordModel, { instance: name, number }: RecordFrame, at: number): InstanceModel {
  const known = model.instances.get(name);
  if (known !== undefined) return known;
  if (model.instances.size >= limits.recordInstancesMax) forgetOneInstance(model);
  const left = { events: 0, steps: 0, states: 0, notes: 0, others: 0, actors: 0 };
  const instance: InstanceModel = {
    ...{ instance: name, state: "joining", heardAt: at, at, next: number, frames: 0, gaps: 0, left },
    ...{ actors: new Map(), showing: undefined },
  };
  model.instances.set(name, instance);
  return instance;
}

/** Forgets an instance that is over; without one, the instance that has been silent for longest. */
function forgetOneInstance({ instances }: RecordModel): void {
  let oldest: InstanceModel | undefined;
  const isOver = ({ state }: InstanceModel) => state === "lost" || state === "ended";
  for (const each of instances.values()) {
    if (oldest === undefined || (isOver(each) && !isOver(oldest)) || (isOver(each) === isOver(oldest) && each.heardAt < oldest.heardAt))
      oldest = each;
  }
  if (oldest !== undefined) instances.delete(oldest.instance);
}

function moveTo(instance: InstanceModel, state: InstanceState, at: number, happened: Happening[]): void {
  if (instance.state === state) return;
  instance.state = state;
  if (state === "joining") {
    instance.actors.clear();
    instance.showing = undefined;
  }
  happened.push({ type: "instance", at, instance: instance.instance, state });
}
