/**
 * An order, in the order service. It asks the desk of the payment service for a payment, and invokes that payment, an
 * actor of the other process, as its child. When the payment is lost, it asks again.
 *
 *     asking ──desk──▶ paying.authorizing ──authorized──▶ paying.packing ──▶ paying.capturing ──receipt──▶ shipped
 *       ▲                 └──────────────────┴── lost ──┬────────────────────────┘
 *       └──────────────── pause ──── waiting ◀──────────┘
 */
import { assign, fromPromise, sendTo, setup, type SnapshotFrom } from "xstate";
import type { RemoteLogic } from "../../actors/index.js";
import type { Charge, paymentMachine } from "./payment-machine.js";

/** An order as its customer gives it. */
export interface Order {
  readonly id: string;
  readonly amount: number;
}

type PaymentState = SnapshotFrom<typeof paymentMachine>["value"];

interface OrderContext extends Order {
  readonly attempts: number;
  /** The state of its payment, as it was seen the last time. */
  readonly payment: PaymentState | undefined;
  readonly receipt: string | undefined;
}

/** The payment that an order asks for in its current attempt. */
export function chargeOf({ id, amount, attempts }: OrderContext): Charge {
  return { order: id, amount, attempt: `${id}-${attempts}` };
}

/** An order: it is paid and shipped. */
export const orderMachine = setup({
  types: { input: {} as Order, context: {} as OrderContext },
  actors: {
    askDesk: fromPromise<void, Charge>(() => Promise.reject(new Error("the service provides it"))),
    payment: {} as RemoteLogic<typeof paymentMachine, Charge>,
  },
  actions: {
    countAttempt: assign({ attempts: ({ context }) => context.attempts + 1, payment: undefined }),
    notePayment: assign({ payment: (_, { state }: { readonly state: PaymentState | undefined }) => state }),
    keepReceipt: assign({ receipt: (_, { receipt }: { readonly receipt: string | undefined }) => receipt }),
    reportLoss: (_, _params: { readonly error: unknown }) => undefined,
  },
  guards: {
    isAuthorized: ({ context }) => context.payment === "authorized",
    hasReceipt: (_, { receipt }: { readonly receipt: string | undefined }) => receipt !== undefined,
  },
  delays: { packing: 300, pause: 500 },
}).createMachine({
  id: "order",
  context: ({ input }) => ({ ...input, attempts: 0, payment: undefined, receipt: undefined }),
  initial: "asking",
  states: {
    asking: {
      entry: "countAttempt",
      invoke: {
        src: "askDesk",
        input: ({ context }) => chargeOf(context),
        onDone: "paying",
        onError: { target: "waiting", actions: { type: "reportLoss", params: ({ event }) => ({ error: event.error }) } },
      },
    },
    paying: {
      invoke: {
        src: "payment",
        id: "payment",
        input: ({ context }) => chargeOf(context),
        onSnapshot: {
          actions: { type: "notePayment", params: ({ event }) => ({ state: event.snapshot.view?.value }) },
        },
        onDone: [
          {
            guard: { type: "hasReceipt", params: ({ event }) => event.output },
            target: "shipped",
            actions: { type: "keepReceipt", params: ({ event }) => event.output },
          },
          { target: "waiting" },
        ],
        onError: { target: "waiting", actions: { type: "reportLoss", params: ({ event }) => ({ error: event.error }) } },
      },
      initial: "authorizing",
      states: {
        authorizing: { always: { guard: "isAuthorized", target: "packing" } },
        packing: { after: { packing: "capturing" } },
        capturing: { entry: sendTo("payment", ({ context }) => ({ type: "CAPTURE", attempt: chargeOf(context).attempt })) },
      },
    },
    waiting: { after: { pause: "asking" } },
    shipped: { type: "final" },
  },
});

/** The clerk of the order service: it takes orders. */
export const clerkMachine = setup({
  types: { events: {} as { type: "ORDER" } & Order },
  actions: { takeOrder: (_, _order: Order) => undefined },
}).createMachine({
  id: "clerk",
  initial: "open",
  states: { open: { on: { ORDER: { actions: { type: "takeOrder", params: ({ event }) => event } } } } },
});
