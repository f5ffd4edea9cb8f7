import type { AnyActorRef, InspectionEvent, Observer } from "xstate";
import { type ActorSystem, createActorSystem, type SpawnedActor, type SpawnOptions } from "../../../actors/system/actor-system.js";
import { type RecordFrame, recordFrame, type RecordItem, recordSubjects } from "../../../actors/record/frames.js";
import { Recorder } from "../../../actors/record/recorder.js";
import { assert, type Clock, type Log, type Random } from "../../../core/index.js";
import type { NetworkEnd } from "../../../testing/network-end.js";
import type { SubscribeOptions, Transport } from "../../../transport/transport.js";
import type { plantMachine } from "./users-machines.js";
import { Causes } from "./causes.js";
import { tapHandled } from "./handled-tap.js";
import { childrenOf, parentOf, type Registered } from "./truth.js";

/** Counts of one kind: those that happened, and those that its frames show or count as left out. */
export interface Counts {
  happened: number;
  recorded: number;
}

/** Kinds that are counted when they are left out. */
export const countedKinds = ["events", "steps", "notes"] as const;
type CountedKind = (typeof countedKinds)[number];

interface System {
  inspect(observer: Observer<InspectionEvent> | ((event: InspectionEvent) => void)): { unsubscribe(): void };
}

export interface RecordedProcessDeps {
  readonly realm: string;
  readonly end: NetworkEnd;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called with each frame when it is sent. */
  readonly onFrame: (frame: RecordFrame) => void;
}

/** The actor system of one process, and counts of all that happens in it, which the record must show. */
export class RecordedProcess {
  readonly system: ActorSystem;
  /** The actors that are registered now, by address. */
  readonly roots = new Map<string, Registered>();
  /** Counts since recording began. */
  readonly counts: Readonly<Record<CountedKind, Counts>> = { events: zero(), steps: zero(), notes: zero() };
  /** Name of the instance in the record, once it has sent a frame. */
  instance: string | undefined;
  /** Observers that the recorder has attached. */
  observers = 0;
  /** Whether an action of the user runs at this moment: then the actors are not at rest. */
  isActing = false;
  /** Frames that were sent. */
  frames = 0;
  isRecording = false;
  /** The events that cause the transitions of its actors. */
  readonly causes = new Causes(this.roots);
  #spawning: string | undefined;
  readonly #observed = new Map<object, { attached: number }>();
  /** Actors that are not yet in the snapshot of their parents. */
  readonly #born = new Map<AnyActorRef, AnyActorRef>();
  /** Actors that handle an event and were there when they began. */
  readonly #busy = new Set<AnyActorRef>();
  /** Number of actions in the open microstep of an actor. */
  readonly #ran = new Map<AnyActorRef, number>();

  constructor({ realm, end, clock, random, log, onFrame }: RecordedProcessDeps) {
    const { ask, frames } = recordSubjects(realm);
    const prefix = frames("");
    const transport = tapped(end, (subject, payload) => {
      if (subject === ask || !subject.startsWith(prefix)) return;
      const frame = recordFrame.read(payload);
      this.instance = frame.instance;
      this.frames++;
      for (const item of frame.items) this.#recorded(item);
      onFrame(frame);
    });
    this.system = createActorSystem({ realm, transport, clock, random, log });
    this.#tapRecorder();
    this.#tapRegistrations();
  }

  /** Runs an action of the user. */
  act<T>(action: () => T): T {
    this.isActing = true;
    try {
      return action();
    } finally {
      this.isActing = false;
    }
  }

  /** Spawns a plant, which is registered until its `stop`. */
  spawn(path: string, logic: typeof plantMachine, options: SpawnOptions<typeof plantMachine>): SpawnedActor<typeof plantMachine> {
    const { system, roots } = this;
    this.#spawning = path;
    const spawned = system.spawn(path, logic, options);
    this.#spawning = undefined;
    const describe = options.describe as Registered["describe"];
    roots.set(path, {
      get actor() {
        return spawned.actor as AnyActorRef;
      },
      describe,
    });
    const stop = spawned.stop.bind(spawned);
    spawned.stop = () => {
      stop();
      roots.delete(path);
    };
    return spawned;
  }

  note(number: number): void {
    const { notes } = this.system;
    if (notes.isRecording) notes.note({ what: "invalidated", who: "user", of: `tag:${number % 7}`, id: `n${number}` });
  }

  #recorded(item: RecordItem): void {
    if (item.type === "event") this.counts.events.recorded++;
    else if (item.type === "step") this.counts.steps.recorded++;
    else if (item.type === "note") this.counts.notes.recorded++;
    else if (item.type === "left") for (const kind of countedKinds) this.counts[kind].recorded += item[kind];
  }

  #tapRecorder(): void {
    const { notes } = this.system;
    assert(notes instanceof Recorder, "the notes of a system are its recorder");
    Object.defineProperty(notes, "isRecording", {
      get: () => this.isRecording,
      set: (isRecording: boolean) => {
        this.isRecording = isRecording;
        this.causes.begin();
        for (const counts of Object.values(this.counts)) Object.assign(counts, zero());
      },
    });
    const note = notes.note.bind(notes);
    notes.note = (taken) => {
      if (this.isRecording) this.counts.notes.happened++;
      note(taken);
    };
    const add = notes.add.bind(notes);
    notes.add = (path, actor, describe) => {
      // A spawned actor starts before `spawn` returns.
      if (path === this.#spawning) this.roots.set(path, { actor, describe });
      this.#observe(actor.system);
      add(path, actor, describe);
    };
  }

  #tapRegistrations(): void {
    const { system, roots } = this;
    const register = system.register.bind(system);
    system.register = (path, actor, endpoint) => {
      const registered = { actor, describe: endpoint.describe };
      // The first frame may be sent before `register` returns.
      roots.set(path, registered);
      const end = register(path, actor, endpoint);
      return () => {
        if (roots.get(path) === registered) roots.delete(path);
        end();
      };
    };
  }

  /** Counts what happens in a system of XState, and the observers of the recorder there. */
  #observe(system: AnyActorRef["system"]): void {
    if (this.#observed.has(system)) return;
    const place = { attached: 0 };
    this.#observed.set(system, place);
    tapHandled(system, (actor, event, handle) => {
      if (!this.isRecording || place.attached === 0) {
        handle();
        return;
      }
      // Its registration may end meanwhile.
      const isThere = this.#isThere(actor);
      if (event.type !== "xstate.stop" && isThere) this.counts.events.happened++;
      if (isThere) this.#busy.add(actor);
      this.causes.handled(actor, event, handle);
      this.#busy.delete(actor);
    });
    const tap: System = system;
    const inspect = tap.inspect.bind(tap);
    inspect((event) => {
      if (this.isRecording && place.attached > 0) this.#take(event);
    });
    tap.inspect = (observer) => {
      const subscription = inspect(observer);
      place.attached++;
      this.observers++;
      return {
        unsubscribe: () => {
          place.attached--;
          this.observers--;
          subscription.unsubscribe();
        },
      };
    };
  }

  #take(event: InspectionEvent): void {
    const actor = event.actorRef as AnyActorRef;
    switch (event.type) {
      case "@xstate.actor": {
        const parent = parentOf(actor);
        if (parent !== undefined) this.#born.set(actor, parent);
        return;
      }
      case "@xstate.event":
        this.causes.sent(actor, event.sourceRef as AnyActorRef | undefined, event.event);
        if (event.event.type === "xstate.init" && this.#isThere(actor)) this.counts.events.happened++;
        return;
      case "@xstate.action":
        if (!event.action.type.startsWith("xstate.")) this.#ran.set(actor, (this.#ran.get(actor) ?? 0) + 1);
        return;
      case "@xstate.microstep": {
        const ran = this.#ran.get(actor) ?? 0;
        this.#ran.delete(actor);
        if ((event["_transitions"].length > 0 || ran > 0) && this.#isThere(actor)) this.counts.steps.happened++;
        return;
      }
      case "@xstate.snapshot":
        this.#ran.delete(actor);
        for (const [child, parent] of this.#born) if (parent === actor) this.#born.delete(child);
        return;
      case "@xstate.transition":
        return;
    }
  }

  /** Whether an actor is registered, or its parent is there and has it as a child. */
  #isThere(actor: AnyActorRef): boolean {
    if (this.#busy.has(actor)) return true;
    for (const root of this.roots.values()) if (root.actor === actor) return true;
    const parent = parentOf(actor);
    if (parent === undefined) return false;
    return (this.#born.get(actor) === parent || childrenOf(parent).includes(actor)) && this.#isThere(parent);
  }
}

function zero(): Counts {
  return { happened: 0, recorded: 0 };
}

/** `end`, whose publications are given to `onPublish` first. */
function tapped(end: NetworkEnd, onPublish: (subject: string, payload: Uint8Array) => void): Transport {
  return {
    kind: end.kind,
    get status() {
      return end.status;
    },
    address: end.address,
    payloadBytesMax: end.payloadBytesMax,
    publish: (subject, payload) => {
      onPublish(subject, payload);
      end.publish(subject, payload);
    },
    request: (subject, payload, options) => end.request(subject, payload, options),
    subscribe: (subject, handler, options?: SubscribeOptions) => end.subscribe(subject, handler, options),
    onStatus: (listener) => end.onStatus(listener),
    flush: () => end.flush(),
    close: () => end.close(),
  };
}
