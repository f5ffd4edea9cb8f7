/**
 * A transaction at the server that needs more than one message, or that waits for objects which a voted one holds.
 * One that fits in a single message and meets no held object needs none of this: it rides in a batch.
 *
 *        arriving ─────────────────────────────┐
 *        │ queued ── HELD_OBJECT_MET ──▶ waiting │ ── VOTED ──▶ voted ── FINISH ──▶ writing ── WRITTEN ──▶ committed
 *        │   ▲ └──── OBJECTS_FREED ◀──────┘      │               │                  ▲   │
 *        └───────────────────────────────────────┘               │                  │   └─ REFUSED ──▶ aborted
 *             │ ADDED (a commit, once validated) ────────────────┼──────────────────┘
 *             │ REFUSED, ABORT, SESSION_GONE ──▶ aborted ◀───────┤ ABORT, SESSION_GONE
 *             └ transactionTimeout ──▶ timedOut ◀────────────────┘ transactionTimeout
 *
 * 1. Who waits holds nothing, so that no two transactions wait for each other.
 * 2. What is held is let go at every end, and at once.
 * 3. The timer runs while it waits and, anew, from the vote on; it does not run while it is written.
 * 4. An end without a commit, unless validation refused it, is fenced: no late copy can commit.
 * 5. A voted transaction that hangs costs its client the session; one that waited in vain does not.
 *
 * Source: DESIGN promises 8 and 9; ZEO's StorageServer (`_timeout`, `_clear_transaction`).
 */
import { setup } from "xstate";

/** What the machine of one transaction, at its server is told. */
export type TransactionEvent =
  | { readonly type: "HELD_OBJECT_MET" }
  | { readonly type: "OBJECTS_FREED" }
  /** A vote passed validation: it holds its objects from now on. */
  | { readonly type: "VOTED" }
  /** A one-message commit passed validation and stands in a batch. */
  | { readonly type: "ADDED" }
  | { readonly type: "FINISH" }
  | { readonly type: "ABORT" }
  | { readonly type: "SESSION_GONE" }
  | { readonly type: "WRITTEN" }
  /** Validation refused it, or the log does not have it after a write in doubt. */
  | { readonly type: "REFUSED" };

/** What the machine of one transaction, at its server remembers. */
export interface TransactionContext {
  readonly id: string;
}

/** The machine of one transaction, at its server; actors, effects and delays are provided where it runs. */
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
    /** Lets go of what it holds, and wakes those who wait for it. */
    release: () => undefined,
    fence: () => undefined,
    tellAborted: () => undefined,
    tellTimedOut: () => undefined,
    closeSession: () => undefined,
    logTimedOut: () => undefined,
    logUnexpected: () => undefined,
  },
  delays: {
    transactionTimeout: 0,
  },
}).createMachine({
  id: "transaction",
  context: ({ input }) => input,
  initial: "arriving",
  on: {
    "*": { actions: "logUnexpected" },
  },
  states: {
    arriving: {
      initial: "queued",
      after: {
        transactionTimeout: { target: "timedOut", actions: ["logTimedOut", "tellTimedOut", "fence"] },
      },
      on: {
        REFUSED: "aborted",
        ABORT: { target: "aborted", actions: ["tellAborted", "fence"] },
        SESSION_GONE: { target: "aborted", actions: ["tellAborted", "fence"] },
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
          on: {
            OBJECTS_FREED: { target: "queued", actions: "enqueueAgain" },
          },
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
        // What is being written cannot be taken back, whoever has gone.
        SESSION_GONE: {},
      },
    },
    committed: { type: "final", entry: "release" },
    aborted: { type: "final", entry: "release" },
    timedOut: { type: "final", entry: "release" },
  },
});
