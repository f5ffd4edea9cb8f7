/** The description of a machine as plain data: for pictures, JSON and programs. */
import type { AnyStateMachine, AnyStateNode } from "xstate";
import { limits, MalformedMessageError } from "../../core/index.js";
import { statePathText } from "./state-path.js";

/** A machine: its states, and the transitions between them. Every guard, action and delay is given by its name. */
export interface MachineDescription extends StateDescription {
  readonly id: string;
}

/** One state, with its inner states. */
export interface StateDescription {
  readonly type: "atomic" | "compound" | "parallel" | "final" | "history";
  /** Name of the inner state that is entered first. */
  readonly initial?: string;
  readonly entry?: readonly string[];
  readonly exit?: readonly string[];
  /** Names of the actors that run as long as the state is active. */
  readonly invoke?: readonly string[];
  readonly transitions?: readonly TransitionDescription[];
  readonly states?: Readonly<Record<string, StateDescription>>;
}

/**
 * `on` is an event, or a text for an event of XState: `after retryDelay`, `after 50 ms`, `verify done`,
 * `verify failed`, `always`.
 */
export interface TransitionDescription {
  readonly on: string;
  readonly guard?: string;
  readonly actions?: readonly string[];
  /**
   * Paths of states, names with `.` between; absent if the transition has no target. A `.` or `\` in a name has a `\`
   * before it.
   */
  readonly target?: readonly string[];
}

/** The name of a guard, action or actor that was written inline and has none. */
export const unnamed = "(unnamed)";

/** The description of `machine`. JSON can hold it. */
export function describeMachine(machine: AnyStateMachine): MachineDescription {
  return { id: machine.id, ...describeState(machine.root) };
}

function describeState(node: AnyStateNode): StateDescription {
  const sources = new Map(node.invoke.map((invoke) => [invoke.id, actorName(invoke.src)]));
  const transitions = [...(node.always ?? []), ...[...node.transitions.values()].flat()];
  const states = Object.fromEntries(Object.entries(node.states).map(([name, child]) => [name, describeState(child)]));
  // XState gives a compound state without `initial` an initial transition, too; a parallel one has none.
  const initial = node.type === "compound" ? node.initial.target[0]?.key : undefined;
  return {
    type: node.type,
    ...(initial === undefined ? {} : { initial }),
    ...listed("entry", actionNames(node.config.entry)),
    ...listed("exit", actionNames(node.config.exit)),
    ...listed("invoke", [...sources.values()]),
    ...listed(
      "transitions",
      transitions.map((transition) => describeTransition(transition, node, sources)),
    ),
    ...(Object.keys(states).length === 0 ? {} : { states }),
  };
}

interface Transition {
  readonly eventType: string;
  readonly guard?: unknown;
  readonly actions: readonly unknown[];
  readonly target: readonly AnyStateNode[] | undefined;
}

function describeTransition(transition: Transition, node: AnyStateNode, sources: ReadonlyMap<string, string>): TransitionDescription {
  const { guard, target } = transition;
  return {
    on: eventName(transition.eventType, node, sources),
    ...(guard === undefined ? {} : { guard: guardName(guard) }),
    ...listed("actions", transition.actions.map(actionName)),
    ...(target === undefined ? {} : { target: target.map((each) => statePathText(each.path)) }),
  };
}

function listed<Name extends string, Item>(name: Name, items: readonly Item[]): { readonly [N in Name]?: readonly Item[] } {
  return (items.length === 0 ? {} : { [name]: items }) as { readonly [N in Name]?: readonly Item[] };
}

/** XState's own events as text, without the ids that it generates. */
function eventName(eventType: string, node: AnyStateNode, sources: ReadonlyMap<string, string>): string {
  const ending = `.${node.id}`;
  const [, kind, rest = ""] = /^xstate\.(after|done\.actor|error\.actor|snapshot|done\.state)\.(.*)$/s.exec(eventType) ?? [];
  switch (kind) {
    case "after": {
      const delay = rest.endsWith(ending) ? rest.slice(0, -ending.length) : rest;
      return /^\d+$/.test(delay) ? `after ${delay} ms` : `after ${delay}`;
    }
    case "done.actor":
      return `${sources.get(rest) ?? rest} done`;
    case "error.actor":
      return `${sources.get(rest) ?? rest} failed`;
    case "snapshot":
      return `${sources.get(rest) ?? rest} changed`;
    case "done.state":
      return "done";
    default:
      return eventType === "" ? "always" : eventType === "*" ? "any other event" : eventType;
  }
}

function actorName(source: unknown): string {
  return typeof source === "string" && !source.startsWith("xstate.invoke.") ? source : unnamed;
}

/** Names of actions as they were written. XState adds its own actions for delays to the node's. */
function actionNames(actions: unknown): readonly string[] {
  return (actions === undefined ? [] : [actions].flat()).map(actionName);
}

/** The name of an action of a transition, or `unnamed`. */
export function actionName(action: unknown): string {
  const name = typeOf(action);
  // An inline action of XState has the type of its kind, which does not show its effect.
  return name === undefined || name.startsWith("xstate.") ? unnamed : name;
}

/** The name of a guard, or names with `not`, `and`, `or`; `unnamed` for an inline function. */
export function guardName(guard: unknown): string {
  const name = typeOf(guard);
  if (name !== undefined) return name;
  // `not`, `and`, `or` are functions that carry the guards they combine.
  if (typeof guard === "function" && "guards" in guard && Array.isArray(guard.guards)) {
    const parts = guard.guards.map(guardName);
    return guard.name === "not" ? `not ${parts.join()}` : `(${parts.join(` ${guard.name} `)})`;
  }
  return unnamed;
}

function typeOf(named: unknown): string | undefined {
  if (typeof named === "string") return named;
  const type = typeof named === "object" && named !== null && "type" in named ? named.type : undefined;
  return typeof type === "string" ? type : undefined;
}

/**
 * Checks a description from another process. Throws MalformedMessageError unless it has the shape of a description,
 * with at most `limits.actorMachineDepthMax` states inside each other. Undefined for null: the logic is not a machine.
 */
export function checkedDescription(value: unknown): MachineDescription | undefined {
  if (value === null) return undefined;
  const state = checkedState(value, limits.actorMachineDepthMax);
  const { id } = value as { readonly id?: unknown };
  if (typeof id !== "string") throw malformed("has no id");
  return { id, ...state };
}

function checkedState(value: unknown, depthMax: number): StateDescription {
  if (depthMax < 0) throw malformed("has too many states inside each other");
  if (!isRecord(value)) throw malformed("has a state that is no object");
  const { type, initial, entry, exit, invoke, transitions, states } = value;
  if (!stateTypes.includes(type as StateDescription["type"])) throw malformed("has a state of no known type");
  if (initial !== undefined && typeof initial !== "string") throw malformed("has an initial state without a name");
  if (transitions !== undefined && !(Array.isArray(transitions) && transitions.every(isTransition)))
    throw malformed("has transitions that are none");
  for (const texts of [entry, exit, invoke]) if (texts !== undefined && !isTexts(texts)) throw malformed("has actions without names");
  if (states === undefined) return value as unknown as StateDescription;
  if (!isRecord(states)) throw malformed("has states that are no object");
  for (const state of Object.values(states)) checkedState(state, depthMax - 1);
  return value as unknown as StateDescription;
}

function isTransition(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { on, guard, actions, target } = value;
  const isText = typeof on === "string" && (guard === undefined || typeof guard === "string");
  return isText && (actions === undefined || isTexts(actions)) && (target === undefined || isTexts(target));
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

/** Whether `value` is an object, and not an array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const stateTypes: readonly StateDescription["type"][] = ["atomic", "compound", "parallel", "final", "history"];

function malformed(reason: string): MalformedMessageError {
  return new MalformedMessageError({ what: "machine", reason });
}
