/** Pictures of machines, for people: Mermaid's state diagrams, and JSON. */
import type { AnyStateMachine, StateValue } from "xstate";
import { describeMachine, type MachineDescription, type StateDescription, type TransitionDescription } from "./machine-description.js";

/** How a machine is drawn. */
export interface DrawingOptions {
  /** State value of an actor of this machine: the states it is in are highlighted. */
  readonly current?: StateValue | undefined;
}

/** `machine` as JSON text: a MachineDescription. */
export function machineToJson(machine: AnyStateMachine): string {
  return JSON.stringify(describeMachine(machine), undefined, 2);
}

/** `machine` as a Mermaid state diagram. Nothing of it is left out. */
export function machineToMermaid(machine: AnyStateMachine, options: DrawingOptions = {}): string {
  const description = describeMachine(machine);
  const lines = ["stateDiagram-v2", ...inside(description, []), ...ownBox(description, [])];
  const current = options.current === undefined ? [] : leaves(options.current);
  if (current.length > 0) {
    lines.push("classDef current fill:#ffd54f,stroke:#7a5c00,color:#000,font-weight:bold");
    lines.push(...current.map((path) => `class ${idOf(path)} current`));
  }
  return `${lines.map((line, index) => (index === 0 ? line : `  ${line}`)).join("\n")}\n`;
}

/** Names of states from the outermost in. */
type Path = readonly string[];

function inside(state: StateDescription, path: Path): readonly string[] {
  const lines: string[] = [];
  if (state.initial !== undefined) lines.push(`[*] --> ${idOf([...path, state.initial])}`);
  const children = Object.entries(state.states ?? {});
  for (const [index, [name, child]] of children.entries()) {
    if (state.type === "parallel" && index > 0) lines.push("--");
    lines.push(...drawState(child, [...path, name]));
  }
  return lines;
}

function drawState(state: StateDescription, path: Path): readonly string[] {
  const id = idOf(path);
  const name = path.at(-1) ?? "";
  const arrows = (state.transitions ?? []).filter(leads).flatMap((transition) => drawArrows(id, transition));
  if (state.states !== undefined) {
    const within = [...inside(state, path), ...ownBox(state, path)].map((line) => `  ${line}`);
    return [`state ${JSON.stringify(name)} as ${id} {`, ...within, "}", ...arrows];
  }
  const shown = state.type === "history" ? `${name} (history)` : name;
  const declared = shown === id ? [id] : [`state ${JSON.stringify(shown)} as ${id}`];
  // Whatever is written in a box comes after its first line, which says its name.
  const written = ownLines(state).map((line) => `${id} : ${line}`);
  const named = written.length > 0 && shown === id ? [`${id} : ${id}`] : declared;
  const end = state.type === "final" ? [`${id} --> [*]`] : [];
  return [...named, ...written, ...arrows, ...end];
}

/** A box for what a state with states inside does in any of them. The machine as a whole has its arrows there too. */
function ownBox(state: StateDescription, path: Path): readonly string[] {
  const id = idOf([...path, "any"], "_of_all");
  const lines = ownLines(state).map((line) => `${id} : ${line}`);
  const arrows = path.length === 0 ? (state.transitions ?? []).filter(leads).flatMap((each) => drawArrows(id, each)) : [];
  if (lines.length === 0 && arrows.length === 0) return [];
  return [`${id} : in every state${path.length === 0 ? "" : ` of ${path.at(-1)}`}`, ...lines, ...arrows];
}

/** What a state does without leaving it. */
function ownLines(state: StateDescription): readonly string[] {
  const stays = (state.transitions ?? []).filter((transition) => !leads(transition));
  return [
    ...(state.invoke ?? []).map((name) => `runs ${name}`),
    ...(state.entry === undefined ? [] : [`entry / ${state.entry.join(", ")}`]),
    ...(state.exit === undefined ? [] : [`exit / ${state.exit.join(", ")}`]),
    ...stays.map(label),
  ].map(safe);
}

function leads(transition: TransitionDescription): boolean {
  return transition.target !== undefined;
}

function drawArrows(from: string, transition: TransitionDescription): readonly string[] {
  return (transition.target ?? []).map((target) => `${from} --> ${idOf(target.split("."))} : ${safe(label(transition))}`);
}

function label({ on, guard, actions }: TransitionDescription): string {
  return [on, guard === undefined ? "" : `[${guard}]`, actions === undefined ? "" : `/ ${actions.join(", ")}`].filter(Boolean).join(" ");
}

/** Mermaid ends a statement at `;` and begins a character's code with `#`. */
function safe(text: string): string {
  return text.replaceAll(/[;#:]/g, " ");
}

/** An id that Mermaid takes, the same for the same path. The suffix is one that no state has. */
function idOf(path: Path, suffix = ""): string {
  const id = path.join("_").replaceAll(/\W/g, "_") + suffix;
  return /^(?:end|state|note|class|default|direction|style|click|hide|scale|as)$/.test(id) ? `${id}_` : id;
}

function leaves(value: StateValue): readonly Path[] {
  if (typeof value === "string") return [[value]];
  return Object.entries(value).flatMap(([name, child]) => {
    if (child === undefined) return [];
    const below = leaves(child);
    return below.length === 0 ? [[name]] : below.map((path) => [name, ...path]);
  });
}

export type { MachineDescription };
