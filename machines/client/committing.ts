/**
 * Committing: the commits of one client that fit in one message. One per client, for the client's life.
 *
 *     idle ──COMMITS_BEGUN──▶ sending ──COMMITS_SENT──▶ waiting ──COMMITS_ANSWERED──▶ idle
 *                               ▲  └─no answer is awaited─▶ idle │
 *                               └─────────COMMITS_BEGUN──────────┘
 *
 *     CLOSE, in any state ──▶ closed
 *
 * A commit is straight code. It counts itself, and this machine gets an event only when a count leaves zero or returns
 * to it. While the client is connected, the commits of one turn of the event loop are sent together: they are one
 * batch, and three events at most, however many they are. With 64 commits in flight that is one event for 20 commits.
 * A commit alone pays about 8 µs for its batch (measured).
 *
 * Invariants:
 *
 * 1. idle: no commit is under way. sending: at least one commit is not sent yet. While the client is not connected,
 *    its commits wait here for the link. waiting: all commits are sent, and at least one answer is awaited.
 * 2. A commit whose answer was lost leaves this machine: it is in doubt, and a machine of its own settles it.
 * 3. No commit waits for this machine, and no answer depends on its state.
 *
 * Source: DESIGN, "The house": the control plane is in machines, the data plane in straight code.
 */
import { setup } from "xstate";

/** Events of the machine of a client's commits. */
export type CommittingEvent =
  /** A commit began while no other commit was waiting to be sent. */
  | { readonly type: "COMMITS_BEGUN" }
  /** The last unsent commit was sent, or failed before. */
  | { readonly type: "COMMITS_SENT" }
  /** The last awaited answer arrived, or was lost. */
  | { readonly type: "COMMITS_ANSWERED" }
  | { readonly type: "CLOSE" };

/** The machine of a client's commits. Its effects and guards are stubs: `actors/client` provides them. */
export const committingMachine = setup({
  types: {
    events: {} as CommittingEvent,
  },
  actions: {
    logUnexpected: () => undefined,
  },
  guards: {
    isAnswerAwaited: () => false,
  },
}).createMachine({
  id: "committing",
  initial: "idle",
  on: {
    CLOSE: ".closed",
    "*": { actions: "logUnexpected" },
  },
  states: {
    idle: {
      on: { COMMITS_BEGUN: "sending" },
    },
    sending: {
      on: {
        COMMITS_SENT: [{ guard: "isAnswerAwaited", target: "waiting" }, { target: "idle" }],
        // The commits of an earlier batch are answered, and this batch is not sent yet.
        COMMITS_ANSWERED: {},
      },
    },
    waiting: {
      on: {
        COMMITS_BEGUN: "sending",
        COMMITS_ANSWERED: "idle",
      },
    },
    closed: { type: "final" },
  },
});
