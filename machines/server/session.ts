/**
 * A registered client, as its server sees it.
 *
 *        live ── BYE, TRANSACTION_HUNG, DISPLACED, or silence ──▶ gone
 *
 * 1. A session is live while its client was heard within the session timeout, unless the session was ended.
 * 2. Its end aborts its transactions, before anything else happens.
 * 3. A session never comes back: a client whose session is gone registers again.
 *
 * A message does not set the timer. When the timer fires, it checks when the client was last heard.
 *
 * Source: DESIGN "The link is to a server, not to the broker"; INTERLEAVINGS A16.
 */
import { setup } from "xstate";

/** Events of the machine of a client's session at its server. */
export type SessionEvent =
  | { readonly type: "BYE" }
  /** One of its voted transactions was not finished in time. */
  | { readonly type: "TRANSACTION_HUNG" }
  /** Another client needs its place, and this client is silent. */
  | { readonly type: "DISPLACED" };

/** Context of the machine of a client's session at its server. */
export interface SessionContext {
  readonly session: string;
}

/** The machine of a client's session at its server. Its effects, guards and delays are stubs for `actors/server`. */
export const sessionMachine = setup({
  types: {
    context: {} as SessionContext,
    events: {} as SessionEvent,
    input: {} as SessionContext,
  },
  actions: {
    logGone: (_, _params: { readonly reason: string }) => undefined,
    forget: () => undefined,
    abortTransactions: () => undefined,
    logUnexpected: () => undefined,
  },
  guards: { wasHeard: () => false },
  delays: {
    /** Time until the client has been silent for the session timeout. */
    silenceLeft: 0,
  },
}).createMachine({
  id: "session",
  context: ({ input }) => input,
  initial: "live",
  on: { "*": { actions: "logUnexpected" } },
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
