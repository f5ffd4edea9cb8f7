/**
 * A transaction at the server that needs more than one message, or that waits for objects that a voted one holds. A
 * transaction that fits in one message and meets no held object needs no machine: it is part of a batch.
 *
 *        arriving ─────────────────────────────┐
 *        │ queued ── HELD_OBJECT_MET ──▶ waiting │ ── VOTED ──▶ voted ── FINISH ──▶ writing ── WRITTEN ──▶ committed
 *        │   ▲ └──── OBJECTS_FREED ◀──────┘      │               │                  ▲   │
 *        └───────────────────────────────────────┘               │                  │   └─ REFUSED ──▶ aborted
 *             │ ADDED (a commit, once validated) ────────────────┼──────────────────┘
 *             │ REFUSED, ABORT, SESSION_GONE ──▶ aborted ◀───────┤ ABORT, SESSION_GONE
 *             └ transactionTimeout ──▶ timedOut ◀────────────────┘ transactionTimeout
 *
 * 1. A transaction that waits holds nothing, so that no two transactions wait for each other.
 * 2. Every end releases all held objects at once.
 * 3. The timer runs while the transaction waits, and starts again at the vote. It does not run during the write.
 * 4. An end without a commit, unless validation refused it, is fenced: no late copy can commit.
 * 5. A voted transaction that times out costs its client the session; one that only waited does not.
 * 6. A transaction that is being written cannot be taken back. A FINISH counts once, after the vote.
 *
 * Source: DESIGN promises 8 and 9; ZEO's StorageServer (`_timeout`, `_clear_transaction`).
 */
import { setup } from "xstate";

/** Events of the machine of a transaction at its server. */
export type TransactionEvent =
  | { readonly type: "HELD_OBJECT_MET" }
  | { readonly type: "OBJECTS_FREED" }
  /** A vote passed validation: it holds its objects from now on. */
  | { readonly type: "VOTED" }
  /** A one-message commit passed validation and is in a batch. */
  | { readonly type: "ADDED" }
  | { readonly type: "FINISH" }
  | { readonly type: "ABORT" }
  | { readonly type: "SESSION_GONE" }
  | { readonly type: "WRITTEN" }
  /** Validation refused it, or the log does not have it after a write in doubt. */
  | { readonly type: "REFUSED" };

/** Context of the machine of a transaction at its server. */
export interface TransactionContext {
  readonly id: string;
}

/** The machine of a transaction at its server. Its effects and delays are stubs: `actors/server` provides them. */
export const transactionMachine = setup({
  types: {
    context: {} as TransactionContext,
    events: {} as TransactionEvent,
    input: {} as TransactionContext,
  },
  actions: {
    /** Puts it in front of the commits that wait for the next batch. */
    enqueueAgain: () => undefined,
    hold: () => undefined,
    enqueueFinish: () => undefined,
    /** Releases the held objects, and wakes the transactions that wait for them. */
    release: () => undefined,
    fence: () => undefined,
    refuseAborted: () => undefined,
    refuseTimedOut: () => undefined,
    closeSession: () => undefined,
    logTimedOut: () => undefined,
    logUnexpected: () => undefined,
  },
  delays: { transactionTimeout: 0 },
}).createMachine({
  id: "transaction",
  context: ({ input }) => input,
  initial: "arriving",
  on: { "*": { actions: "logUnexpected" } },
  states: {
    arriving: {
      initial: "queued",
      after: {
        transactionTimeout: { target: "timedOut", actions: ["logTimedOut", "refuseTimedOut", "fence"] },
      },
      on: {
        REFUSED: "aborted",
        ABORT: { target: "aborted", actions: ["refuseAborted", "fence"] },
        SESSION_GONE: { target: "aborted", actions: ["refuseAborted", "fence"] },
        // The finish of a transaction that is not voted: its request is refused where it arrived.
        FINISH: {},
      },
      states: {
        queued: {
          on: {
            HELD_OBJECT_MET: "waiting",
            VOTED: "#transaction.voted",
            ADDED: "#transaction.writing",
          },
        },
        waiting: {
          on: { OBJECTS_FREED: { target: "queued", actions: "enqueueAgain" } },
        },
      },
    },
    voted: {
      entry: "hold",
      after: {
        transactionTimeout: { target: "timedOut", actions: ["logTimedOut", "fence", "closeSession"] },
      },
      on: {
        FINISH: { target: "writing", actions: "enqueueFinish" },
        ABORT: { target: "aborted", actions: "fence" },
        SESSION_GONE: { target: "aborted", actions: "fence" },
      },
    },
    writing: {
      on: {
        WRITTEN: "committed",
        REFUSED: "aborted",
        // The session may end during the write: a transaction that is being written cannot be taken back.
        SESSION_GONE: {},
        ABORT: {},
        // A copy of its finish, which gets the answer to the first.
        FINISH: {},
      },
    },
    committed: { type: "final", entry: "release" },
    aborted: { type: "final", entry: "release" },
    timedOut: { type: "final", entry: "release" },
  },
});
