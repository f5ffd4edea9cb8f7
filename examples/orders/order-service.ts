/** The order service: a clerk, and an actor for each order. */
import { fromPromise } from "xstate";
import { z } from "zod";
import { createActorSystem, openTransport } from "../../actors/index.js";
import { ZooidError } from "../../index.js";
import { doneForMs, type RunningService, type ServiceOptions } from "./events.js";
import { clerkMachine, type Order, orderMachine } from "./order-machine.js";
import type { Charge, deskMachine, paymentMachine } from "./payment-machine.js";

/** Runs the service. Rejects as `openTransport` does. */
export async function startOrderService({ servers, realm, report, heartbeatTimeoutMs }: ServiceOptions): Promise<RunningService> {
  const transport = await openTransport({ servers, name: "orders" });
  const system = createActorSystem({ realm, transport, heartbeatTimeoutMs });
  const desk = system.remote<typeof deskMachine>("payments/desk");
  const askDesk = fromPromise<void, Charge>(async ({ input, signal }) => {
    await desk.ask({ type: "OPEN", ...input }, { until: { state: "open" }, signal });
  });
  const payment = system.fromRemote<typeof paymentMachine, Charge>(({ input }) => `payments/${input.attempt}`);

  const takeOrder = (order: Order): void => {
    const path = `orders/${order.id}`;
    report({ event: "took", actor: "orders/clerk", type: "ORDER", id: order.id });
    const reportLoss = (_: unknown, { error }: { readonly error: unknown }) => {
      const code = error instanceof ZooidError ? error.code : "ERROR";
      report({ event: "lost", actor: path, code, reason: error instanceof Error ? error.message : String(error), at: Date.now() });
    };
    const spawned = system.spawn(path, orderMachine.provide({ actors: { askDesk, payment }, actions: { reportLoss } }), {
      input: order,
      describe: ({ context: { amount, attempts } }) => ({ amount, attempts }),
      supervise: { restart: "snapshot" },
    });
    let shown = "";
    spawned.subscribe(({ value, context, status }) => {
      const state = typeof value === "string" ? value : `paying.${value.paying}`;
      if (state !== shown) report({ event: "state", actor: path, state, receipt: context.receipt });
      shown = state;
      if (status === "done") setTimeout(() => spawned.stop(), doneForMs).unref();
    });
  };

  system.onFailure(({ path, reason, next, restartInMs }) => report({ event: "failed", actor: path, reason, next, restartInMs }));
  system.spawn("orders/clerk", clerkMachine.provide({ actions: { takeOrder: (_, order) => takeOrder(order) } }), {
    accepts: { ORDER: z.object({ id: z.string().regex(/^[A-Za-z0-9_-]{1,30}$/), amount: z.number().positive() }) },
  });
  await transport.flush();
  report({ event: "ready", service: "orders" });
  return {
    close: async () => {
      system.close();
      await transport.close();
    },
  };
}
