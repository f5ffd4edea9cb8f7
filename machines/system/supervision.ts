/**
 * Supervision of an actor that a process has spawned: whether it is started again after a failure, and when.
 *
 *                       FAILED, few in the window
 *        running ──────────────────────────────────▶ backingOff
 *         │  │ ▲                                          │
 *         │  │ └────────────── backOff ───────────────────┘
 *         │  │
 *         │  └─ FAILED, one too many ──▶ escalated
 *         └─ ENDED ──▶ ended               STOP: any ──▶ stopped
 *
 * 1. The actor is started again only after a pause, which grows with the failures in the window.
 * 2. A failure that is one too many in the window, or after which the actor cannot be started, is the last one.
 * 3. An actor that is done or was stopped is not started again.
 *
 * Source: supervisors of Erlang/OTP, their intensity and period.
 */
import { assign, setup } from "xstate";
import { eventOf } from "../shared/stubs.js";

/** Events of the machine that supervises an actor. */
export type SupervisionEvent =
  /** The actor has failed. `atMs`: on a clock that never goes back. `canRestart`: there is a state to begin with. */
  | { readonly type: "FAILED"; readonly atMs: number; readonly canRestart: boolean }
  /** The actor is done, or was stopped. */
  | { readonly type: "ENDED" }
  /** Supervision ends. */
  | { readonly type: "STOP" };

/** Bounds of the failures that are followed by a restart. */
export interface SupervisionInput {
  /** So many failures within the window are followed by a restart. With 0, the first failure is the last one. */
  readonly failuresMax: number;
  readonly withinMs: number;
}

/** Context of the machine that supervises an actor. */
export interface SupervisionContext extends SupervisionInput {
  /** Times of the failures within the window, the last one too. */
  readonly failedAtMs: readonly number[];
}

/** Supervision machine: one per actor that is started again after failures. */
export const supervisionMachine = setup({
  types: {
    context: {} as SupervisionContext,
    events: {} as SupervisionEvent,
    input: {} as SupervisionInput,
  },
  actions: {
    restart: () => undefined,
    logUnexpected: () => undefined,
    noteFailure: assign({
      failedAtMs: ({ context }, { atMs }: { readonly atMs: number }) => [...recent(context, atMs), atMs],
    }),
  },
  guards: {
    mayRestart: ({ context }, { atMs, canRestart }: { readonly atMs: number; readonly canRestart: boolean }) =>
      canRestart && recent(context, atMs).length < context.failuresMax,
  },
  delays: { backOff: 0 },
}).createMachine({
  id: "supervision",
  context: ({ input }) => ({ ...input, failedAtMs: [] }),
  initial: "running",
  on: {
    "*": { actions: "logUnexpected" },
    STOP: ".stopped",
  },
  states: {
    running: {
      on: {
        FAILED: [
          { guard: { type: "mayRestart", params: eventOf }, target: "backingOff", actions: { type: "noteFailure", params: eventOf } },
          { target: "escalated" },
        ],
        ENDED: "ended",
      },
    },
    backingOff: {
      after: { backOff: { target: "running", actions: "restart" } },
    },
    escalated: { type: "final" },
    ended: { type: "final" },
    stopped: { type: "final" },
  },
});

/** The failures that are in the window at `atMs`. */
function recent({ failedAtMs, withinMs }: SupervisionContext, atMs: number): readonly number[] {
  return failedAtMs.filter((failed) => atMs - failed < withinMs);
}
