/**
 * A registered client, as its server sees it.
 *
 *        live ── BYE, TRANSACTION_HUNG, DISPLACED, or silence ──▶ gone
 *
 * 1. A session that anything was heard of within the session timeout is live, unless it was ended.
 * 2. Its end aborts its transactions, before anything else happens.
 * 3. A session never comes back: who was gone registers anew.
 *
 * The timer is set when it may fire, not at each message: it looks when the client was last heard.
 *
 * Source: DESIGN "The link is to a server, not to the broker"; INTERLEAVINGS A16.
 */
import { setup } from "xstate";

/** What the machine of a client's session, at its server is told. */
export type SessionEvent =
  | { readonly type: "BYE" }
  /** One of its voted transactions was not finished in time. */
  | { readonly type: "TRANSACTION_HUNG" }
  /** Another client needs its place, and this one is not heard of any more. */
  | { readonly type: "DISPLACED" };

/** What the machine of a client's session, at its server remembers. */
export interface SessionContext {
  readonly session: string;
}

/** The machine of a client's session, at its server; actors, effects and delays are provided where it runs. */
export const sessionMachine = setup({
  types: {
    context: {} as SessionContext,
    events: {} as SessionEvent,
    input: {} as SessionContext,
  },
  actions: {
    abortTransactions: () => undefined,
    forget: () => undefined,
    logGone: (_, _params: { readonly reason: string }) => undefined,
    logUnexpected: () => undefined,
  },
  guards: {
    wasHeard: () => false,
  },
  delays: {
    /** From now to the moment at which the client has been silent for the session timeout. */
    silenceLeft: 0,
  },
}).createMachine({
  id: "session",
  context: ({ input }) => input,
  initial: "live",
  on: {
    "*": { actions: "logUnexpected" },
  },
  states: {
    live: {
      after: {
        silenceLeft: [
          { guard: "wasHeard", target: "live", reenter: true },
          { target: "gone", actions: { type: "logGone", params: { reason: "silent" } } },
        ],
      },
      on: {
        BYE: { target: "gone", actions: { type: "logGone", params: { reason: "bye" } } },
        DISPLACED: { target: "gone", actions: { type: "logGone", params: { reason: "displaced" } } },
        TRANSACTION_HUNG: { target: "gone", actions: { type: "logGone", params: { reason: "a transaction hung" } } },
      },
    },
    gone: { type: "final", entry: ["forget", "abortTransactions"] },
  },
});
