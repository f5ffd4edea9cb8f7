import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AnyStateMachine, createMachine } from "xstate";
import { describeMachine, type MachineDescription } from "../../../actors/index.js";
import { checkedDescription } from "../../../actors/drawing/description.js";
import { readDefinition, statelyMachine } from "../../../actors/stately/stately-machine.js";
import * as machines from "../../../machines/index.js";

/** A definition as `@statelyai/inspect` makes it, without a bound on its depth. */
function definitionOf(machine: AnyStateMachine): string {
  return JSON.stringify(machine.config, (_, value: unknown) => (typeof value === "function" ? { type: value.name } : value));
}

function described(definition: string): MachineDescription {
  const { id, config = {} } = readDefinition(definition);
  return describeMachine(statelyMachine(config, id ?? "(machine)"));
}

describe("the machine of a definition", () => {
  test("has the states, guards, actions and transitions of the machine", () => {
    const machine = createMachine({
      id: "order",
      initial: "open",
      states: {
        open: {
          entry: "greet",
          on: { BUY: { target: "#last", guard: "isFilled", actions: ["note", { type: "count", params: { by: 2 } }] } },
        },
        waiting: {
          type: "parallel",
          states: {
            parcel: { initial: "packed", states: { packed: { after: { soon: "carried" } }, carried: { type: "final" } } },
            letter: {},
          },
          onDone: "last",
        },
        last: {
          id: "last",
          always: [{ guard: "isLate", target: "waiting.parcel" }],
          invoke: { src: "price", id: "price", onDone: "open" },
        },
        before: { type: "history", history: "deep", target: "open" },
      },
      on: { "*": { actions: "warn" }, STOP: ".last" },
    });
    expect(described(definitionOf(machine))).toEqual(describeMachine(machine));
  });

  test.each(Object.entries(machines).filter(([, value]) => "config" in value) as [string, AnyStateMachine][])(
    "of Zooid's %s has all its states and the targets of its transitions",
    (_, machine) => {
      const shape = ({ states = {}, transitions = [], type, initial }: Omit<MachineDescription, "id">): object => ({
        ...{ type, initial, transitions: transitions.map(({ on, target }) => `${on} -> ${target?.join() ?? ""}`).toSorted() },
        states: Object.fromEntries(Object.entries(states).map(([name, state]) => [name, shape(state)])),
      });
      expect(shape(described(definitionOf(machine)))).toEqual(shape(describeMachine(machine)));
    },
  );

  test("shows an inline function as unnamed, also under the name of the property that holds it", () => {
    const { transitions } = described('{"id":"a","on":{"X":{"actions":[{"type":"actions"},{"type":"assign"}],"guard":{"type":"guard"}}}}');
    expect(transitions).toEqual([{ on: "X", guard: "(unnamed)", actions: ["(unnamed)", "assign"] }]);
  });

  test("has its states alone when the inspector has cut off the target of a transition", () => {
    expect(described('{"id":"a","initial":"b","states":{"b":{"on":{"X":"c.d"}},"c":"[Object]"}}')).toEqual({
      ...{ id: "a", type: "compound", initial: "b" },
      states: { b: { type: "atomic" }, c: { type: "atomic" } },
    });
  });

  test("has no states when the definition is no configuration", () => {
    for (const text of ["", "[]", "5", "null", '"x"', "{", '{"id":5,"states":7}', '{"on":"[Object]","invoke":"[Array]"}'])
      expect(Object.keys(described(text).states ?? {})).toEqual([]);
  });

  test("is a description that every watcher can read, for any JSON", () => {
    const leaf = fc.oneof(fc.constantFrom("a", "b", "#a", ".b", "[Object]", "final", "parallel", "history", "a.b", "*"), fc.jsonValue());
    const keys = fc.constantFrom(
      "id",
      "type",
      "initial",
      "states",
      "on",
      "after",
      "always",
      "onDone",
      "invoke",
      "entry",
      "target",
      "guard",
      "a",
      "b",
      "__proto__",
      "src",
      "actions",
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: "medium" },
        leaf,
        fc.dictionary(keys, tie("tree"), { maxKeys: 5 }),
        fc.array(tie("tree"), { maxLength: 3 }),
      ),
    }));
    fc.assert(
      fc.property(tree, (config) => {
        checkedDescription(described(JSON.stringify(config)));
      }),
      { numRuns: 500 },
    );
  });
});
