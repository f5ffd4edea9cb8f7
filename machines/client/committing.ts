/**
 * Committing: the commits of one client that fit in one message. One per client, for the client's life.
 *
 *      ┌──────────────────COMMITS_SENT───────────────────┐
 *      │                                                 ▼
 *     idle ──LINK_AWAITED──▶ sending ──COMMITS_SENT──▶ waiting ──lookDelay──▶ idle
 *                              ▲  └─no answer is awaited─▶ idle │
 *                              └──lookDelay, some are not sent──┘
 *
 *     CLOSE, in any state ──▶ closed
 *
 * A commit is straight code, and only counts itself. While the client is connected, the commits of one turn of the
 * event loop are sent together, as one batch. The first batch after a rest is one event, after it was sent. The batches
 * that follow are not events: `waiting` looks at the counts every lookDelay. A stream of commits costs one event for
 * each lookDelay, however many commits it has.
 *
 * Invariants:
 *
 * 1. sending: at least one commit is not sent, for there is no link. waiting: answers are awaited, or were within the
 *    last lookDelay. idle: no commit is under way, except in the turn of the event loop in which it begins.
 * 2. A commit whose answer was lost leaves this machine: it is in doubt, and a machine of its own settles it.
 * 3. No commit waits for this machine, and no answer depends on its state.
 *
 * An event costs 3 µs where the code is warm, and ten times as much in a process that commits now and then. With three
 * events for each batch, commits one after the other took a fifth more of the client's CPU (measured).
 *
 * Source: DESIGN, "The house": the control plane is in machines, the data plane in straight code.
 */
import { setup } from "xstate";

/** Events of the machine of a client's commits. */
export type CommittingEvent =
  /** A commit began, and there is no link to send it over. */
  | { readonly type: "LINK_AWAITED" }
  /** The last unsent commit was sent, or failed before. */
  | { readonly type: "COMMITS_SENT" }
  | { readonly type: "CLOSE" };

/** The machine of a client's commits. Its effects, guards and delays are stubs: `actors/client` provides them. */
export const committingMachine = setup({
  types: { events: {} as CommittingEvent },
  actions: { logUnexpected: () => undefined },
  guards: {
    isAnyUnsent: () => false,
    isAnswerAwaited: () => false,
  },
  delays: { lookDelay: 0 },
}).createMachine({
  id: "committing",
  initial: "idle",
  on: {
    CLOSE: ".closed",
    "*": { actions: "logUnexpected" },
  },
  states: {
    idle: {
      on: {
        LINK_AWAITED: "sending",
        COMMITS_SENT: [{ guard: "isAnswerAwaited", target: "waiting" }, {}],
      },
    },
    sending: {
      on: { COMMITS_SENT: [{ guard: "isAnswerAwaited", target: "waiting" }, { target: "idle" }] },
    },
    waiting: {
      after: {
        lookDelay: [
          { guard: "isAnyUnsent", target: "sending" },
          { guard: "isAnswerAwaited", target: "waiting", reenter: true },
          { target: "idle" },
        ],
      },
    },
    closed: { type: "final" },
  },
});
