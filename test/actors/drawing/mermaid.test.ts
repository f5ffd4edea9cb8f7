import { expect, test } from "vitest";
import { and, assign, createMachine, fromPromise, not, setup } from "xstate";
import { machineToJson, machineToMermaid } from "../../../actors/drawing/mermaid.js";
import { checkedDescription, describeMachine } from "../../../actors/drawing/description.js";
import { limits, MalformedMessageError } from "../../../core/index.js";

const lift = setup({
  types: { events: {} as { type: "CALL" } | { type: "STOP" } | { type: "TICK" }, context: {} as { calls: number } },
  actors: { ride: fromPromise(async () => undefined) },
  actions: { count: assign({ calls: ({ context }) => context.calls + 1 }), ring: () => undefined, logUnexpected: () => undefined },
  guards: { isFree: () => true, isFull: () => false },
  delays: { patience: 1_000 },
}).createMachine({
  id: "lift",
  context: { calls: 0 },
  initial: "waiting",
  on: { "*": { actions: "logUnexpected" }, STOP: ".stopped" },
  states: {
    waiting: {
      on: { CALL: { guard: and(["isFree", not("isFull")]), target: "moving", actions: ["count", "ring"] }, TICK: { actions: "count" } },
    },
    moving: {
      entry: "ring",
      initial: "riding",
      onDone: "waiting",
      after: { patience: "stopped" },
      states: {
        riding: { invoke: { src: "ride", onDone: "end", onError: { target: "#lift.stopped", actions: "ring" } } },
        end: { type: "final" },
      },
    },
    stopped: { type: "final" },
  },
});

test("a picture shows states, events, guards, actions, delays and invoked actors by name", () => {
  expect(machineToMermaid(lift)).toBe(`stateDiagram-v2
  [*] --> waiting
  waiting : waiting
  waiting : TICK / count
  waiting --> moving : CALL [(isFree and not isFull)] / count, ring
  state "moving" as moving {
    [*] --> moving__riding
    state "riding" as moving__riding
    moving__riding : runs ride
    moving__riding --> moving__end : ride done
    state "end" as moving__end
    moving__end --> [*]
    moving__any__of : in every state of moving
    moving__any__of : entry / ring
  }
  moving --> waiting : done
  moving --> stopped : after patience
  stopped
  stopped --> [*]
  any__of : in every state
  any__of : any other event / logUnexpected
  any__of --> stopped : STOP
  moving__riding --> stopped : ride failed / ring
`);
});

test("the states an actor is in are highlighted", () => {
  const picture = machineToMermaid(lift, { current: { moving: "riding" } });
  expect(picture).toContain("class moving__riding current\n");
  expect(picture.match(/^ {2}class /gm)).toHaveLength(1);
});

test("the JSON holds the same facts as the picture", () => {
  expect(JSON.parse(machineToJson(lift))).toEqual(describeMachine(lift));
  expect(describeMachine(lift).states?.["waiting"]?.transitions).toEqual([
    { on: "CALL", guard: "(isFree and not isFull)", actions: ["count", "ring"], target: ["moving"] },
    { on: "TICK", actions: ["count"] },
  ]);
});

test("guards, actions and actors without a name are shown as unnamed", () => {
  const careless = createMachine({
    id: "careless",
    context: { n: 0 },
    initial: "a",
    entry: () => undefined,
    states: {
      a: { on: { GO: { guard: () => true, target: "b" } }, exit: assign({ n: 1 }) },
      b: { after: { 500: "a" }, invoke: { src: fromPromise(async () => 1) } },
    },
  });
  expect(machineToMermaid(careless).match(/\(unnamed\)/g)).toHaveLength(4);
});

test("states whose names differ are different in a picture", () => {
  const states = { ein: {}, 开门: {}, 关门: {}, "a-b": {}, "a b": {}, a: { initial: "b", states: { b: {} } }, a__b: {}, "a.b": {} };
  const machine = createMachine({
    id: "names",
    initial: "ein",
    states: { ...states, last: { on: { GO: "关门", BACK: "a\\.b", IN: "a.b" } } },
  });
  const picture = machineToMermaid(machine);
  const declared = [...picture.matchAll(/^ *(?:state "([^"]*)" as )?(\w+)(?: \{)?$/gm)].map(([, name, id]) => [name ?? id, id] as const);
  expect(declared.map(([name]) => name)).toEqual(["ein", "开门", "关门", "a-b", "a b", "a", "b", "a__b", "a.b", "last"]);
  expect(new Set(declared.map(([, id]) => id)).size).toBe(declared.length);
  const idOf = (wanted: string) => declared.find(([name]) => name === wanted)?.[1];
  expect(picture).toContain(`last --> ${idOf("关门")} : GO\n`);
  expect(picture).toContain(`last --> ${idOf("a.b")} : BACK\n`);
  expect(picture).toContain(`last --> ${idOf("b")} : IN\n`);
  expect(machineToMermaid(machine, { current: "关门" })).toContain(`class ${idOf("关门")} current\n`);
});

test("characters with a meaning in Mermaid are codes, and each text stays in its line", () => {
  const inner = { 'say "no"; #1': { on: { "a:b\nc": { guard: "n < 3", target: "constructor" } } }, constructor: {}, "": {} };
  const picture = machineToMermaid(createMachine({ id: "odd", initial: "constructor", states: inner, on: { ALL: "#odd" } }));
  expect(picture).toBe(`stateDiagram-v2
  [*] --> constructor_
  state "say #34;no#34;#59; #35;1" as say__no____1
  say__no____1 --> constructor_ : a#58;b c [n #60; 3]
  state "constructor" as constructor_
  state "(no name)" as _
  any__of : in every state
  any__of --> constructor_ : ALL
`);
});

test("a delay that is a number is shown with its unit", () => {
  const light = createMachine({ id: "light", initial: "red", states: { red: { after: { 50: "green" } }, green: {} } });
  expect(machineToMermaid(light)).toContain("red --> green : after 50 ms\n");
});

test("the drawing of a description equals that of its machine", () => {
  const current = { moving: "riding" };
  expect(machineToMermaid(describeMachine(lift), { current })).toBe(machineToMermaid(lift, { current }));
  expect(machineToJson(describeMachine(lift))).toBe(machineToJson(lift));
});

test.each([
  [{}, "type"],
  [{ type: "atomic" }, "id"],
  [{ id: "x", type: "compound", states: [] }, "states"],
  [{ id: "x", type: "compound", states: { a: { type: "odd" } } }, "type"],
  [{ id: "x", type: "atomic", transitions: [{ on: 1 }] }, "transitions"],
  [{ id: "x", type: "atomic", entry: [1] }, "actions"],
  [{ id: "x", ...nested(limits.actorMachineDepthMax + 1) }, "inside each other"],
])("a description of another shape is malformed: %#", (value, reason) => {
  expect(() => checkedDescription(value)).toThrow(MalformedMessageError);
  expect(() => checkedDescription(value)).toThrow(reason);
});

test("a description within the bound on depth is taken as it is", () => {
  const value = { id: "x", ...nested(limits.actorMachineDepthMax) };
  expect(checkedDescription(value)).toEqual(value);
  expect(checkedDescription(describeMachine(lift))).toEqual(describeMachine(lift));
});

function nested(depth: number): object {
  return depth === 0 ? { type: "atomic" } : { type: "compound", states: { a: nested(depth - 1) } };
}
