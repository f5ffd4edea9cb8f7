/**
 * A payment, in the payment service. It has no `onError` for the bank: when the bank fails, the payment fails, and the
 * supervision of the service starts it again from the state before.
 *
 *     authorizing ──bank──▶ authorized ──CAPTURE──▶ capturing ──bank──▶ captured
 *                               └── patience ──▶ expired
 */
import { assign, fromPromise, setup } from "xstate";

/** An attempt of an order to pay. */
export interface Charge {
  readonly order: string;
  readonly amount: number;
  /** Different for each attempt of the order. */
  readonly attempt: string;
}

const notProvided = (): Promise<never> => Promise.reject(new Error("the service provides it"));

/** A payment: one for each attempt of an order. */
export const paymentMachine = setup({
  types: {
    input: {} as Charge,
    context: {} as Charge & { readonly receipt: string | undefined },
    events: {} as { type: "CAPTURE"; attempt: string },
    output: {} as { readonly receipt: string | undefined },
  },
  actors: {
    authorize: fromPromise<void, Charge>(notProvided),
    capture: fromPromise<string, Charge>(notProvided),
  },
  actions: {
    noteCapture: () => undefined,
    keepReceipt: assign({ receipt: (_, { receipt }: { readonly receipt: string }) => receipt }),
  },
  delays: { patience: 30_000 },
}).createMachine({
  id: "payment",
  context: ({ input }) => ({ ...input, receipt: undefined }),
  initial: "authorizing",
  states: {
    authorizing: { invoke: { src: "authorize", input: ({ context }) => context, onDone: "authorized" } },
    authorized: {
      on: { CAPTURE: { target: "capturing", actions: "noteCapture" } },
      after: { patience: "expired" },
    },
    capturing: {
      invoke: {
        src: "capture",
        input: ({ context }) => context,
        onDone: { target: "captured", actions: { type: "keepReceipt", params: ({ event }) => ({ receipt: event.output }) } },
      },
    },
    captured: { type: "final" },
    expired: { type: "final" },
  },
  output: ({ context }) => ({ receipt: context.receipt }),
});

/** The desk of the payment service: it opens payments. */
export const deskMachine = setup({
  types: { events: {} as { type: "OPEN" } & Charge },
  actions: { openPayment: (_, _charge: Charge) => undefined },
}).createMachine({
  id: "desk",
  initial: "open",
  states: { open: { on: { OPEN: { actions: { type: "openPayment", params: ({ event }) => event } } } } },
});
