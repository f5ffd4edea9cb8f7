/** Machines of users: nested, parallel, with children of all kinds that begin, end, fail and are stopped. */
import { assign, fromCallback, fromPromise, fromTransition, raise, sendTo, setup, spawnChild, stopChild } from "xstate";
import { type Clock, delay, type Value } from "../../../core/index.js";

/** The failure of an actor that a user causes. */
export class UserFailure extends Error {
  override readonly name = "UserFailure";
}

/** A child that ends, fails, and comes to rest by itself. */
export const lampMachine = setup({
  types: { events: {} as { type: "FLASH" } | { type: "END" } | { type: "BREAK" } },
  actions: {
    breakDown: () => {
      throw new UserFailure("the lamp broke");
    },
  },
}).createMachine({
  id: "lamp",
  initial: "dark",
  on: { BREAK: { actions: "breakDown" }, END: ".burnt" },
  states: {
    dark: { on: { FLASH: "lit" } },
    lit: { after: { 45: "dark" } },
    burnt: { type: "final" },
  },
});

export interface Job {
  readonly ms: number;
  readonly fails: boolean;
}

const jobLogic = fromPromise<number, Job>(() => Promise.reject(new Error("provided by the host")));
const watchLogic = fromCallback(({ sendBack, receive }) => receive(() => sendBack({ type: "SEEN" })));

/** A child with children of its own. */
export const shiftMachine = setup({
  types: { events: {} as { type: "SWAP" } | { type: "SEEN" } | { type: "FLASH" } | { type: "BREAK" } },
  actors: { lamp: lampMachine, job: jobLogic, watch: watchLogic },
}).createMachine({
  id: "shift",
  initial: "early",
  invoke: { src: "watch", id: "watch" },
  on: { SEEN: { actions: [] } },
  states: {
    early: {
      invoke: { src: "lamp", onDone: "over", onError: "over" },
      on: { SWAP: "late", FLASH: { actions: sendTo("watch", { type: "LOOK" }) } },
    },
    late: {
      invoke: [
        { src: "job", input: { ms: 30, fails: false }, onDone: "early" },
        { src: "lamp", id: "night" },
      ],
      on: { SWAP: "early", FLASH: { actions: sendTo("night", { type: "FLASH" }) }, BREAK: { actions: sendTo("night", { type: "BREAK" }) } },
    },
    over: { type: "final" },
  },
});

export type PlantEvent =
  | { type: "MAKE"; ms: number; fails: boolean }
  | { type: "CANCEL" }
  | { type: "SEAL" }
  | { type: "LIGHT" }
  | { type: "TURN" }
  | { type: "FLASH" }
  | { type: "END_LAMP" }
  | { type: "BREAK_LAMP" }
  | { type: "DARK" }
  | { type: "CLOSE" }
  | { type: "HIRE" }
  | { type: "FIRE" }
  | { type: "RELAY" }
  | { type: "DO_NOTHING" }
  | { type: "BREAK" };

interface Plant {
  readonly made: number;
  readonly hired: number;
  readonly fired: number;
  readonly job: Job;
}

export const plantMachine = setup({
  types: { context: {} as Plant, events: {} as PlantEvent },
  actors: { lamp: lampMachine, shift: shiftMachine, job: jobLogic },
  guards: { isMany: ({ context }) => context.made % 3 === 0, hasCrew: ({ context }) => context.fired < context.hired },
  actions: {
    countOne: assign({ made: ({ context }) => context.made + 1 }),
    breakDown: () => {
      throw new UserFailure("the plant broke");
    },
  },
}).createMachine({
  id: "plant",
  type: "parallel",
  context: { made: 0, hired: 0, fired: 0, job: { ms: 0, fails: false } },
  on: {
    BREAK: { actions: "breakDown" },
    // Events to itself wait until it has handled this one.
    RELAY: {
      actions: [
        sendTo(({ self }) => self, { type: "LIGHT" }),
        sendTo(({ self }) => self, { type: "TURN" }),
        raise({ type: "TURN" }),
        sendTo(
          ({ self }) => self,
          ({ context }) => ({ type: context.made % 2 === 0 ? "FLASH" : "DARK" }),
        ),
      ],
    },
    HIRE: {
      actions: [
        assign({ hired: ({ context }) => context.hired + 1 }),
        spawnChild("shift", { id: ({ context }) => `crew-${context.hired}` }),
      ],
    },
    FIRE: {
      guard: "hasCrew",
      actions: [assign({ fired: ({ context }) => context.fired + 1 }), stopChild(({ context }) => `crew-${context.fired}`)],
    },
    "xstate.error.actor.*": { actions: [] },
  },
  states: {
    line: {
      initial: "idle",
      states: {
        idle: {
          on: { MAKE: { target: "loading", actions: assign({ job: ({ event: { ms, fails } }) => ({ ms, fails }) }) }, SEAL: "sealed" },
        },
        loading: {
          invoke: {
            src: "job",
            input: ({ context }) => context.job,
            onDone: { target: "checking", actions: "countOne" },
            onError: "faulty",
          },
          on: { CANCEL: "idle" },
          after: { 120: "late" },
        },
        checking: { always: [{ guard: "isMany", target: "full" }, { target: "idle" }] },
        late: { on: { MAKE: "idle" } },
        faulty: { after: { 200: "idle" } },
        full: { on: { CANCEL: "idle" } },
        sealed: { type: "final" },
      },
    },
    lights: {
      initial: "off",
      states: {
        off: { on: { LIGHT: "on", CLOSE: "closed" } },
        on: {
          initial: "dim",
          invoke: { src: "lamp", id: "lamp", onDone: "off" },
          on: {
            DARK: "off",
            FLASH: { actions: sendTo("lamp", { type: "FLASH" }) },
            END_LAMP: { actions: sendTo("lamp", { type: "END" }) },
            BREAK_LAMP: { actions: sendTo("lamp", { type: "BREAK" }) },
          },
          states: { dim: { on: { TURN: "bright" } }, bright: { on: { TURN: "dim" } } },
        },
        closed: { type: "final" },
      },
    },
  },
});

/** The plant whose jobs take the time of `clock`. */
export function plantOn(clock: Clock): typeof plantMachine {
  const job = fromPromise<number, Job>(async ({ input: { ms, fails } }) => {
    await delay(clock, ms);
    if (fails) throw new UserFailure("the job failed");
    return ms;
  });
  return plantMachine.provide({ actors: { job, shift: shiftMachine.provide({ actors: { job } }) } });
}

/** The facts that a plant shows. */
export function showPlant(snapshot: unknown): Record<string, Value> {
  const { made, hired, fired } = (snapshot as { readonly context: Plant }).context;
  return { made, crew: hired - fired };
}

/** An actor that is no machine, and takes an event in a moment: load for the record. */
export const meterLogic = fromTransition((count: number, _: { type: "COUNT" }) => count + 1, 0);
