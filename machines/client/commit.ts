/**
 * Commit: one transaction that needs more than one message: it is voted and finished by hand, or its answer was lost.
 * A commit of one message that was answered never comes here: it is straight code.
 *
 *     voting ──▶ voted ──FINISH──▶ finishing ──────────────▶ committed
 *       │          │ ABORT            │  └──told aborted────▶ aborted
 *       │          ▼                  ▼ answer lost
 *       └──────▶ aborting ─▶ aborted  inDoubt.settling ⇄ inDoubt.pausing
 *                                     │    │    └─────────▶ committed
 *          (begins here when the one  │    └──────────────▶ aborted
 *           message had no answer)    └──settleTimeout, GIVE_UP──▶ unknown
 *
 * Invariants:
 *
 * 1. A transaction whose finish, or whose only message, was sent is told as committed or aborted only when the server said so.
 * 2. A vote without an answer needs no settling: nothing commits without a finish, which was never sent.
 * 3. `unknown` is reached only when the server cannot know, or cannot be asked within settleTimeout or until the client ends.
 * 4. A finish that was lost is sent again as long as the server holds the vote: settling alone would abort it.
 *
 * Source: ZODB's two-phase commit (tpc_vote, tpc_finish, tpc_abort); settling by id is DESIGN's promise 8.
 */
import { assign, fromPromise, setup } from "xstate";

/** Where a committed transaction stands in the history. */
export interface CommitPosition {
  readonly tid: number;
  readonly previous: number;
  readonly digest: string;
}

/** What the machine of one transaction's commit, at its client begins with. */
export interface CommitInput {
  /** Of the transaction. */
  readonly id: string;
  /** `vote`: it is to be voted first. `settle`: it was sent whole, and no answer came. */
  readonly start: "vote" | "settle";
}

/** What the machine of one transaction's commit, at its client is told. */
export type CommitEvent =
  | { readonly type: "FINISH" }
  | { readonly type: "ABORT" }
  /** The client ends: nobody asks for the outcome any more. */
  | { readonly type: "GIVE_UP" };

/** What the machine of one transaction's commit, at its client ends with. */
export type CommitOutput =
  | { readonly type: "committed"; readonly position: CommitPosition }
  | { readonly type: "aborted"; readonly error: unknown; readonly secondPhase: boolean }
  | { readonly type: "unknown"; readonly error: unknown };

/** What the machine of one transaction's commit, at its client remembers. */
export interface CommitContext extends CommitInput {
  readonly position: CommitPosition | undefined;
  /** Why it did not commit, or why that is not known. */
  readonly error: unknown;
  readonly isUnknown: boolean;
  /** Its finish was sent: others may have been told to go on. */
  readonly secondPhase: boolean;
}

/** What an effect is told: for which transaction. */
export interface CommitSubject {
  readonly id: string;
}

const notProvided = () => Promise.reject(new Error("provided by actors/"));

/** The machine of one transaction's commit, at its client; actors, effects and delays are provided where it runs. */
export const commitMachine = setup({
  types: {
    context: {} as CommitContext,
    events: {} as CommitEvent,
    input: {} as CommitInput,
    output: {} as CommitOutput,
  },
  actors: {
    vote: fromPromise<void, CommitSubject>(notProvided),
    finish: fromPromise<CommitPosition, CommitSubject>(notProvided),
    abort: fromPromise<void, CommitSubject>(notProvided),
    /** Resolves to undefined when it never will commit. */
    settle: fromPromise<CommitPosition | undefined, CommitSubject>(notProvided),
  },
  actions: {
    logUnexpected: () => undefined,
    noteError: assign({ error: (_, params: { readonly error: unknown }) => params.error }),
    notePosition: assign({ position: (_, params: { readonly position: CommitPosition | undefined }) => params.position }),
    noteSecondPhase: assign({ secondPhase: true }),
    noteUnknown: assign({ isUnknown: true }),
  },
  guards: {
    startsInDoubt: ({ context }) => context.start === "settle",
    isCommitted: (_, settled: { readonly position: CommitPosition | undefined }) => settled.position !== undefined,
    /** The answer was lost: whether the server did it is not known. */
    isInDoubt: (_, _failure: { readonly error: unknown }) => true,
    /** The server can no longer tell, or nobody can ask it again. */
    isUnknowable: (_, _failure: { readonly error: unknown }) => false,
  },
  delays: {
    settleDelay: 0,
    settleTimeout: 0,
  },
}).createMachine({
  id: "commit",
  context: ({ input }) => ({ ...input, position: undefined, error: undefined, isUnknown: false, secondPhase: false }),
  initial: "starting",
  on: {
    // What is not in doubt ends by itself when the link does.
    GIVE_UP: {},
    "*": { actions: "logUnexpected" },
  },
  states: {
    starting: {
      always: [{ guard: "startsInDoubt", target: "inDoubt" }, { target: "voting" }],
    },
    voting: {
      invoke: {
        src: "vote",
        input: ({ context }) => ({ id: context.id }),
        onDone: "voted",
        onError: [
          {
            guard: { type: "isInDoubt", params: ({ event }) => ({ error: event.error }) },
            target: "aborting",
            actions: { type: "noteError", params: ({ event }) => ({ error: event.error }) },
          },
          { target: "aborted", actions: { type: "noteError", params: ({ event }) => ({ error: event.error }) } },
        ],
      },
      on: { ABORT: "aborting" },
    },
    voted: {
      on: {
        FINISH: { target: "finishing", actions: "noteSecondPhase" },
        ABORT: "aborting",
      },
    },
    finishing: {
      invoke: {
        src: "finish",
        input: ({ context }) => ({ id: context.id }),
        onDone: { target: "committed", actions: { type: "notePosition", params: ({ event }) => ({ position: event.output }) } },
        onError: [
          {
            guard: { type: "isInDoubt", params: ({ event }) => ({ error: event.error }) },
            target: "inDoubt",
            actions: { type: "noteError", params: ({ event }) => ({ error: event.error }) },
          },
          { target: "aborted", actions: { type: "noteError", params: ({ event }) => ({ error: event.error }) } },
        ],
      },
    },
    aborting: {
      // The server aborts it with the session or at its time-out, should this not reach it.
      invoke: { src: "abort", input: ({ context }) => ({ id: context.id }), onDone: "aborted", onError: "aborted" },
      on: { ABORT: {} },
    },
    inDoubt: {
      initial: "settling",
      after: { settleTimeout: { target: "unknown", actions: "noteUnknown" } },
      on: { GIVE_UP: { target: "unknown", actions: "noteUnknown" } },
      states: {
        settling: {
          invoke: {
            src: "settle",
            input: ({ context }) => ({ id: context.id }),
            onDone: [
              {
                guard: { type: "isCommitted", params: ({ event }) => ({ position: event.output }) },
                target: "#commit.committed",
                actions: { type: "notePosition", params: ({ event }) => ({ position: event.output }) },
              },
              { target: "#commit.aborted" },
            ],
            onError: [
              {
                guard: { type: "isUnknowable", params: ({ event }) => ({ error: event.error }) },
                target: "#commit.unknown",
                actions: [{ type: "noteError", params: ({ event }) => ({ error: event.error }) }, "noteUnknown"],
              },
              { target: "pausing", actions: { type: "noteError", params: ({ event }) => ({ error: event.error }) } },
            ],
          },
        },
        pausing: { after: { settleDelay: "settling" } },
      },
    },
    committed: { type: "final" },
    aborted: { type: "final" },
    unknown: { type: "final" },
  },
  output: ({ context }) => {
    if (context.position !== undefined) return { type: "committed", position: context.position };
    if (context.isUnknown) return { type: "unknown", error: context.error };
    return { type: "aborted", error: context.error, secondPhase: context.secondPhase };
  },
});
