/**
 * Pruning of a storage: removes history that is older than the storage keeps, in steps that no commit waits long for.
 *
 *               pruningInterval, PRUNE                 raised
 *        idle ──────────────────────────▶ raisingFloor ───────▶ stepping ◀─┐ stepped, more is left
 *         ▲                                    │ failed           │  │  └───┘
 *         │ pruningInterval, PRUNE             ▼                  │  └─ done ──▶ idle
 *         └────── (again from raisingFloor)  backingOff ◀─────────┘ failed
 *
 * 1. The floor is raised, durably, before anything below it is removed.
 * 2. A step is one piece of work between two batches of commits.
 * 3. A failed sweep begins again after a pause that doubles each time, up to the interval of sweeps.
 *
 * Source: DESIGN "Pruning history"; INTERLEAVINGS A9.
 */
import { assign, fromPromise, setup } from "xstate";
import { errorOf, notProvided, outputOf } from "../shared/stubs.js";

/** Events of the machine that prunes a storage. */
export type PruningEvent =
  /** Sweep now. */
  { readonly type: "PRUNE" };

/** Context of the machine that prunes a storage. */
export interface PruningContext {
  readonly sweepsFailed: number;
}

/** Result of one step of a sweep. */
export interface Stepped {
  /** Nothing below the floor is left. */
  readonly done: boolean;
}

const failed = { target: "#pruning.backingOff", actions: { type: "logFailed", params: errorOf } } as const;

/** Storage pruning machine: one per storage that a server serves. */
export const pruningMachine = setup({
  types: {
    context: {} as PruningContext,
    events: {} as PruningEvent,
  },
  actors: {
    raiseFloor: fromPromise<void>(notProvided),
    step: fromPromise<Stepped>(notProvided),
  },
  actions: {
    logSwept: () => undefined,
    logFailed: (_, _params: { readonly error: unknown }) => undefined,
    logUnexpected: () => undefined,
    countFailed: assign({ sweepsFailed: ({ context }) => context.sweepsFailed + 1 }),
    forgetFailed: assign({ sweepsFailed: 0 }),
  },
  guards: { isDone: (_, { done }: Stepped) => done },
  delays: {
    pruningInterval: 0,
    backOff: 0,
  },
}).createMachine({
  id: "pruning",
  context: { sweepsFailed: 0 },
  initial: "idle",
  on: { "*": { actions: "logUnexpected" } },
  states: {
    idle: {
      after: { pruningInterval: "sweeping" },
      on: { PRUNE: "sweeping" },
    },
    sweeping: {
      initial: "raisingFloor",
      on: {
        // The sweep that runs serves it.
        PRUNE: {},
      },
      states: {
        raisingFloor: {
          invoke: {
            src: "raiseFloor",
            onDone: "stepping",
            onError: failed,
          },
        },
        stepping: {
          invoke: {
            src: "step",
            onDone: [
              { guard: { type: "isDone", params: outputOf }, target: "#pruning.idle", actions: ["forgetFailed", "logSwept"] },
              { target: "stepping", reenter: true },
            ],
            onError: failed,
          },
        },
      },
    },
    backingOff: {
      entry: "countFailed",
      after: { backOff: "sweeping" },
      on: { PRUNE: "sweeping" },
    },
  },
});
