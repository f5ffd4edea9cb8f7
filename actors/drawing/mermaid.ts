/** Pictures of machines, for people: Mermaid's state diagrams, and JSON. */
import type { AnyStateMachine, StateValue } from "xstate";
import { describeMachine, type MachineDescription, type StateDescription, type TransitionDescription } from "./description.js";
import { shownText } from "./scene.js";
import { namesInStatePath, type StatePath, statePathText } from "./state-path.js";

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
  const ids = new Ids(description);
  const lines = ["stateDiagram-v2", ...inside(ids, description, []), ...ownBox(ids, description, []), ...crossings(ids, description, [])];
  const current = options.current === undefined ? [] : leaves(options.current);
  if (current.length > 0) {
    lines.push("classDef current fill:#ffd54f,stroke:#7a5c00,color:#000,font-weight:bold");
    lines.push(...current.map((path) => `class ${ids.of(path)} current`));
  }
  return `${lines.map((line, index) => (index === 0 ? line : `  ${line}`)).join("\n")}\n`;
}

/** The description of `machine`, which may be one already. */
export function descriptionOf(machine: AnyStateMachine | MachineDescription): MachineDescription {
  return "root" in machine ? describeMachine(machine) : machine;
}

/** An id for each state of a machine. The same machine has the same ids. */
class Ids {
  readonly #byPath = new Map<string, string>();
  readonly #taken = new Set<string>();
  readonly #first: StatePath;

  constructor(description: MachineDescription) {
    this.#first = [description.initial ?? childrenOf(description)[0]?.[0] ?? ""];
    this.#add(description, []);
  }

  /** Id of the state at `path`. A transition to the machine itself enters its first state. */
  of(path: StatePath): string {
    return this.#byPath.get(statePathText(path.length === 0 ? this.#first : path)) ?? idOf(path);
  }

  /** A new id for the box of what happens in every inner state of `path`. */
  any(path: StatePath): string {
    return this.#taking(`${idOf([...path, "any"])}__of`);
  }

  #add(state: StateDescription, path: StatePath): void {
    for (const [name, child] of childrenOf(state)) {
      const at = [...path, name];
      this.#byPath.set(statePathText(at), this.#taking(idOf(at)));
      this.#add(child, at);
    }
  }

  /** Different names may become the same letters, such as all names of two letters that are not Latin. */
  #taking(wanted: string): string {
    let id = wanted;
    for (let number = 2; this.#taken.has(id); number++) id = `${wanted}__${number}`;
    this.#taken.add(id);
    return id;
  }
}

function inside(ids: Ids, state: StateDescription, path: StatePath): readonly string[] {
  const lines: string[] = [];
  if (state.initial !== undefined) lines.push(`[*] --> ${ids.of([...path, state.initial])}`);
  for (const [index, [name, child]] of childrenOf(state).entries()) {
    if (state.type === "parallel" && index > 0) lines.push("--");
    lines.push(...drawState(ids, child, [...path, name]));
  }
  return lines;
}

function drawState(ids: Ids, state: StateDescription, path: StatePath): readonly string[] {
  const id = ids.of(path);
  const name = path.at(-1) ?? "";
  const arrows = arrowsOf(state, path)
    .filter(staysInside)
    .map((arrow) => drawArrow(ids, arrow));
  if (state.states !== undefined) {
    const within = [...inside(ids, state, path), ...ownBox(ids, state, path)].map((line) => `  ${line}`);
    return [`state ${quoted(name)} as ${id} {`, ...within, "}", ...arrows];
  }
  const shown = state.type === "history" ? `${name} (history)` : name;
  const written = ownLines(state).map((line) => `${id} : ${line}`);
  // The lines of a box come after its first line, which is its name.
  const declared = shown !== id ? `state ${quoted(shown)} as ${id}` : written.length > 0 ? `${id} : ${id}` : id;
  const end = state.type === "final" ? [`${id} --> [*]`] : [];
  return [declared, ...written, ...arrows, ...end];
}

/**
 * A box for the actions that a compound state performs in every inner state. The box of the whole machine has its
 * arrows, too.
 */
function ownBox(ids: Ids, state: StateDescription, path: StatePath): readonly string[] {
  const id = ids.any(path);
  const lines = ownLines(state).map((line) => `${id} : ${line}`);
  const leaving = path.length === 0 ? (state.transitions ?? []).filter(leads) : [];
  if (lines.length === 0 && leaving.length === 0) return [];
  const arrows = leaving.flatMap((each) =>
    each.target.map((target) => `${id} --> ${ids.of(namesInStatePath(target))} : ${safe(label(each))}`),
  );
  return [`${id} : in every state${path.length === 0 ? "" : ` of ${safe(path.at(-1) ?? "")}`}`, ...lines, ...arrows];
}

interface Arrow {
  readonly from: StatePath;
  readonly to: StatePath;
  readonly transition: TransitionDescription;
}

function arrowsOf(state: StateDescription, path: StatePath): readonly Arrow[] {
  return (state.transitions ?? [])
    .filter(leads)
    .flatMap((transition) => transition.target.map((target) => ({ from: path, to: namesInStatePath(target), transition })));
}

/** Whether both ends are children of the same state. */
function staysInside({ from, to }: Arrow): boolean {
  return from.length === to.length && from.slice(0, -1).every((name, index) => name === to[index]);
}

function drawArrow(ids: Ids, { from, to, transition }: Arrow): string {
  return `${ids.of(from)} --> ${ids.of(to)} : ${safe(label(transition))}`;
}

/**
 * Arrows into or out of a compound state. Mermaid puts a state where it is named first, so these come after all states.
 */
function crossings(ids: Ids, state: StateDescription, path: StatePath): readonly string[] {
  return childrenOf(state).flatMap(([name, child]) => {
    const at = [...path, name];
    const arrows = arrowsOf(child, at).filter((arrow) => !staysInside(arrow));
    return [...arrows.map((arrow) => drawArrow(ids, arrow)), ...crossings(ids, child, at)];
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

/**
 * `text` in one line, with the characters that have a meaning in Mermaid as character codes: `;` ends a statement, `#`
 * begins a code, and `<` begins an element of HTML.
 */
function safe(text: string): string {
  return shownText(text).replaceAll(/["#:;<]/g, (character) => `#${character.charCodeAt(0)};`);
}

/** The name of a state. Mermaid takes no empty one. */
function quoted(name: string): string {
  return `"${safe(name) || "(no name)"}"`;
}

/** An id that Mermaid accepts, the same for the same path. Names are joined by `__`; Mermaid's own ids have one `_`. */
function idOf(path: StatePath): string {
  const id = path.join("__").replaceAll(/\W/g, "_");
  const isReserved = /^(?:end|state|note|class|default|direction|style|click|hide|scale|as)?$/.test(id) || id in {};
  return isReserved ? `${id}_` : id;
}

function leaves(value: StateValue): readonly StatePath[] {
  if (typeof value === "string") return [[value]];
  return Object.entries(value).flatMap(([name, child]) => {
    if (child === undefined) return [];
    const below = leaves(child);
    return below.length === 0 ? [[name]] : below.map((path) => [name, ...path]);
  });
}

export type { MachineDescription };
