/**
 * Keeps a node of a cache in touch with the stream of invalidations. One per node whose bus is a stream of JetStream.
 *
 *                LINKED             reached             examined           whole
 *       unlinked ─────▶ cut.reaching ─────▶ examining ───────▶ replaying ─────▶ following ◀─┐ untilLook: beat
 *           ▲             ▲ retryDelay  ▲        │                 │             │   │  └────┘
 *           │        cut.pausing ◀──────┼─failed─┴─────────────────┘             │   │
 *           │             ▲ failed      │ reached                                │   │
 *           │             └───── catchingUp.reaching ◀───────────────────────────┘   │ silent, held up
 *           │                                             DOUBTED                    └──▶ cut.reaching
 *           └ LINK_LOST, from each state.    CLOSE leads from each state to closed.
 *
 * 1. The node follows only after a message of its own came back on this link and nothing is missing.
 * 2. A doubt about the history begins a new examination, and ends the one in progress.
 * 3. An attempt that failed is repeated after a pause that doubles each time. A new link and a new doubt end the pause.
 * 4. The node is cut when the link is lost, the stream is silent, the process was held up, or an attempt failed. It
 *    stays cut until the broker has answered. A gap that is filled in time is no cut.
 * 5. While it follows, the node looks at the stream at intervals, and sends a heartbeat when one is due.
 *
 * Source: DESIGN, "Semantic cache"; INTERLEAVINGS B2, B3, B5.
 */
import { assign, fromPromise, setup } from "xstate";
import { notProvided } from "../shared/stubs.js";

/** Events of the machine of a bus over JetStream. */
export type BusMachineEvent =
  /** The transport has a link to the broker, perhaps another one than before. */
  | { readonly type: "LINKED" }
  | { readonly type: "LINK_LOST" }
  /** A message, or its absence, contradicts the history that this node knows. */
  | { readonly type: "DOUBTED"; readonly reason: string }
  | { readonly type: "CLOSE" };

/** Context of the machine of a bus over JetStream. */
export interface BusContext {
  /** Why the last examination began. */
  readonly reason: string;
  /** Attempts to catch up that have failed since. */
  readonly failures: number;
}

const silent = "the stream is silent";
const heldUp = "this process was held up";

/** The machine of a bus over JetStream; actors, effects, guards and delays are provided where it runs. */
export const busMachine = setup({
  types: {
    context: {} as BusContext,
    events: {} as BusMachineEvent,
  },
  actors: {
    /** Waits until the broker answers on this link. */
    reach: fromPromise<void>(notProvided),
    /** Finds out in which history the stream is, and which position this node has in it. */
    examine: fromPromise<void>(notProvided),
    /** Applies the invalidations that this node has missed. */
    replay: fromPromise<void>(notProvided),
  },
  actions: {
    /** Applies no message that the stream repeats, until an examination has found the position of this node. */
    suspend: () => undefined,
    /** Forgets the messages of this link so far: they may be of another history. The replay delivers missing ones. */
    forgetHeard: () => undefined,
    /**
     * Notifies the listener that no message reaches this node from now on, if the node has followed since the last cut.
     */
    notifyCut: (_, _params: { readonly reason: string }) => undefined,
    /** Notifies the listener that all messages so far are applied. From now on each is applied when it arrives. */
    follow: () => undefined,
    leave: () => undefined,
    beat: () => undefined,
    /** Logs that an examination begins, and why. */
    logCatchingUp: (_, _params: { readonly reason: string }) => undefined,
    /** Keeps and logs the error of the attempt. */
    noteTrouble: (_, _params: { readonly error: unknown }) => undefined,
    logUnexpected: () => undefined,
    beginWith: assign((_, { reason }: { readonly reason: string }) => ({ reason, failures: 0 })),
    countFailure: assign({ failures: ({ context }) => context.failures + 1 }),
    forgetFailures: assign({ failures: 0 }),
  },
  guards: {
    /** All messages that the stream has repeated on this link are applied. */
    isWhole: () => false,
    /** A timer of this process fired so late that others may count this node as lost. */
    wasHeldUp: () => false,
    /** No message came from the stream for the time-out, while this node followed. */
    isSilent: () => false,
    isBeatDue: () => false,
  },
  delays: {
    retryDelay: 0,
    /** Until this node looks at the stream again. */
    untilLook: 0,
  },
}).createMachine({
  id: "bus",
  context: { reason: "", failures: 0 },
  initial: "cut",
  on: {
    LINKED: { target: ".cut.reaching", actions: because("a new link") },
    LINK_LOST: { target: ".cut", actions: { type: "notifyCut", params: { reason: "the link was lost" } } },
    CLOSE: ".closed",
    "*": { actions: "logUnexpected" },
  },
  states: {
    cut: {
      entry: "suspend",
      initial: "unlinked",
      states: {
        unlinked: {
          // Without a link there is nothing to examine.
          on: { DOUBTED: {} },
        },
        reaching: {
          // The examination that comes next judges the history.
          on: { DOUBTED: {} },
          invoke: reach(),
        },
        pausing: {
          after: { retryDelay: "reaching" },
          on: { DOUBTED: { target: "reaching", actions: becauseOfDoubt() } },
        },
      },
    },
    catchingUp: {
      initial: "reaching",
      on: { DOUBTED: { target: ".reaching", actions: becauseOfDoubt() } },
      states: {
        reaching: {
          entry: "suspend",
          invoke: reach(),
        },
        examining: {
          entry: "forgetHeard",
          invoke: { src: "examine", onDone: "replaying", onError: failed() },
        },
        replaying: {
          invoke: {
            src: "replay",
            // A message that was repeated meanwhile may be missing.
            onDone: [
              { guard: "isWhole", target: "#bus.following" },
              { target: "replaying", reenter: true },
            ],
            onError: failed(),
          },
        },
      },
    },
    following: {
      entry: ["forgetFailures", "follow"],
      exit: "leave",
      initial: "resting",
      on: { DOUBTED: { target: "catchingUp", actions: becauseOfDoubt() } },
      states: {
        resting: {
          after: {
            untilLook: [
              { guard: "wasHeldUp", target: "#bus.cut.reaching", actions: cutBecause(heldUp) },
              { guard: "isSilent", target: "#bus.cut.reaching", actions: cutBecause(silent) },
              { guard: "isBeatDue", target: "resting", reenter: true, actions: "beat" },
              { target: "resting", reenter: true },
            ],
          },
        },
      },
    },
    closed: { type: "final", entry: "suspend" },
  },
});

function because(reason: string) {
  return [
    { type: "beginWith", params: { reason } },
    { type: "logCatchingUp", params: { reason } },
  ] as const;
}

function cutBecause(reason: string) {
  return [{ type: "notifyCut", params: { reason } }, ...because(reason)] as const;
}

function becauseOfDoubt() {
  const params = ({ event }: { readonly event: { readonly type: "DOUBTED"; readonly reason: string } }) => ({ reason: event.reason });
  return [
    { type: "beginWith", params },
    { type: "logCatchingUp", params },
  ] as const;
}

function reach() {
  return { src: "reach", onDone: "#bus.catchingUp.examining", onError: failed() } as const;
}

/** An attempt to catch up failed. Another one follows. */
function failed() {
  return {
    target: "#bus.cut.pausing",
    actions: [
      { type: "noteTrouble", params: ({ event }: { readonly event: { readonly error: unknown } }) => ({ error: event.error }) },
      { type: "notifyCut", params: { reason: "could not catch up" } },
      "countFailure",
    ],
  } as const;
}
