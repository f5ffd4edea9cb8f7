import { limits, unreachable, type Value } from "../../core/index.js";
import { named } from "../record/followed-actor.js";
import type { FrameSender } from "../record/frame-sender.js";
import { SentMachines } from "../record/sent-machines.js";
import type { DistinctNames } from "./distinct-names.js";
import type { StatelyEvent, StatelySnapshot } from "./stately-event.js";
import { readDefinition, statelyMachine } from "./stately-machine.js";

/** One actor of the application. */
interface Session {
  /** Number of the actor in the record. It is never used again. */
  readonly ref: number;
  readonly session: string;
  readonly parent: Session | undefined;
  /** Path before it was made distinct. */
  readonly base: string;
  readonly path: string;
  /** Id of its machine, or its own id. */
  readonly name: string;
  /** Hash of its machine, if its definition was read. */
  readonly machine: string | undefined;
  /** An actor of XState: a snapshot follows each event that it handles. */
  readonly isXState: boolean;
  /** Events that it has not handled yet, with their senders, oldest first. */
  readonly waiting: { readonly event: string; readonly from: number | undefined }[];
  /** Children that have ended, and whose last events wait here. */
  readonly leaving: Set<Session>;
  value: Value;
  valueText: string | undefined;
  isShown: boolean;
  hasEnded: boolean;
}

/** The part of a definition that actors need. */
interface Defined {
  readonly id: string | undefined;
  /** Hash of the machine; undefined: the definition has an id alone. */
  readonly machine: string | undefined;
}

/**
 * The actors of one application, from the messages of its `@statelyai/inspect` to items of a record.
 *
 * 1. An actor is shown at its first snapshot: the message of its creation has a later state than that.
 * 2. A child is in the record until it ends. A root stays when it has ended; of these, the latest
 *    `limits.statelyEndedMax`.
 * 3. An event is shown when its actor has handled it: its message is of the moment when it was sent.
 * 4. An actor whose creation was not received is shown at its first message, by its session id.
 */
export class StatelyActors {
  readonly #sender: FrameSender;
  readonly #paths: DistinctNames;
  readonly #machines: SentMachines;
  readonly #sessions = new Map<string, Session>();
  /** Ids and machines by the texts of their definitions. */
  readonly #definitions = new Map<string, Defined>();
  #definitionsLength = 0;
  /** Roots that have ended, oldest first. */
  readonly #ended = new Set<Session>();
  /** Events that wait, of all actors. */
  #waiting = 0;
  #refs = 0;

  /** `paths` are those of all applications, so that no two actors share one. */
  constructor(sender: FrameSender, paths: DistinctNames) {
    this.#sender = sender;
    this.#paths = paths;
    this.#machines = new SentMachines(sender);
  }

  /** Takes one message. Above the rate of a record it counts events and new actors, and still sends new states. */
  take(event: StatelyEvent): void {
    switch (event.type) {
      case "actor":
        this.#created(event);
        return;
      case "event":
        this.#gotEvent(event);
        return;
      case "snapshot":
        this.#settled(event);
        return;
      case "other":
        return;
      default:
        unreachable(event);
    }
  }

  /** The application is gone: its paths are free. */
  end(): void {
    for (const { base } of this.#sessions.values()) this.#paths.release(base);
    this.#sessions.clear();
    this.#ended.clear();
    this.#waiting = 0;
  }

  #created({ session, parent, name, definition, snapshot }: Extract<StatelyEvent, { readonly type: "actor" }>): void {
    if (!this.#sender.admits("events")) return;
    // A second copy of XState in the application counts its sessions from 0, too.
    const known = this.#sessions.get(session);
    if (known !== undefined) this.#forget(known);
    const made = this.#follow(session, parent, name, definition);
    // Without XState there may be no snapshot until something changes.
    if (definition === undefined && made !== undefined) this.#show(made, snapshot);
  }

  #gotEvent({ session, from, event, failure }: Extract<StatelyEvent, { readonly type: "event" }>): void {
    const sender = from === undefined ? undefined : this.#sessions.get(from);
    this.#wait(session, { event, from: sender?.ref });
    // A machine that throws sends no snapshot: its parent gets this event.
    if (sender !== undefined && failure !== undefined) this.#end(sender, { status: "error", value: undefined, reason: failure });
  }

  #wait(session: string, waiting: Session["waiting"][number]): void {
    const target = this.#sessions.get(session);
    if (target?.isShown !== true || target.hasEnded) return;
    if (!target.isXState) this.#handled(target, waiting);
    else if (this.#waiting < limits.statelyEventsWaitingMax) {
      this.#waiting++;
      target.waiting.push(waiting);
    }
  }

  #settled({ session, snapshot, event }: Extract<StatelyEvent, { readonly type: "snapshot" }>): void {
    const known = this.#sessions.get(session);
    // The last snapshot of an actor that is gone from the record already.
    if (known === undefined && snapshot.status !== "active") return;
    const target = known ?? (this.#sender.admits("events") ? this.#follow(session, undefined, undefined, undefined) : undefined);
    if (target === undefined || target.hasEnded) return;
    if (!target.isShown) this.#show(target, snapshot);
    else {
      const handled = event ?? target.waiting[0]?.event;
      if (handled !== undefined && handled !== "xstate.stop")
        this.#handled(target, { event: handled, from: this.#takeSender(target, handled) });
      if (this.#isMoved(target, snapshot.value ?? target.value))
        this.#sender.pushState({ type: "state", ms: this.#sender.ms(), actor: target.ref, value: target.value, shown: undefined });
    }
    for (const child of target.leaving) if (!isAwaited(child)) this.#forget(child);
    if (snapshot.status !== "active") this.#end(target, snapshot);
  }

  #handled({ ref: actor }: Session, { event, from }: Session["waiting"][number]): void {
    if (this.#sender.admits("events")) this.#sender.pushAdmitted({ type: "event", ms: this.#sender.ms(), actor, from, event });
  }

  /** The sender of the oldest `event` that waits. Older events were dropped by the actor. */
  #takeSender({ waiting }: Session, event: string): number | undefined {
    const index = waiting.findIndex((each) => each.event === event);
    if (index < 0) return undefined;
    const from = waiting[index]?.from;
    waiting.splice(0, index + 1);
    this.#waiting -= index + 1;
    return from;
  }

  #follow(session: string, parentId: string | undefined, given: string | undefined, definition: string | undefined): Session | undefined {
    if (this.#sessions.size >= limits.statelyActorsMax) {
      this.#sender.leaveOut("events");
      return undefined;
    }
    const parent = parentId === undefined ? undefined : this.#sessions.get(parentId);
    const { id, machine } = this.#defined(definition);
    const own = given ?? session;
    // XState has made the id itself, from a number.
    const isMade = /^(?:\d+\.|x:\d)/.test(own);
    const base = named(`${parent === undefined ? "" : `${parent.path}#`}${isMade ? (id ?? own) : own}`);
    const made: Session = {
      ...{ ref: this.#refs++, session, parent, base, path: this.#paths.take(base), name: id ?? own, machine },
      ...{ isXState: definition !== undefined || given === undefined, waiting: [], leaving: new Set() },
      ...{ value: null, valueText: undefined, isShown: false, hasEnded: false },
    };
    this.#sessions.set(session, made);
    return made;
  }

  #show(target: Session, { value, reason, status }: StatelySnapshot): void {
    const { ref, parent, path, name } = target;
    this.#isMoved(target, value ?? null);
    target.isShown = true;
    // Only the snapshots of machines have a value.
    const machine = value === undefined ? undefined : (target.machine ?? this.#machines.hashOf(statelyMachine({}, name)));
    const isFailed = status === "error";
    this.#sender.push({
      ...{ type: "actor", ms: this.#sender.ms(), actor: ref, parent: parent?.ref, path, name, machine, status: "active" },
      ...{ value: target.value, since: undefined, shown: {}, reason: isFailed ? reason : undefined },
    });
  }

  /** Definitions beyond the bounds count as absent: their actors are shown, and their states are not. */
  #defined(definition: string | undefined): Defined {
    if (definition === undefined || definition.length > limits.statelyDefinitionLengthMax) return undefinedOne;
    const known = this.#definitions.get(definition);
    if (known !== undefined) return known;
    const { id, config } = readDefinition(definition);
    // Actors without a machine have an id each: such texts are not kept.
    if (config === undefined) return { id, machine: undefined };
    if (this.#definitionsLength + definition.length > limits.statelyDefinitionsLengthMax) return { id, machine: undefined };
    this.#definitionsLength += definition.length;
    const made = { id, machine: this.#machines.hashOf(statelyMachine(config, id ?? "(machine)")) };
    this.#definitions.set(definition, made);
    return made;
  }

  #end(target: Session, { status, reason }: StatelySnapshot): void {
    if (target.hasEnded) return;
    target.hasEnded = true;
    const { ref: actor, waiting } = target;
    // A machine that throws at an event sends no snapshot of it.
    if (status === "error" && waiting[0] !== undefined) this.#handled(target, waiting[0]);
    this.#waiting -= waiting.length;
    waiting.length = 0;
    const ms = this.#sender.ms();
    if (target.isShown && status === "error") this.#sender.push({ type: "failure", ms, actor, reason });
    else if (target.isShown && (status === "done" || status === "stopped")) this.#sender.push({ type: "stop", ms, actor, status });
    const { parent } = target;
    if (parent === undefined) this.#ended.add(target);
    else if (isAwaited(target)) parent.leaving.add(target);
    else this.#forget(target);
    if (this.#ended.size <= limits.statelyEndedMax) return;
    for (const oldest of this.#ended) {
      this.#forget(oldest);
      return;
    }
  }

  #forget(target: Session): void {
    this.#sessions.delete(target.session);
    this.#ended.delete(target);
    target.parent?.leaving.delete(target);
    for (const child of target.leaving) this.#forget(child);
    this.#paths.release(target.base);
    this.#waiting -= target.waiting.length;
    target.waiting.length = 0;
    if (target.isShown) this.#sender.push({ type: "gone", ms: this.#sender.ms(), actor: target.ref });
  }

  /** Notes the value. Whether it differs from the one before. */
  #isMoved(target: Session, value: Value): boolean {
    const text = JSON.stringify(value);
    if (text === target.valueText) return false;
    target.value = value;
    target.valueText = text;
    return true;
  }
}

const undefinedOne: Defined = { id: undefined, machine: undefined };

/** Whether the parent of an actor has still to handle an event of it. */
function isAwaited({ ref, parent }: Session): boolean {
  return parent !== undefined && parent.waiting.some(({ from }) => from === ref);
}
