/** Pictures of machines, for people: Mermaid's state diagrams, and JSON. */
import type { AnyStateMachine, StateValue } from "xstate";
import { describeMachine, type MachineDescription, type StateDescription, type TransitionDescription } from "./description.js";

/** How a machine is drawn. */
export interface DrawingOptions {
  /** State value of an actor of this machine: the states it is in are highlighted. */
  readonly current?: StateValue | undefined;
}

/** `machine`, or a description of it, as JSON text: a MachineDescription. */
export function machineToJson(machine: AnyStateMachine | MachineDescription): string {
  return JSON.stringify(descriptionOf(machine), undefined, 2);
}

/** `machine`, or a description of it, as a complete Mermaid state diagram. */
export function machineToMermaid(machine: AnyStateMachine | MachineDescription, options: DrawingOptions = {}): string {
  const description = descriptionOf(machine);
  const lines = ["stateDiagram-v2", ...inside(description, []), ...ownBox(description, []), ...crossings(description, [])];
  const current = options.current === undefined ? [] : leaves(options.current);
  if (current.length > 0) {
    lines.push("classDef current fill:#ffd54f,stroke:#7a5c00,color:#000,font-weight:bold");
    lines.push(...current.map((path) => `class ${idOf(path)} current`));
  }
  return `${lines.map((line, index) => (index === 0 ? line : `  ${line}`)).join("\n")}\n`;
}

/** The description of `machine`, which may be one already. */
export function descriptionOf(machine: AnyStateMachine | MachineDescription): MachineDescription {
  return "root" in machine ? describeMachine(machine) : machine;
}

/** Names of states from the outermost in. */
type Path = readonly string[];

function inside(state: StateDescription, path: Path): readonly string[] {
  const lines: string[] = [];
  if (state.initial !== undefined) lines.push(`[*] --> ${idOf([...path, state.initial])}`);
  for (const [index, [name, child]] of childrenOf(state).entries()) {
    if (state.type === "parallel" && index > 0) lines.push("--");
    lines.push(...drawState(child, [...path, name]));
  }
  return lines;
}

function drawState(state: StateDescription, path: Path): readonly string[] {
  const id = idOf(path);
  const name = path.at(-1) ?? "";
  const arrows = arrowsOf(state, path).filter(staysInside).map(drawArrow);
  if (state.states !== undefined) {
    const within = [...inside(state, path), ...ownBox(state, path)].map((line) => `  ${line}`);
    return [`state ${JSON.stringify(name)} as ${id} {`, ...within, "}", ...arrows];
  }
  const shown = state.type === "history" ? `${name} (history)` : name;
  const written = ownLines(state).map((line) => `${id} : ${line}`);
  // The lines of a box come after its first line, which is its name.
  const declared = shown !== id ? `state ${JSON.stringify(shown)} as ${id}` : written.length > 0 ? `${id} : ${id}` : id;
  const end = state.type === "final" ? [`${id} --> [*]`] : [];
  return [declared, ...written, ...arrows, ...end];
}

/**
 * A box for the actions that a compound state performs in every inner state. The box of the whole machine has its
 * arrows, too.
 */
function ownBox(state: StateDescription, path: Path): readonly string[] {
  const id = idOf([...path, "any"], "__of");
  const lines = ownLines(state).map((line) => `${id} : ${line}`);
  const leaving = path.length === 0 ? (state.transitions ?? []).filter(leads) : [];
  if (lines.length === 0 && leaving.length === 0) return [];
  const arrows = leaving.flatMap((each) => each.target.map((target) => `${id} --> ${idOf(target.split("."))} : ${safe(label(each))}`));
  return [`${id} : in every state${path.length === 0 ? "" : ` of ${path.at(-1)}`}`, ...lines, ...arrows];
}

interface Arrow {
  readonly from: Path;
  readonly to: Path;
  readonly transition: TransitionDescription;
}

function arrowsOf(state: StateDescription, path: Path): readonly Arrow[] {
  return (state.transitions ?? [])
    .filter(leads)
    .flatMap((transition) => transition.target.map((target) => ({ from: path, to: target.split("."), transition })));
}

/** Whether both ends are children of the same state. */
function staysInside({ from, to }: Arrow): boolean {
  return from.length === to.length && from.slice(0, -1).every((name, index) => name === to[index]);
}

function drawArrow({ from, to, transition }: Arrow): string {
  return `${idOf(from)} --> ${idOf(to)} : ${safe(label(transition))}`;
}

/**
 * Arrows into or out of a compound state. Mermaid puts a state where it is named first, so these come after all states.
 */
function crossings(state: StateDescription, path: Path): readonly string[] {
  return childrenOf(state).flatMap(([name, child]) => {
    const at = [...path, name];
    const arrows = arrowsOf(child, at).filter((arrow) => !staysInside(arrow));
    return [...arrows.map(drawArrow), ...crossings(child, at)];
  });
}

function childrenOf(state: StateDescription): readonly (readonly [string, StateDescription])[] {
  return Object.entries(state.states ?? {});
}

/** The actions that a state performs without leaving it. */
function ownLines(state: StateDescription): readonly string[] {
  const stays = (state.transitions ?? []).filter((transition) => !leads(transition));
  return [
    ...(state.invoke ?? []).map((name) => `runs ${name}`),
    ...(state.entry === undefined ? [] : [`entry / ${state.entry.join(", ")}`]),
    ...(state.exit === undefined ? [] : [`exit / ${state.exit.join(", ")}`]),
    ...stays.map(label),
  ].map(safe);
}

function leads(transition: TransitionDescription): transition is TransitionDescription & Required<Pick<TransitionDescription, "target">> {
  return transition.target !== undefined;
}

function label({ on, guard, actions }: TransitionDescription): string {
  return [on, guard === undefined ? "" : `[${guard}]`, actions === undefined ? "" : `/ ${actions.join(", ")}`].filter(Boolean).join(" ");
}

/** Removes characters with a meaning in Mermaid: `;` ends a statement and `#` begins a character code. */
function safe(text: string): string {
  return text.replaceAll(/[;#:]/g, " ");
}

/** An id that Mermaid accepts, the same for the same path. Names are joined by `__`; Mermaid's own ids have one `_`. */
function idOf(path: Path, suffix = ""): string {
  const id = path.join("__").replaceAll(/\W/g, "_") + suffix;
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
