/** The actors of one instance that are recorded: the registered ones, and all that they have invoked or spawned. */
import type { AnyActorRef, InspectionEvent } from "xstate";
import { type Clock, encodeValue, limits, type Log, type Value } from "../../core/index.js";
import { actionName, guardName } from "../drawing/description.js";
import { reasonOf } from "../system/containment.js";
import {
  type AnySnapshot,
  type Describe,
  eventName,
  type Facts,
  type Followed,
  machineOf,
  named,
  nameOf,
  newlyFollowed,
  parentOf,
  pathOf,
  type SentEvent,
} from "./followed-actor.js";
import type { FrameSender } from "./frame-sender.js";
import { HandledEvents } from "./handled-events.js";
import { SentMachines } from "./sent-machines.js";

/** Part of a transition that XState names in an inspection event. */
interface NamedTransition {
  readonly guard?: unknown;
  readonly actions: readonly unknown[];
}

const noFacts: Facts = {};

export interface FollowedActorsDeps {
  readonly sender: FrameSender;
  readonly clock: Clock;
  readonly log: Log;
  /** Attached to the systems of XState. It must never throw. */
  readonly observer: (event: InspectionEvent) => void;
}

/**
 * Turns inspection events into items of the record.
 *
 * 1. An actor is in the record from `actor` to `gone`: while it is registered, or its parent is and has it as a child.
 * 2. An observer is attached once to each system of XState that has a registered actor.
 */
export class FollowedActors {
  readonly #deps: FollowedActorsDeps;
  readonly #byActor = new Map<AnyActorRef, Followed>();
  readonly #systems = new Map<object, { readonly subscription: { unsubscribe(): void }; roots: number }>();
  readonly #machines: SentMachines;
  readonly #events: HandledEvents;
  #refs = 0;
  /** Position in the turn of reading facts. */
  #factsAfter = 0;

  constructor(deps: FollowedActorsDeps) {
    this.#deps = deps;
    this.#machines = new SentMachines(deps.sender);
    this.#events = new HandledEvents(deps.sender);
  }

  get count(): number {
    return this.#byActor.size;
  }

  /** From now on every machine is sent again before the first actor that has it. */
  forgetMachines(): void {
    this.#machines.forget();
  }

  /** Follows `actor`, which is registered at `address`, and sends it with all its children. */
  add(address: string, actor: AnyActorRef, describe: Describe | undefined): void {
    const known = this.#byActor.get(actor);
    if (known?.addresses.has(address) === true) {
      if (known.leaving === address) known.leaving = undefined;
      this.#show(known);
      return;
    }
    this.#attach(actor);
    const parent = parentOf(actor);
    const followed = known ?? this.#follow(actor, parent === undefined ? undefined : this.#parentAmongFollowed(parent, actor));
    followed.addresses.set(address, describe);
    followed.describe ??= describe;
    followed.errors ??= actor.subscribe({ error: (error: unknown) => this.#guarded(() => this.#failed(followed, error)) });
    this.#show(followed);
  }

  /** The registration of `actor` at `address` ended. */
  remove(address: string, actor: AnyActorRef): void {
    const followed = this.#byActor.get(actor);
    if (followed?.addresses.has(address) !== true) return;
    this.#noteEnd(followed);
    if (followed.event !== undefined && followed.status === "active" && followed.leaving === undefined) {
      followed.leaving = address;
      return;
    }
    followed.leaving = undefined;
    followed.addresses.delete(address);
    this.#detach(actor);
    followed.describe = [...followed.addresses.values()].find((describe) => describe !== undefined);
    if (followed.addresses.size === 0) {
      followed.errors?.unsubscribe();
      followed.errors = undefined;
    }
    // Its path may have changed, and its facts.
    if (followed.addresses.size > 0 || followed.parent !== undefined) this.#show(followed);
    else this.#forget(followed);
  }

  /** Detaches all observers and forgets all actors. Sends nothing. */
  end(): void {
    for (const { subscription } of this.#systems.values()) subscription.unsubscribe();
    for (const { errors } of this.#byActor.values()) errors?.unsubscribe();
    this.#systems.clear();
    this.#byActor.clear();
    this.#machines.forget();
  }

  /** Reads what some actors describe, in turn, and sends what has changed. */
  readFacts(): void {
    const all = [...this.#byActor.values()].filter(({ describe }) => describe !== undefined);
    const countMax = Math.min(all.length, limits.recordFactsActorsMax);
    for (let read = 0; read < countMax; read++) {
      const followed = all[(this.#factsAfter + read) % all.length];
      if (followed === undefined) continue;
      const shown = this.#changedFacts(followed, followed.actor.getSnapshot());
      if (shown !== undefined) this.#deps.sender.push({ type: "facts", ms: this.#deps.sender.ms(), actor: followed.ref, shown });
    }
    this.#factsAfter = all.length === 0 ? 0 : (this.#factsAfter + countMax) % all.length;
  }

  /** Takes one inspection event of XState. */
  take(event: InspectionEvent): void {
    const actor = event.actorRef as AnyActorRef;
    switch (event.type) {
      case "@xstate.actor":
        this.#created(actor);
        return;
      case "@xstate.event":
        this.#sent(actor, event.sourceRef as AnyActorRef | undefined, event.event);
        return;
      case "@xstate.action":
        this.#acted(actor, event.action.type);
        return;
      case "@xstate.microstep":
        this.#stepped(actor, event.event, event["_transitions"]);
        return;
      case "@xstate.snapshot":
        this.#gotSnapshot(actor, event.event, event.snapshot);
        return;
      case "@xstate.transition":
        // XState 5.33 never emits it.
        return;
    }
  }

  #created(actor: AnyActorRef): void {
    const parent = parentOf(actor);
    const above = parent === undefined ? undefined : this.#byActor.get(parent);
    if (above === undefined || this.#byActor.has(actor)) return;
    // It has no snapshot yet: the first one follows when it starts.
    const child = this.#follow(actor, above);
    this.#send(child, undefined);
  }

  #sent(actor: AnyActorRef, source: AnyActorRef | undefined, event: SentEvent["event"]): void {
    const from = source === undefined ? undefined : this.#byActor.get(source);
    if (from !== undefined) {
      this.#events.works(from);
      if (event.type.startsWith("xstate.done.actor.") || event.type.startsWith("xstate.error.actor.")) this.#noteEnd(from);
    }
    const followed = this.#byActor.get(actor);
    if (followed !== undefined) this.#events.sent(followed, { event, source, from, isShown: false });
  }

  #acted(actor: AnyActorRef, type: string): void {
    const followed = this.#byActor.get(actor);
    if (followed === undefined) return;
    // It stops its children also when it is stopped itself, which is no event of its mailbox.
    if (type !== "xstate.stopChild") this.#events.works(followed);
    if (!type.startsWith("xstate.")) followed.actions.push(named(type));
  }

  #stepped(actor: AnyActorRef, event: SentEvent["event"], transitions: readonly NamedTransition[]): void {
    const followed = this.#byActor.get(actor);
    if (followed === undefined) return;
    this.#events.shows(followed, event);
    const ran = followed.actions;
    // The event changed nothing.
    if (transitions.length === 0 && ran.length === 0) return;
    followed.actions = [];
    followed.hasStepped = true;
    const { sender } = this.#deps;
    if (!sender.admits("steps")) return;
    const guards: string[] = [];
    // XState executes `assign` without an event: transitions name it.
    const actions = new Set<string>();
    for (const { guard, actions: inTransition } of transitions) {
      if (guard !== undefined) guards.push(named(guardName(guard)));
      for (const action of inTransition) actions.add(named(actionName(action)));
    }
    for (const action of ran) actions.add(action);
    const { event: handled } = followed;
    const name = eventName(event.type, handled?.event === event ? handled.source : undefined);
    sender.pushAdmitted({ type: "step", ms: sender.ms(), actor: followed.ref, event: name, guards, actions: [...actions] });
  }

  #gotSnapshot(actor: AnyActorRef, event: SentEvent["event"], snapshot: AnySnapshot): void {
    const followed = this.#byActor.get(actor);
    if (followed === undefined) return;
    this.#events.shows(followed, event);
    this.#settled(followed, snapshot);
  }

  /**
   * Records the end of `followed` if it has ended. Its parent or its owner may remove it before its last snapshot is
   * emitted, and a machine that throws emits none.
   */
  #noteEnd(followed: Followed): void {
    const snapshot = followed.actor.getSnapshot() as AnySnapshot;
    if (followed.status === "active" && snapshot.status !== "active") this.#settled(followed, snapshot);
  }

  #settled(followed: Followed, snapshot: AnySnapshot): void {
    this.#events.done(followed);
    const { sender } = this.#deps;
    const isMoved = followed.status === "active" && this.#noteValue(followed, snapshot.value ?? null);
    const shown = followed.describe !== undefined && !sender.isOverRate ? this.#changedFacts(followed, snapshot) : undefined;
    const isWhole = followed.hasStepped && !sender.isOverRate;
    followed.hasStepped = false;
    // It also ends the steps of an event that leaves the state as it was.
    if (isMoved || shown !== undefined || isWhole) this.#events.state(followed, shown);
    if (snapshot.status === "error") this.#failed(followed, snapshot.error);
    else if (snapshot.status !== followed.status) {
      followed.status = snapshot.status;
      followed.waiting.length = 0;
      if (snapshot.status !== "active") sender.push({ type: "stop", ms: sender.ms(), actor: followed.ref, status: snapshot.status });
    }
    this.#lookAtChildren(followed, snapshot);
    if (followed.leaving !== undefined) this.remove(followed.leaving, followed.actor);
  }

  #failed(followed: Followed, error: unknown): void {
    if (followed.status === "error") return;
    this.#events.works(followed);
    followed.status = "error";
    followed.waiting.length = 0;
    followed.reason = reasonOf(error);
    const { sender } = this.#deps;
    sender.push({ type: "failure", ms: sender.ms(), actor: followed.ref, reason: followed.reason });
    if (followed.leaving !== undefined) this.remove(followed.leaving, followed.actor);
  }

  /** Whether the value differs from the one before. */
  #noteValue(followed: Followed, value: Value): boolean {
    if (value === followed.value) return false;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    if (text === followed.valueText) return false;
    followed.value = value;
    followed.valueText = text;
    followed.since = this.#deps.clock.now();
    return true;
  }

  /** The facts that `followed` describes if they differ from those sent last. */
  #changedFacts(followed: Followed, snapshot: unknown): Facts | undefined {
    if (followed.describe === undefined) return undefined;
    try {
      const facts = followed.describe(snapshot);
      const encoded = encodeValue(facts);
      if (encoded.length > limits.recordFrameBytesMax || followed.shown?.equals(encoded) === true) return undefined;
      followed.shown = encoded;
      return facts;
    } catch (error) {
      this.#deps.log.debug({ err: error, actor: pathOf(followed) }, "what an actor describes could not be recorded");
      return undefined;
    }
  }

  #lookAtChildren(followed: Followed, { children }: AnySnapshot): void {
    if (children === undefined || children === followed.childrenSeen) return;
    followed.childrenSeen = children;
    const present = new Set(Object.values(children));
    for (const child of followed.children) if (!present.has(child.actor)) this.#orphan(child);
    for (const child of present) {
      if (child === undefined) continue;
      const known = this.#byActor.get(child);
      if (known === undefined) this.#show(this.#follow(child, followed));
      else if (known.parent !== followed) {
        known.parent = followed;
        followed.children.add(known);
        this.#show(known);
      }
    }
  }

  /** `child` has no parent any more. It stays if it has an address of its own. */
  #orphan(child: Followed): void {
    child.parent?.children.delete(child);
    child.parent = undefined;
    if (child.addresses.size > 0) this.#show(child);
    else this.#forget(child);
  }

  #forget(followed: Followed): void {
    this.#byActor.delete(followed.actor);
    followed.parent?.children.delete(followed);
    for (const child of followed.children) this.#orphan(child);
    const { sender } = this.#deps;
    sender.push({ type: "gone", ms: sender.ms(), actor: followed.ref });
  }

  #parentAmongFollowed(parent: AnyActorRef, child: AnyActorRef): Followed | undefined {
    const followed = this.#byActor.get(parent);
    const { children = {} } = parent.getSnapshot() as AnySnapshot;
    return followed !== undefined && Object.values(children).includes(child) ? followed : undefined;
  }

  #follow(actor: AnyActorRef, parent: Followed | undefined): Followed {
    const followed = newlyFollowed(this.#refs++, actor, parent);
    this.#byActor.set(actor, followed);
    parent?.children.add(followed);
    return followed;
  }

  /** Sends an actor as it is now, with its children. */
  #show(followed: Followed): void {
    const snapshot = followed.actor.getSnapshot() as AnySnapshot | undefined;
    this.#send(followed, snapshot);
    if (snapshot === undefined) return;
    const before = new Set(followed.children);
    this.#lookAtChildren(followed, snapshot);
    // Their paths begin with the path of this actor.
    for (const child of followed.children) if (before.has(child)) this.#show(child);
  }

  #send(followed: Followed, snapshot: AnySnapshot | undefined): void {
    const { sender } = this.#deps;
    const logic = machineOf(followed.actor);
    const machine = this.#machines.hashOf(logic);
    if (snapshot !== undefined) {
      const since = followed.since;
      this.#noteValue(followed, snapshot.value ?? null);
      // The state of an actor that is followed from now on began at some earlier time.
      if (since === undefined) followed.since = undefined;
      followed.status = snapshot.status;
      if (snapshot.status === "error") followed.reason ??= reasonOf(snapshot.error);
    }
    followed.shown = undefined;
    const shown = this.#changedFacts(followed, snapshot) ?? noFacts;
    sender.push({
      type: "actor",
      ms: sender.ms(),
      actor: followed.ref,
      parent: followed.parent?.ref,
      path: pathOf(followed),
      name: named(logic?.id ?? nameOf(followed.actor)),
      machine,
      status: followed.status,
      value: followed.value,
      since: followed.since === undefined ? undefined : Math.max(0, Math.floor(followed.since)),
      shown,
      reason: followed.reason,
    });
  }

  #attach(actor: AnyActorRef): void {
    const { system } = actor;
    const attached = this.#systems.get(system);
    if (attached !== undefined) attached.roots++;
    else this.#systems.set(system, { subscription: system.inspect(this.#deps.observer), roots: 1 });
  }

  #detach(actor: AnyActorRef): void {
    const attached = this.#systems.get(actor.system);
    if (attached === undefined || --attached.roots > 0) return;
    attached.subscription.unsubscribe();
    this.#systems.delete(actor.system);
  }

  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#deps.log.error({ err: error }, "a failure could not be recorded due to a bug");
    }
  }
}
