/**
 * Cache verification: brings a client's cache into line with the server that the client registered with. One runs for
 * each connection made, as the child of that connection.
 *
 *     comparing ──upToDate────────────────────────────▶ verified
 *        ├──────replay──▶ replaying ──────────────────▶ verified
 *        ├──────discard; another history, or lost, and so configured──▶ discarding ──▶ verified
 *        ├──────another history, or lost, or behind───▶ refused
 *        └──────error (from each of the three)────────▶ failed
 *
 * Invariants:
 *
 * 1. No invalidation is applied before the comparison has shown that the server has the client's history: until then
 *    they are kept.
 * 2. Data that was cached in another history is never served with this one: it is discarded, or the server is refused.
 * 3. Verified means: the client's position is one of this server's, and every invalidation up to it is applied.
 *
 * Source: ZEO's ClientStorage.verify and ClientCache (upToDate, replay and drop are its three results). The digests,
 * which distinguish another history from a server that is behind, are DESIGN's.
 */
import { assign, fromPromise, setup } from "xstate";
import { notProvided, outputOf } from "../shared/stubs.js";

/** How the server's history relates to the client's, and the server's position. */
export interface Comparison {
  readonly type: "upToDate" | "replay" | "discard" | "otherHistory" | "lost" | "behind";
  readonly position: { readonly tid: number; readonly digest: string };
}

/**
 * Input of the machine of a cache verification. `onOtherHistory`: what happens to a cache that the server's history
 * does not contain.
 */
export interface CacheVerificationInput {
  readonly onOtherHistory: "refuse" | "discard";
}

/** How a verification ended. `comparison` says why the server was refused; `error` is what a step failed with. */
export type CacheVerificationOutput =
  | { readonly type: "verified"; readonly how: "upToDate" | "replayed" | "discarded" }
  | { readonly type: "refused"; readonly comparison: Comparison }
  | { readonly type: "failed"; readonly error: unknown };

/** Context of the machine of a cache verification. */
export interface CacheVerificationContext extends CacheVerificationInput {
  readonly comparison: Comparison | undefined;
  readonly how: "upToDate" | "replayed" | "discarded";
}

const noteComparison = { type: "noteComparison", params: outputOf } as const;

/** The machine of a cache verification. Its actors and actions are stubs: `actors/client` provides them. */
export const cacheVerificationMachine = setup({
  types: {
    context: {} as CacheVerificationContext,
    input: {} as CacheVerificationInput,
    output: {} as CacheVerificationOutput,
  },
  actors: {
    compare: fromPromise<Comparison>(notProvided),
    replay: fromPromise<void, Comparison>(notProvided),
    discard: fromPromise<void, Comparison>(notProvided),
  },
  actions: {
    logUnexpected: () => undefined,
    noteComparison: assign({ comparison: (_, comparison: Comparison) => comparison }),
    noteReplayed: assign({ how: "replayed" }),
    noteDiscarded: assign({ how: "discarded" }),
  },
  guards: {
    isUpToDate: (_, comparison: Comparison) => comparison.type === "upToDate",
    isReplayable: (_, comparison: Comparison) => comparison.type === "replay",
    isTooOld: (_, comparison: Comparison) => comparison.type === "discard",
    isForeignAndDiscarded: ({ context }, comparison: Comparison) =>
      context.onOtherHistory === "discard" && (comparison.type === "otherHistory" || comparison.type === "lost"),
  },
}).createMachine({
  id: "cache-verification",
  context: ({ input }) => ({ onOtherHistory: input.onOtherHistory, comparison: undefined, how: "upToDate" }),
  initial: "comparing",
  on: { "*": { actions: "logUnexpected" } },
  states: {
    comparing: {
      invoke: {
        src: "compare",
        onDone: [
          { guard: { type: "isUpToDate", params: outputOf }, target: "verified" },
          { guard: { type: "isReplayable", params: outputOf }, target: "replaying", actions: noteComparison },
          { guard: { type: "isTooOld", params: outputOf }, target: "discarding", actions: noteComparison },
          { guard: { type: "isForeignAndDiscarded", params: outputOf }, target: "discarding", actions: noteComparison },
          { target: "refused", actions: noteComparison },
        ],
        onError: "failed",
      },
    },
    replaying: {
      entry: "noteReplayed",
      invoke: { src: "replay", input: ({ context }) => compared(context), onDone: "verified", onError: "failed" },
    },
    discarding: {
      entry: "noteDiscarded",
      invoke: { src: "discard", input: ({ context }) => compared(context), onDone: "verified", onError: "failed" },
    },
    verified: { type: "final", output: ({ context }): CacheVerificationOutput => ({ type: "verified", how: context.how }) },
    refused: { type: "final", output: ({ context }): CacheVerificationOutput => ({ type: "refused", comparison: compared(context) }) },
    failed: { type: "final", output: ({ event }): CacheVerificationOutput => ({ type: "failed", error: event.error }) },
  },
  // The output of the final state. XState does not know its type here.
  output: ({ event }) => event.output as CacheVerificationOutput,
});

/** The comparison. Every state after `comparing` except `failed` needs it. */
function compared({ comparison }: CacheVerificationContext): Comparison {
  if (comparison === undefined) throw new Error("the comparison precedes every step that needs it");
  return comparison;
}
