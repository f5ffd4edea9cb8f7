/**
 * Keeps a node of a cache in touch with the other nodes over plain NATS, which stores no messages.
 *
 *          LINKED            ECHOED
 *     cut ────────▶ greeting ──────▶ following ◀─┐ beatDelay: beat
 *      ▲ unlinked    ▲  └┘ beatDelay  ▲    │ └───┘
 *      │                              │    │ silent, held up
 *      │                       ECHOED └── cut.silent ◀┐ beatDelay: greet
 *      └─ LINK_LOST, from each state            └─────┘
 *
 * 1. The node follows only after a greeting of its own has come back: any one that it sent on this link since it was
 *    cut.
 * 2. A node that begins to follow has missed messages: its listener gets a `reset`.
 * 3. The listener gets a `cut` when the link is lost, the broker is silent, or the process was held up.
 * 4. A greeting that does not come back is sent again at the pace of heartbeats.
 *
 * Source: DESIGN, "Semantic cache"; INTERLEAVINGS B6.
 */
import { setup } from "xstate";

/** Events of the machine of a bus over plain NATS. */
export type PlainBusEvent =
  /** The transport has a link to the broker, perhaps another one than before. */
  | { readonly type: "LINKED" }
  | { readonly type: "LINK_LOST" }
  /** A greeting came back that was sent on this link since the node was cut. */
  | { readonly type: "ECHOED" }
  | { readonly type: "CLOSE" };

const silent = "the broker is silent";
const heldUp = "this process was held up";

/** The machine of a bus over plain NATS; effects, guards and delays are provided where it runs. */
export const plainBusMachine = setup({
  types: { events: {} as PlainBusEvent },
  actions: {
    /** Sends a greeting. The first one on a link also sends again the publications that have not come back yet. */
    greet: () => undefined,
    /** Forgets the greetings of the lost link. */
    unlink: () => undefined,
    /** Forgets the other publishers and their last numbers. */
    forgetPublishers: () => undefined,
    notifyCut: (_, _params: { readonly reason: string }) => undefined,
    follow: () => undefined,
    leave: () => undefined,
    beat: () => undefined,
    logUnexpected: () => undefined,
  },
  guards: {
    /** A timer of this process fired so late that others may count this node as lost. */
    wasHeldUp: () => false,
    /** No message of this node came back for the time-out. */
    isSilent: () => false,
  },
  delays: { beatDelay: 0 },
}).createMachine({
  id: "plain-bus",
  initial: "cut",
  on: {
    LINKED: { target: ".greeting", reenter: true },
    LINK_LOST: { target: ".cut", reenter: true, actions: { type: "notifyCut", params: { reason: "the link was lost" } } },
    CLOSE: ".closed",
    // The node follows already, or is closed.
    ECHOED: {},
    "*": { actions: "logUnexpected" },
  },
  states: {
    cut: {
      entry: "forgetPublishers",
      initial: "unlinked",
      states: {
        unlinked: { entry: "unlink" },
        silent: {
          entry: "greet",
          after: { beatDelay: { target: "silent", reenter: true } },
          on: { ECHOED: "#plain-bus.following" },
        },
      },
    },
    greeting: {
      entry: "greet",
      after: { beatDelay: { target: "greeting", reenter: true } },
      on: { ECHOED: "following" },
    },
    following: {
      entry: "follow",
      exit: "leave",
      initial: "resting",
      states: {
        resting: {
          after: {
            beatDelay: [
              { guard: "wasHeldUp", target: "#plain-bus.cut.silent", actions: { type: "notifyCut", params: { reason: heldUp } } },
              { guard: "isSilent", target: "#plain-bus.cut.silent", actions: { type: "notifyCut", params: { reason: silent } } },
              { target: "resting", reenter: true, actions: "beat" },
            ],
          },
        },
      },
    },
    closed: { type: "final" },
  },
});
