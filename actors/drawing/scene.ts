/** A machine as boxes and arrows with texts, before anything has a place. */
import { limits } from "../../core/index.js";
import type { MachineDescription, StateDescription, TransitionDescription } from "./description.js";
import { statePathText } from "./state-path.js";

/** A state as a box. */
export interface Box {
  /** Path of the state, as statePathText writes it; "" for the machine itself. */
  readonly id: string;
  readonly name: string;
  readonly type: StateDescription["type"];
  /** Actions of the state that do not leave it, a text each. */
  readonly lines: readonly string[];
  /** Id of the inner box that is entered first. */
  readonly initial: string | undefined;
  readonly boxes: readonly Box[];
}

/** All transitions from one state to another one. */
export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly labels: readonly Label[];
}

/** One transition: `EVENT [guard]`, and its actions. */
export interface Label {
  readonly on: string;
  readonly actions: string | undefined;
}

/** A machine as a drawing shows it. */
export interface Scene {
  readonly root: Box;
  readonly arrows: readonly Arrow[];
}

/** Stands before actions. The no-break space keeps it in the line of the first one. */
const effects = "/\u00a0";

/** The boxes and arrows of `machine`. A target that is no state of it has no arrow. */
export function sceneOf(machine: MachineDescription): Scene {
  const arrows: Arrow[] = [];
  const ids = new Set<string>();
  const root = boxOf(machine, [], machine.id, ids, arrows);
  return { root, arrows: arrows.filter(({ to }) => ids.has(to)) };
}

function boxOf(state: StateDescription, path: readonly string[], name: string, ids: Set<string>, arrows: Arrow[]): Box {
  const id = statePathText(path);
  ids.add(id);
  const byTarget = new Map<string, Label[]>();
  const lines = [
    ...(state.invoke ?? []).map((actor) => `runs ${actor}`),
    ...(state.entry === undefined ? [] : [`entry ${effects}${state.entry.join(", ")}`]),
    ...(state.exit === undefined ? [] : [`exit ${effects}${state.exit.join(", ")}`]),
  ];
  for (const transition of state.transitions ?? []) {
    const label = labelOf(transition);
    if (transition.target === undefined) lines.push(label.actions === undefined ? label.on : `${label.on} ${label.actions}`);
    for (const target of transition.target ?? []) {
      const labels = byTarget.get(target);
      if (labels === undefined) byTarget.set(target, [label]);
      else labels.push(label);
    }
  }
  for (const [to, labels] of byTarget) arrows.push({ from: id, to, labels });
  const boxes = Object.entries(state.states ?? {}).map(([inner, child]) => boxOf(child, [...path, inner], inner, ids, arrows));
  const initial = state.initial === undefined ? undefined : statePathText([...path, state.initial]);
  return { id, name: shownText(name), type: state.type, lines: lines.map(shownText), initial, boxes };
}

function labelOf({ on, guard, actions }: TransitionDescription): Label {
  return {
    on: shownText(guard === undefined ? on : `${on} [${guard}]`),
    actions: actions === undefined ? undefined : shownText(`${effects}${actions.join(", ")}`),
  };
}

/** `text` in one line of at most `limits.drawnTextLengthMax` characters, without characters that XML cannot hold. */
export function shownText(text: string): string {
  const cut = text.length > limits.drawnTextLengthMax ? `${text.slice(0, limits.drawnTextLengthMax - 1)}…` : text;
  return cut
    .toWellFormed()
    .replaceAll(/[\t-\r \p{Cc}\u2028\u2029]+/gu, " ")
    .replaceAll(/[\ufffe\uffff]/g, "\ufffd")
    .trim();
}
