import type { MachineDescription, StateDescription, TransitionDescription } from "../../../actors/drawing/description.js";
import { type Random, seededRandom } from "../../../core/index.js";

const words = [
  "commit",
  "Retry",
  "is",
  "Ready",
  "notify",
  "Peers",
  "of",
  "TheWholeCluster",
  "LINK_LOST",
  "x",
  "registerAgainAfterDelay",
  "done",
];

/** A machine with up to 12 states, three inside each other, some parallel, with short and long texts. */
export function generatedMachine(seed: number): MachineDescription {
  const random = seededRandom(seed);
  const paths: string[] = [];
  const root = stateOf(random, [], 3, paths);
  const states = withTransitions(root, [], random, paths);
  return { id: `machine ${seed}`, ...states };
}

/** A machine with 240 states in 60 groups, and about 500 transitions, most of them to states near by. */
export function largeMachine(seed: number): MachineDescription {
  const random = seededRandom(seed);
  const groups = Array.from({ length: 60 }, (_, group) => ({
    group: `group${group}`,
    inner: Array.from({ length: 3 }, (_each, index) => `state${3 * group + index}`),
  }));
  const paths = groups.flatMap(({ group, inner }) => [group, ...inner.map((name) => `${group}.${name}`)]);
  const transitionsOf = (path: string): readonly TransitionDescription[] =>
    Array.from({ length: 1 + below(random, 3) }, () => {
      const near = Math.min(Math.max(paths.indexOf(path) + below(random, 20) - 8, 0), paths.length - 1);
      return { on: text(random, 2), guard: text(random, 2), actions: texts(random, 2), target: [paths[near] ?? ""] };
    });
  const stateIn = (group: string) => (name: string) =>
    [name, { type: "atomic", transitions: transitionsOf(`${group}.${name}`) }] satisfies [string, StateDescription];
  const states = groups.map(({ group, inner }): [string, StateDescription] => [
    group,
    { type: "compound", initial: inner[0] ?? "", transitions: transitionsOf(group), states: Object.fromEntries(inner.map(stateIn(group))) },
  ]);
  return { id: `large ${seed}`, type: "compound", initial: "group0", states: Object.fromEntries(states) };
}

const below = (random: Random, count: number) => Math.floor(random.fraction() * count);
const text = (random: Random, wordsMax: number) =>
  Array.from({ length: 1 + below(random, wordsMax) }, () => words[below(random, words.length)] ?? "x").join("");
const texts = (random: Random, countMax: number) => Array.from({ length: 1 + below(random, countMax) }, () => text(random, 4));

function stateOf(random: Random, path: readonly string[], depth: number, paths: string[]): StateDescription {
  if (path.length > 0) paths.push(path.join("."));
  const isLeaf = path.length > 0 && (depth === 0 || random.fraction() < 0.65 || paths.length > 8);
  const own = {
    ...(random.fraction() < 0.3 ? { entry: texts(random, 3) } : {}),
    ...(random.fraction() < 0.2 ? { exit: texts(random, 2) } : {}),
    ...(random.fraction() < 0.2 ? { invoke: texts(random, 1) } : {}),
  };
  if (isLeaf) return { type: random.fraction() < 0.12 ? "final" : "atomic", ...own };
  const count = path.length === 0 ? 2 + below(random, 5) : 1 + below(random, 3);
  const names = Array.from({ length: count }, (_, index) => `${text(random, 2)}${index}`);
  const states = Object.fromEntries(names.map((name) => [name, stateOf(random, [...path, name], depth - 1, paths)]));
  if (random.fraction() < 0.15) return { type: "parallel", ...own, states };
  return { type: "compound", initial: names[0] ?? "", ...own, states };
}

function withTransitions(state: StateDescription, path: readonly string[], random: Random, paths: readonly string[]): StateDescription {
  const count = state.type === "final" ? 0 : below(random, 3);
  const transitions = Array.from({ length: count }, (): TransitionDescription => {
    const target = random.fraction() < 0.8 ? { target: [paths[below(random, paths.length)] ?? ""] } : {};
    const guard = random.fraction() < 0.3 ? { guard: text(random, 3) } : {};
    const actions = random.fraction() < 0.6 ? { actions: texts(random, 3) } : {};
    return { on: text(random, 3), ...guard, ...actions, ...target };
  });
  const inner = Object.entries(state.states ?? {}).map(
    ([name, child]) => [name, withTransitions(child, [...path, name], random, paths)] as const,
  );
  return {
    ...state,
    ...(transitions.length === 0 ? {} : { transitions }),
    ...(inner.length === 0 ? {} : { states: Object.fromEntries(inner) }),
  };
}
