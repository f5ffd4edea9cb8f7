import { type AnyStateMachine, createMachine } from "xstate";
import { limits } from "../../core/index.js";
import { describeMachine, isRecord, unnamed } from "../drawing/description.js";
import { named } from "../record/followed-actor.js";

/** Objects and arrays in more than 10 levels of a definition are sent as these texts. */
const cut: readonly unknown[] = ["[Object]", "[Array]", "[Circular]"];
/** JavaScript names an inline function by the property that holds it. The inspector sends that name. */
const propertyNames: readonly unknown[] = ["", "guard", "actions", "entry", "exit"];

type Config = Readonly<Record<string, unknown>>;

/** A definition from `@statelyai/inspect`. An actor that is no machine has a definition with an id alone. */
export interface Definition {
  readonly id: string | undefined;
  /** Configuration of the machine. */
  readonly config: Config | undefined;
}

/** Reads the text of a definition. Any other text is a definition without an id. */
export function readDefinition(text: string): Definition {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return { id: undefined, config: undefined };
  }
  if (!isRecord(read)) return { id: undefined, config: undefined };
  const { id, ...rest } = read;
  return {
    id: typeof id === "string" && id !== "" ? named(id) : undefined,
    config: Object.keys(rest).length === 0 ? undefined : read,
  };
}

/**
 * A machine with the states and transitions of a configuration, and none of its effects. If transitions lead to states
 * that the inspector has cut off, it has the states alone; if `config` is no configuration, it has no states.
 */
export function statelyMachine(config: Config, id: string): AnyStateMachine {
  return (
    described({ ...stateOf(config, limits.actorMachineDepthMax, true), id }) ??
    described({ ...stateOf(config, limits.actorMachineDepthMax, false), id }) ??
    createMachine({ id })
  );
}

/** XState finds the targets of transitions when a machine is described, and throws for one that is missing. */
function described(config: object): AnyStateMachine | undefined {
  try {
    const machine: AnyStateMachine = createMachine(config);
    describeMachine(machine);
    return machine;
  } catch {
    return undefined;
  }
}

function stateOf(read: unknown, depthMax: number, hasTransitions: boolean): Readonly<Record<string, unknown>> {
  if (!isRecord(read) || depthMax === 0) return {};
  const { id, type, initial, history, target, states, entry, exit, invoke } = read;
  const inner = isRecord(states) ? mapped(states, (state) => stateOf(state, depthMax - 1, hasTransitions)) : undefined;
  const first = isRecord(initial) ? initial["target"] : initial;
  return defined({
    id: typeof id === "string" ? id : undefined,
    type: ["parallel", "final", "history"].includes(type as string) ? type : undefined,
    // XState describes no machine whose first state is missing.
    initial: typeof first === "string" && inner !== undefined && Object.hasOwn(inner, first) ? first : undefined,
    history: history === "deep" || history === "shallow" ? history : undefined,
    target: type === "history" && typeof target === "string" ? target : undefined,
    states: inner,
    entry: actionsOf(entry),
    exit: actionsOf(exit),
    invoke: invoke === undefined ? undefined : [invoke].flat().map((each) => invokeOf(each, hasTransitions)),
    ...(hasTransitions
      ? {
          on: isRecord(read["on"]) ? mapped(read["on"], transitionsOf) : undefined,
          after: isRecord(read["after"]) ? mapped(read["after"], transitionsOf) : undefined,
          always: transitionsOf(read["always"]),
          onDone: transitionsOf(read["onDone"]),
        }
      : {}),
  });
}

function invokeOf(read: unknown, hasTransitions: boolean): object {
  if (!isRecord(read)) return { src: unnamed };
  const { src, id, onDone, onError, onSnapshot } = read;
  // A machine that was written inline is an object with its id.
  const name = typeof src === "string" && !cut.includes(src) ? src : isRecord(src) && typeof src["id"] === "string" ? src["id"] : unnamed;
  const transitions = { onDone: transitionsOf(onDone), onError: transitionsOf(onError), onSnapshot: transitionsOf(onSnapshot) };
  return defined({ src: named(name), id: typeof id === "string" ? id : undefined, ...(hasTransitions ? transitions : {}) });
}

function transitionsOf(read: unknown): readonly object[] | undefined {
  if (read === undefined || read === null) return undefined;
  return [read].flat().flatMap((each) => {
    if (cut.includes(each)) return [];
    if (typeof each === "string") return [{ target: each }];
    if (!isRecord(each)) return [];
    const { target, guard, actions } = each;
    const targets = [target].flat().filter((one) => typeof one === "string" && !cut.includes(one));
    return [
      defined({
        target: targets.length === 0 ? undefined : targets,
        guard: guard === undefined ? undefined : nameOf(guard),
        actions: actionsOf(actions),
      }),
    ];
  });
}

function actionsOf(read: unknown): readonly string[] | undefined {
  return read === undefined || read === null ? undefined : [read].flat().map(nameOf);
}

/** The name of an action or a guard, which is a text, or an object with a type. */
function nameOf(read: unknown): string {
  if (typeof read === "string") return cut.includes(read) ? unnamed : named(read);
  if (!isRecord(read)) return unnamed;
  const { type } = read;
  const isInline = Object.keys(read).length === 1 && propertyNames.includes(type);
  return typeof type === "string" && !isInline ? named(type) : unnamed;
}

function mapped<T>(record: Readonly<Record<string, unknown>>, map: (value: unknown) => T): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

/** XState takes a property that is undefined for one that is given. */
function defined(config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}
