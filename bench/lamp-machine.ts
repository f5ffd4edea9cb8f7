import { setup } from "xstate";

/** A machine that each event moves to the other state. */
export const lampMachine = setup({
  types: { events: {} as { type: "ON"; by: string } | { type: "OFF"; by: string } },
}).createMachine({
  id: "lamp",
  initial: "off",
  states: { off: { on: { ON: "on" } }, on: { on: { OFF: "off" } } },
});
