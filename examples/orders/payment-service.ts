/** The payment service: a desk, and a payment for each attempt of an order. */
import { setTimeout as pause } from "node:timers/promises";
import { fromPromise } from "xstate";
import { z } from "zod";
import { createActorSystem, openTransport, type SpawnedActor } from "../../actors/index.js";
import { doneForMs, type RunningService, type ServiceOptions } from "./events.js";
import { type Charge, deskMachine, paymentMachine } from "./payment-machine.js";

/** The bank, which fails at random. */
export interface BankOptions {
  /** Share of its answers that are failures, from 0 to 1. */
  readonly failures: number;
  /** Time that it takes, in milliseconds. */
  readonly answerMs: number;
}

const name = z.string().regex(/^[A-Za-z0-9_-]{1,40}$/);
const OPEN = z.object({ order: name, amount: z.number().positive(), attempt: name });
const CAPTURE = z.object({ attempt: name });

/** Runs the service. Rejects as `openTransport` does. */
export async function startPaymentService({
  servers,
  realm,
  report,
  heartbeatTimeoutMs,
  ...bank
}: ServiceOptions & BankOptions): Promise<RunningService> {
  const transport = await openTransport({ servers, name: "payments" });
  const system = createActorSystem({ realm, transport, heartbeatTimeoutMs });
  const askBank = async () => {
    await pause(bank.answerMs);
    if (Math.random() < bank.failures) throw new Error("the bank does not answer");
  };
  const authorize = fromPromise<void, Charge>(askBank);
  const capture = fromPromise<string, Charge>(async ({ input }) => {
    await askBank();
    return `receipt-${input.attempt}`;
  });

  const open = new Set<string>();
  const openPayment = (charge: Charge): void => {
    const path = `payments/${charge.attempt}`;
    report({ event: "took", actor: "payments/desk", type: "OPEN", id: charge.attempt });
    // An order that was started again asks for the same payment.
    if (open.has(path)) return;
    open.add(path);
    const noteCapture = () => report({ event: "took", actor: path, type: "CAPTURE", id: charge.attempt });
    const payment = system.spawn(path, paymentMachine.provide({ actors: { authorize, capture }, actions: { noteCapture } }), {
      input: charge,
      accepts: { CAPTURE },
      describe: ({ context: { order, amount } }) => ({ order, amount }),
      supervise: { restart: "snapshot", failuresMax: 10, withinMs: "10s" },
    });
    let shown: string | undefined;
    payment.subscribe(({ value, status }) => {
      if (value !== shown) report({ event: "state", actor: path, state: value });
      shown = value;
      if (status === "done") setTimeout(() => close(payment), doneForMs).unref();
    });
  };

  const close = (payment: SpawnedActor<typeof paymentMachine>) => {
    payment.stop();
    open.delete(payment.path);
  };

  system.onFailure(({ path, reason, next, restartInMs }) => report({ event: "failed", actor: path, reason, next, restartInMs }));
  system.spawn("payments/desk", deskMachine.provide({ actions: { openPayment: (_, charge) => openPayment(charge) } }), {
    accepts: { OPEN },
  });
  await transport.flush();
  report({ event: "ready", service: "payments" });
  return {
    close: async () => {
      system.close();
      await transport.close();
    },
  };
}
