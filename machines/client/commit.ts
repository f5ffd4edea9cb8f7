/**
 * Commit: one transaction that needs more than one message. Either its user votes and finishes it by hand, or its one
 * message had no answer. A commit of one message that is answered never comes here: it is straight code.
 *
 *     voting ──▶ voted ──FINISH──▶ finishing ───────────────────▶ committed
 *       │          │ ABORT            │  └──the server aborted────▶ aborted
 *       │          ▼                  ▼ no answer
 *       └──────▶ aborting ─▶ aborted  inDoubt.settling ⇄ inDoubt.pausing
 *                                     │    │    └──────────────▶ committed
 *          (begins here when the one  │    └───────────────────▶ aborted
 *           message had no answer)    └──settleTimeout, GIVE_UP──▶ unknown
 *
 * Invariants:
 *
 * 1. Once the finish, or the only message, was sent, the outcome is `committed` or `aborted` only when the server
 *    said so.
 * 2. A vote without an answer needs no settling: nothing commits without a finish, which was never sent.
 * 3. `unknown` is reached only when the server cannot know the outcome, or cannot be asked within settleTimeout or
 *    until the client ends.
 * 4. A finish without an answer is sent again as long as the server holds the vote: settling alone would abort the
 *    transaction.
 *
 * Source: ZODB's two-phase commit (tpc_vote, tpc_finish, tpc_abort); settling by id is DESIGN's promise 8.
 */
import { assign, fromPromise, setup } from "xstate";
import { errorOf, notProvided, outputOf } from "../shared/stubs.js";

/** Where a committed transaction stands in the history. */
export interface CommitPosition {
  readonly tid: number;
  readonly previous: number;
  readonly digest: string;
}

/** Input of the commit machine. */
export interface CommitInput {
  /** Id of the transaction. */
  readonly id: string;
  /** `vote`: the vote is sent first. `settle`: the whole transaction was sent in one message, which had no answer. */
  readonly start: "vote" | "settle";
}

/** Events of the commit machine. */
export type CommitEvent =
  | { readonly type: "FINISH" }
  | { readonly type: "ABORT" }
  /** The client ends and asks no more for the outcome. */
  | { readonly type: "GIVE_UP" };

/**
 * Outcome of a commit. `error`: why it aborted or why its outcome is unknown, undefined when its user aborted it.
 * `secondPhase`: its finish was sent, so that transactions which are coordinated with it may have committed.
 */
export type CommitOutput =
  | { readonly type: "committed"; readonly position: CommitPosition }
  | { readonly type: "aborted"; readonly error: unknown; readonly secondPhase: boolean }
  | { readonly type: "unknown"; readonly error: unknown };

/** Context of the commit machine. */
export interface CommitContext extends CommitInput {
  readonly position: CommitPosition | undefined;
  /**
   * The last failure. If a commit ends with a time-out, or after an abort was sent, this earlier failure is the cause.
   */
  readonly error: unknown;
  /** The finish was sent. */
  readonly secondPhase: boolean;
  /** Pauses since the commit is in doubt. */
  readonly pauses: number;
}

/** The transaction that an actor of the commit machine works for. */
export interface CommitSubject {
  readonly id: string;
}

const isInDoubt = { type: "isInDoubt", params: errorOf } as const;
const noteError = { type: "noteError", params: errorOf } as const;
const notePosition = { type: "notePosition", params: outputOf } as const;

/** The commit machine. Its actors, guards and delays are stubs: `actors/client` provides them. */
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
    /** Resolves to undefined when the transaction will never commit. */
    settle: fromPromise<CommitPosition | undefined, CommitSubject & Pick<CommitContext, "secondPhase">>(notProvided),
  },
  actions: {
    logUnexpected: () => undefined,
    /** The server holds all that the transaction read and wrote. */
    reportVoted: (_, _params: CommitSubject) => undefined,
    noteError: assign({ error: (_, params: { readonly error: unknown }) => params.error }),
    notePosition: assign({ position: (_, position: CommitPosition | undefined) => position }),
    noteSecondPhase: assign({ secondPhase: true }),
    countPause: assign({ pauses: ({ context }) => context.pauses + 1 }),
  },
  guards: {
    startsInDoubt: ({ context }) => context.start === "settle",
    isCommitted: (_, position: CommitPosition | undefined) => position !== undefined,
    /** The answer was lost: the server may have carried out the request. */
    isInDoubt: (_, _failure: { readonly error: unknown }) => true,
    /** The server does not know the outcome any more, or the client cannot ask it again. */
    isUnknowable: (_, _failure: { readonly error: unknown }) => false,
  },
  delays: {
    settleDelay: 0,
    settleTimeout: 0,
  },
}).createMachine({
  id: "commit",
  context: ({ input }) => ({ ...input, position: undefined, error: undefined, secondPhase: false, pauses: 0 }),
  initial: "starting",
  on: {
    // A commit that is not in doubt ends when its link does.
    GIVE_UP: {},
    // After its finish or its only message was sent, a transaction cannot be taken back.
    ABORT: {},
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
          { guard: isInDoubt, target: "aborting", actions: noteError },
          { target: "aborted", actions: noteError },
        ],
      },
      on: { ABORT: "aborting" },
    },
    voted: {
      entry: { type: "reportVoted", params: ({ context }) => ({ id: context.id }) },
      on: {
        FINISH: { target: "finishing", actions: "noteSecondPhase" },
        ABORT: "aborting",
      },
    },
    finishing: {
      invoke: {
        src: "finish",
        input: ({ context }) => ({ id: context.id }),
        onDone: { target: "committed", actions: notePosition },
        onError: [
          { guard: isInDoubt, target: "inDoubt", actions: noteError },
          { target: "aborted", actions: noteError },
        ],
      },
    },
    aborting: {
      // If this message does not arrive, the server aborts the transaction at its time-out or with the session.
      invoke: { src: "abort", input: ({ context }) => ({ id: context.id }), onDone: "aborted", onError: "aborted" },
    },
    inDoubt: {
      initial: "settling",
      after: { settleTimeout: "unknown" },
      on: { GIVE_UP: "unknown" },
      states: {
        settling: {
          invoke: {
            src: "settle",
            input: ({ context: { id, secondPhase } }) => ({ id, secondPhase }),
            onDone: [
              { guard: { type: "isCommitted", params: outputOf }, target: "#commit.committed", actions: notePosition },
              { target: "#commit.aborted" },
            ],
            onError: [
              { guard: { type: "isUnknowable", params: errorOf }, target: "#commit.unknown", actions: noteError },
              { target: "pausing", actions: noteError },
            ],
          },
        },
        pausing: { entry: "countPause", after: { settleDelay: "settling" } },
      },
    },
    committed: { type: "final", output: ({ context }): CommitOutput => ({ type: "committed", position: positionIn(context) }) },
    aborted: {
      type: "final",
      output: ({ context: { error, secondPhase } }): CommitOutput => ({ type: "aborted", error, secondPhase }),
    },
    unknown: { type: "final", output: ({ context }): CommitOutput => ({ type: "unknown", error: context.error }) },
  },
  // The output of the final state. XState does not know its type here.
  output: ({ event }) => event.output as CommitOutput,
});

/** The position of a transaction that has committed. */
function positionIn({ position }: CommitContext): CommitPosition {
  if (position === undefined) throw new Error("a transaction that has committed has a position");
  return position;
}
