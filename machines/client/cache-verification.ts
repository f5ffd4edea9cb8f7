/**
 * Cache verification: brings what a client has cached into line with the server it registered with. One runs for each
 * connection made, as the child of that connection.
 *
 *     comparing ──upToDate────────────────────────────▶ verified
 *        ├──────replay──▶ replaying ──────────────────▶ verified
 *        ├──────discard; another history, or lost, and so configured──▶ discarding ──▶ verified
 *        ├──────another history, or lost, or behind───▶ refused
 *        └──────error (from each of the three)────────▶ failed
 *
 * Invariants:
 *
 * 1. No invalidation is applied before the server was seen to have the client's history: while comparing they are kept.
 * 2. What was cached in another history is never served with this one: it is discarded, or the server is refused.
 * 3. Verified means: the client's position is one of this server's, and all before it was applied.
 *
 * Source: ZEO's ClientStorage.verify and ClientCache (upToDate, replay and drop are its three results); the digests that tell
 * another history from a server that is behind are DESIGN's.
 */
import { assign, fromPromise, setup } from "xstate";

/** How the server's history stands to the client's, and where the server is. */
export interface Comparison {
  readonly type: "upToDate" | "replay" | "discard" | "otherHistory" | "lost" | "behind";
  readonly position: { readonly tid: number; readonly digest: string };
}

/** What the machine of a cache verification begins with. */
export interface CacheVerificationInput {
  readonly onOtherHistory: "refuse" | "discard";
}

/** How it ended: `refused` tells what the comparison was, `failed` what went wrong on the way. */
export type CacheVerificationOutput =
  | { readonly type: "verified"; readonly how: "upToDate" | "replayed" | "discarded" }
  | { readonly type: "refused"; readonly comparison: Comparison }
  | { readonly type: "failed"; readonly error: unknown };

/** What a cache verification remembers. */
export interface CacheVerificationContext extends CacheVerificationInput {
  readonly comparison: Comparison | undefined;
  readonly how: "upToDate" | "replayed" | "discarded";
  readonly error: unknown;
}

const notProvided = () => Promise.reject(new Error("provided by actors/"));

/** The machine of a cache verification; actors, effects and delays are provided where it runs. */
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
    noteError: assign({ error: (_, params: { readonly error: unknown }) => params.error }),
    noteComparison: assign({ comparison: (_, params: { readonly comparison: Comparison }) => params.comparison }),
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
  context: ({ input }) => ({ onOtherHistory: input.onOtherHistory, comparison: undefined, how: "upToDate", error: undefined }),
  initial: "comparing",
  on: { "*": { actions: "logUnexpected" } },
  states: {
    comparing: {
      invoke: {
        src: "compare",
        onDone: [
          { guard: { type: "isUpToDate", params: ({ event }) => event.output }, target: "verified" },
          {
            guard: { type: "isReplayable", params: ({ event }) => event.output },
            target: "replaying",
            actions: [{ type: "noteComparison", params: ({ event }) => ({ comparison: event.output }) }, "noteReplayed"],
          },
          {
            guard: { type: "isTooOld", params: ({ event }) => event.output },
            target: "discarding",
            actions: [{ type: "noteComparison", params: ({ event }) => ({ comparison: event.output }) }, "noteDiscarded"],
          },
          {
            guard: { type: "isForeignAndDiscarded", params: ({ event }) => event.output },
            target: "discarding",
            actions: [{ type: "noteComparison", params: ({ event }) => ({ comparison: event.output }) }, "noteDiscarded"],
          },
          { target: "refused", actions: { type: "noteComparison", params: ({ event }) => ({ comparison: event.output }) } },
        ],
        onError: { target: "failed", actions: { type: "noteError", params: ({ event }) => ({ error: event.error }) } },
      },
    },
    replaying: {
      invoke: {
        src: "replay",
        input: ({ context }) => compared(context),
        onDone: "verified",
        onError: { target: "failed", actions: { type: "noteError", params: ({ event }) => ({ error: event.error }) } },
      },
    },
    discarding: {
      invoke: {
        src: "discard",
        input: ({ context }) => compared(context),
        onDone: "verified",
        onError: { target: "failed", actions: { type: "noteError", params: ({ event }) => ({ error: event.error }) } },
      },
    },
    verified: { type: "final" },
    refused: { type: "final" },
    failed: { type: "final" },
  },
  output: ({ context }) => {
    // The final state is not known here, but each leaves its own trace in the context.
    if (context.error !== undefined) return { type: "failed", error: context.error };
    if (context.comparison !== undefined && context.how === "upToDate") return { type: "refused", comparison: context.comparison };
    return { type: "verified", how: context.how };
  },
});

/** The comparison that every state after `comparing` rests on. */
function compared({ comparison }: CacheVerificationContext): Comparison {
  if (comparison === undefined) throw new Error("a comparison stands before anything is done about it");
  return comparison;
}
