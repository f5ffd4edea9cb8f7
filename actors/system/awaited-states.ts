/** Requests that wait until an actor here reaches a state. */
import type { AnyActorRef, AnyStateMachine, AnyStateNode } from "xstate";
import type { AwaitedState } from "../protocol/actor-messages.js";
import { type Clock, InvalidOptionError, type Value } from "../../core/index.js";
import { isRecord } from "../drawing/description.js";
import { namesInStatePath, statePathText } from "../drawing/state-path.js";
import type { AnySnapshot } from "./any-snapshot.js";

interface Wait {
  readonly until: AwaitedState;
  readonly end: (how: "reached" | "ended" | "late") => void;
  timer: unknown;
}

/** The requests that wait for states of one actor. Nothing is done at a transition while there are none. */
export class AwaitedStates {
  readonly #clock: Clock;
  readonly #waits = new Map<string, Wait>();
  #actor: AnyActorRef;
  #subscription: { unsubscribe(): void } | undefined;

  constructor(actor: AnyActorRef, clock: Clock) {
    this.#actor = actor;
    this.#clock = clock;
  }

  /**
   * Calls `end` once: when the actor has reached the state, perhaps now; when it has ended or failed before; or after
   * `withinMs`, unless the request is renewed.
   */
  add(id: string, until: AwaitedState, withinMs: number, end: Wait["end"]): void {
    const snapshot = this.#actor.getSnapshot() as AnySnapshot;
    if (isReached(snapshot, until)) return end("reached");
    if (snapshot.status !== "active") return end("ended");
    this.#waits.set(id, { until, end, timer: this.#timer(id, withinMs) });
    this.#subscription ??= this.#actor.subscribe({
      next: (next) => this.#look(next as AnySnapshot),
      complete: () => this.endAll(),
      error: () => this.endAll(),
    });
  }

  /** Lets a request wait for `withinMs` from now. */
  renew(id: string, withinMs: number): void {
    const wait = this.#waits.get(id);
    if (wait === undefined) return;
    this.#clock.clearTimeout(wait.timer);
    wait.timer = this.#timer(id, withinMs);
  }

  /** All waits end. */
  endAll(): void {
    for (const id of this.#waits.keys()) this.#end(id, "ended");
  }

  /** Waits that are added from now on are for the states of `actor`. */
  follow(actor: AnyActorRef): void {
    this.endAll();
    this.#actor = actor;
  }

  #look(snapshot: AnySnapshot): void {
    for (const [id, { until }] of this.#waits) if (isReached(snapshot, until)) this.#end(id, "reached");
  }

  #end(id: string, how: Parameters<Wait["end"]>[0]): void {
    const wait = this.#waits.get(id);
    if (wait === undefined) return;
    this.#waits.delete(id);
    this.#clock.clearTimeout(wait.timer);
    if (this.#waits.size === 0) {
      this.#subscription?.unsubscribe();
      this.#subscription = undefined;
    }
    wait.end(how);
  }

  #timer(id: string, withinMs: number): unknown {
    return this.#clock.setTimeout(() => this.#end(id, "late"), withinMs);
  }
}

function isReached(snapshot: AnySnapshot, { state, tag }: AwaitedState): boolean {
  return tag === undefined ? isIn(snapshot.value, state as Value) : snapshot.hasTag?.(tag) === true;
}

/** Whether a machine with this state value is in `state`. XState's `matches` takes a `.` in a name for a step. */
function isIn(value: Value | undefined, state: Value): boolean {
  if (typeof state === "string") return value === state || (isRecord(value) && Object.hasOwn(value, state));
  return isRecord(value) && Object.entries(state as object).every(([name, inner]) => isIn(value[name] as Value, inner as Value));
}

/**
 * The awaited state with a path as a value. Throws InvalidOptionError, which names `until`, if no state of the machine
 * can be the awaited one.
 */
export function checkedAwaited(machine: AnyStateMachine | undefined, { state, tag }: AwaitedState): AwaitedState {
  const refused = (reason: string) => new InvalidOptionError({ option: "until", reason });
  if (machine === undefined) throw refused("needs an actor that is a state machine");
  if (tag !== undefined) {
    if (!hasTag(machine.root, tag)) throw refused(`names no tag of machine ${machine.id}: ${JSON.stringify(tag)}`);
    return { tag };
  }
  const matched = valueOf(machine.root, state);
  if (matched === undefined) throw refused(`names no state of machine ${machine.id}: ${JSON.stringify(state)}`);
  return { state: matched };
}

/** A state value, or a path of names, as a state value; undefined: `node` has no such states. */
function valueOf(node: AnyStateNode, state: Value | undefined): Value | undefined {
  if (typeof state === "string") {
    if (inner(node, state) !== undefined) return state;
    const [first = "", ...rest] = namesInStatePath(state);
    const at = inner(node, first);
    if (at === undefined || rest.length === 0) return at === undefined ? undefined : first;
    const below = valueOf(at, statePathText(rest));
    return below === undefined ? undefined : { [first]: below };
  }
  if (!isRecord(state)) return undefined;
  const below = Object.entries(state).map(([name, value]) => {
    const at = inner(node, name);
    return [name, at === undefined ? undefined : valueOf(at, value)] as const;
  });
  // XState gives only a state without inner ones an empty value.
  if (below.length === 0) return Object.keys(node.states).length === 0 ? {} : undefined;
  return below.some(([, value]) => value === undefined) ? undefined : (Object.fromEntries(below) as Value);
}

function inner(node: AnyStateNode, name: string): AnyStateNode | undefined {
  return Object.hasOwn(node.states, name) ? node.states[name] : undefined;
}

function hasTag(node: AnyStateNode, tag: string): boolean {
  return node.tags.includes(tag) || Object.values(node.states).some((each) => hasTag(each, tag));
}
