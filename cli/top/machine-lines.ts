import type { MachineDescription, RecordModel, StateDescription } from "../../actors/index.js";
import type { Value } from "../../index.js";
import { duration } from "../progress.js";
import { timeText, transitionText } from "../record-lines.js";
import type { TopActor } from "./sampler.js";
import type { Line } from "./line.js";

/** Transitions of the actor that are shown. */
const transitionsShown = 12;
/** Characters of a line of facts. */
const factsWidth = 90;

/** The machine of an actor as lines: its states, the current ones marked, their transitions, and what happened last. */
export function machineLines(actor: TopActor, model: RecordModel): readonly Line[] {
  const instance = model.instances.get(actor.instance);
  const known = [...(instance?.actors.values() ?? [])].find(({ ref }) => actor.key.endsWith(` ${ref}`));
  const description = known?.machine === undefined ? undefined : (model.machines.get(known.machine) as MachineDescription | undefined);
  const since = actor.forMs === undefined ? "" : ` for ${duration(actor.forMs)}`;
  const facts = Object.entries(actor.context).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  const latest = model.transitions
    .filter(({ path, instance: at }) => path === actor.path && at === actor.instance)
    .slice(-transitionsShown)
    .map((transition): Line => ({ text: `  ${timeText(transition.at)}  ${transitionText({ type: "transition", ...transition })}` }));
  return [
    { text: `${actor.path} is ${actor.state}${since}`, style: actor.status === "error" ? "failed" : "head" },
    { text: `machine ${actor.machine}, system ${actor.instance}` },
    ...wrapped(facts),
    { text: "" },
    ...(description === undefined ? [{ text: "(it has no machine)" }] : stateLines(description, known?.value ?? null)),
    { text: "" },
    { text: latest.length === 0 ? "no transition since it is watched" : "latest transitions:" },
    ...latest.toReversed(),
  ];
}

/** Facts in few lines: the states below are looked at more often. */
function wrapped(facts: readonly string[]): readonly Line[] {
  const lines: string[] = [];
  for (const fact of facts) {
    const last = lines.at(-1);
    if (last === undefined || last.length + fact.length > factsWidth) lines.push(`  ${fact}`);
    else lines[lines.length - 1] = `${last}, ${fact}`;
  }
  return lines.map((text) => ({ text }));
}

/** The states of a machine, one a line; the current ones with their transitions. */
function stateLines(machine: MachineDescription, value: Value): readonly Line[] {
  const lines: Line[] = [];
  const visit = (state: StateDescription, name: string, current: Value | undefined, depth: number): void => {
    const isCurrent = current !== undefined;
    const kind = state.type === "atomic" || state.type === "compound" ? "" : ` (${state.type})`;
    const text = `${"  ".repeat(depth)}${isCurrent ? "●" : "○"} ${name}${kind}`;
    lines.push(isCurrent ? { text, style: "current" } : { text, style: "dim" });
    if (isCurrent) {
      for (const { on, guard, target } of state.transitions ?? []) {
        const to = target === undefined ? "" : ` -> ${target.join(", ")}`;
        lines.push({ text: `${"  ".repeat(depth + 1)}  ${on}${guard === undefined ? "" : ` [${guard}]`}${to}` });
      }
    }
    for (const [child, inner] of Object.entries(state.states ?? {})) visit(inner, child, valueIn(current, child), depth + 1);
  };
  visit(machine, machine.id, value, 0);
  return lines;
}

/** The part of a state value for the inner state `name`; undefined: it is not in that state. */
function valueIn(value: Value | undefined, name: string): Value | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "object") return value === name ? {} : undefined;
  return (value as Readonly<Record<string, Value>>)[name];
}
