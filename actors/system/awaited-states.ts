/** Requests that wait until an actor here reaches a state. */
import type { AnyActorRef, AnyStateMachine, AnyStateNode } from "xstate";
import type { AwaitedState } from "../protocol/actor-messages.js";
import { type Clock, InvalidOptionError, type Value } from "../../core/index.js";
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
  return tag === undefined ? snapshot.matches?.(state as Value) === true : snapshot.hasTag?.(tag) === true;
}

/** Throws InvalidOptionError, which names `until`, if no state of the machine can be the awaited one. */
export function checkAwaited(machine: AnyStateMachine | undefined, { state, tag }: AwaitedState): void {
  const refuse = (reason: string): never => {
    throw new InvalidOptionError({ option: "until", reason });
  };
  if (machine === undefined) return refuse("needs an actor that is a state machine");
  if (tag === undefined && !hasState(machine.root, state)) refuse(`names no state of machine ${machine.id}: ${JSON.stringify(state)}`);
  if (tag !== undefined && !hasTag(machine.root, tag)) refuse(`names no tag of machine ${machine.id}: ${JSON.stringify(tag)}`);
}

function hasState(node: AnyStateNode, state: unknown): boolean {
  if (typeof state === "string") {
    let at: AnyStateNode | undefined = node;
    for (const name of state.split(".")) at = at === undefined ? undefined : inner(at, name);
    return at !== undefined;
  }
  if (typeof state !== "object" || state === null) return false;
  return Object.entries(state).every(([name, below]) => {
    const at = inner(node, name);
    return at !== undefined && hasState(at, below);
  });
}

function inner(node: AnyStateNode, name: string): AnyStateNode | undefined {
  return Object.hasOwn(node.states, name) ? node.states[name] : undefined;
}

function hasTag(node: AnyStateNode, tag: string): boolean {
  return node.tags.includes(tag) || Object.values(node.states).some((each) => hasTag(each, tag));
}
