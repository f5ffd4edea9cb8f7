import { assign, setup } from "xstate";
import { z } from "zod";
import type { Value } from "../../../core/index.js";

/** A machine for tests of views and events: a gate that counts passers while it is open. */
export const gateMachine = setup({
  types: {
    tags: {} as "passable",
    context: {} as { readonly by: string | undefined; readonly passed: number },
    events: {} as { type: "OPEN"; by?: string } | { type: "CLOSE" } | { type: "COUNT" } | { type: "JAM" } | { type: "BREAK" },
  },
  actions: {
    noteWho: assign({ by: (_, params: { by: string | undefined }) => params.by }),
    countOne: assign({ passed: ({ context }) => context.passed + 1 }),
    breakDown: () => {
      throw new Error("the gate broke");
    },
  },
}).createMachine({
  id: "gate",
  context: { by: undefined, passed: 0 },
  initial: "closed",
  on: { BREAK: { actions: "breakDown" } },
  states: {
    closed: {
      on: { OPEN: { target: "open", actions: { type: "noteWho", params: ({ event }) => ({ by: event.by }) } }, JAM: "jammed" },
    },
    open: { tags: "passable", on: { CLOSE: "closed", COUNT: { actions: "countOne" } } },
    jammed: {},
  },
});

/** The events that the gate accepts from outside. */
export const gateEvents = { OPEN: z.object({ by: z.string().min(1).optional() }), CLOSE: z.object({}), COUNT: z.object({}) };

/** The view of the gate: the passers, not the opener. */
export function showGate(snapshot: unknown): Record<string, Value> {
  return { passed: (snapshot as { context: { passed: number } }).context.passed };
}
