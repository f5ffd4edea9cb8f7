/**
 * Pruning of a cache of results: removes entries that lapsed, and tags that nothing has depended on for long, in steps
 * so small that no call of the cache waits for them.
 *
 *               pruningInterval, or asked
 *        idle ───────────────────────────▶ sweeping ◀──┐ stepped, more is left
 *         ▲                                 │ │ │ └────┘
 *         └────────────── done ─────────────┘ │
 *                                             │ failed
 *        sweeping ◀── backOff, or asked ── backingOff
 *
 * 1. One sweep runs at a time.
 * 2. A PRUNE is served by a sweep that begins after it: the sweep that runs may have passed an entry before it lapsed.
 *    All PRUNEs during one sweep share the next one, which takes the shortest `unusedMs` among theirs.
 * 3. After a failure the next sweep begins after a pause, which doubles each time, up to the interval of sweeps; after
 *    a PRUNE it begins at once.
 * 4. Between two steps other code runs.
 *
 * Source: DESIGN "Trie".
 */
import { assign, fromPromise, setup } from "xstate";
import { errorOf, notProvided, outputOf } from "../shared/stubs.js";

/** Events of the machine that prunes a cache. */
export interface CachePruningEvent {
  /** Sweep now, or once the sweep that runs has ended. */
  readonly type: "PRUNE";
  /** Tags that nothing has depended on for so many milliseconds are removed. Default: `usualUnusedMs`. */
  readonly unusedMs?: number;
}

/** Input of the machine that prunes a cache. */
export interface CachePruningInput {
  /** `unusedMs` of sweeps that the timer begins, in milliseconds. Infinity: no tag is removed. */
  readonly usualUnusedMs: number;
}

/** Context of the machine that prunes a cache. */
export interface CachePruningContext extends CachePruningInput {
  /** `unusedMs` of the sweep that runs. */
  readonly unusedMs: number;
  /** `unusedMs` of the sweep that a PRUNE asked for and that has not begun. Undefined: there is none. */
  readonly askedMs: number | undefined;
  /** Numbers of entries and tags that the sweep has removed so far. */
  readonly entries: number;
  readonly tags: number;
  readonly sweepsFailed: number;
}

/** Result of one step of a sweep. */
export interface CacheSwept {
  readonly entries: number;
  readonly tags: number;
  /** Nothing is left for another step. */
  readonly done: boolean;
}

const countRemoved = { type: "countRemoved", params: outputOf } as const;

/** Cache pruning machine: one per cache. */
export const cachePruningMachine = setup({
  types: {
    context: {} as CachePruningContext,
    events: {} as CachePruningEvent,
    input: {} as CachePruningInput,
  },
  actors: { step: fromPromise<CacheSwept, { readonly unusedMs: number }>(notProvided) },
  actions: {
    /** The calls that wait now get the result of the sweep that begins. */
    takeCalls: () => undefined,
    answerCalls: () => undefined,
    failCalls: (_, _params: { readonly error: unknown }) => undefined,
    logSwept: () => undefined,
    logFailed: (_, _params: { readonly error: unknown }) => undefined,
    logUnexpected: () => undefined,
    noteAsked: assign({
      askedMs: ({ context, event }) => Math.min(context.askedMs ?? Infinity, event.unusedMs ?? context.usualUnusedMs),
    }),
    begin: assign({
      unusedMs: ({ context }) => context.askedMs ?? context.usualUnusedMs,
      askedMs: undefined,
      entries: 0,
      tags: 0,
    }),
    countRemoved: assign({
      entries: ({ context }, { entries }: CacheSwept) => context.entries + entries,
      tags: ({ context }, { tags }: CacheSwept) => context.tags + tags,
    }),
    countFailed: assign({ sweepsFailed: ({ context }) => context.sweepsFailed + 1 }),
    forgetFailed: assign({ sweepsFailed: 0 }),
  },
  guards: {
    isAsked: ({ context }) => context.askedMs !== undefined,
    isDone: (_, params: CacheSwept) => params.done,
  },
  delays: {
    pruningInterval: 0,
    backOff: 0,
  },
}).createMachine({
  id: "cache-pruning",
  context: ({ input }) => ({
    ...input,
    unusedMs: input.usualUnusedMs,
    askedMs: undefined,
    entries: 0,
    tags: 0,
    sweepsFailed: 0,
  }),
  initial: "idle",
  on: {
    PRUNE: { actions: "noteAsked" },
    "*": { actions: "logUnexpected" },
  },
  states: {
    idle: {
      always: { guard: "isAsked", target: "sweeping" },
      after: { pruningInterval: "sweeping" },
    },
    sweeping: {
      entry: ["begin", "takeCalls"],
      initial: "stepping",
      states: {
        stepping: {
          invoke: {
            src: "step",
            input: ({ context }) => ({ unusedMs: context.unusedMs }),
            onDone: [
              {
                guard: { type: "isDone", params: outputOf },
                target: "#cache-pruning.idle",
                actions: [countRemoved, "forgetFailed", "answerCalls", "logSwept"],
              },
              { target: "stepping", reenter: true, actions: countRemoved },
            ],
            onError: {
              target: "#cache-pruning.backingOff",
              actions: [
                { type: "logFailed", params: errorOf },
                { type: "failCalls", params: errorOf },
              ],
            },
          },
        },
      },
    },
    backingOff: {
      entry: "countFailed",
      always: { guard: "isAsked", target: "sweeping" },
      after: { backOff: "sweeping" },
    },
  },
});
