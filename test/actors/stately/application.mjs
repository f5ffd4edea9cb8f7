/** An application that knows nothing of Zooid. It shows its actors at the address in its first argument, until a line on standard input. */
import { once } from "node:events";
import process from "node:process";
import { createWebSocketInspector } from "@statelyai/inspect";
import { assign, createActor, fromPromise, setup } from "xstate";

const payment = setup({ actions: { charge: () => undefined } }).createMachine({
  id: "payment",
  initial: "open",
  states: { open: { on: { CHARGE: { target: "paid", actions: "charge" } } }, paid: { type: "final" } },
});

const order = setup({
  actors: { payment, price: fromPromise(async () => 5) },
  guards: { isFilled: () => true },
  actions: { note: () => undefined },
}).createMachine({
  id: "order",
  initial: "open",
  context: { items: 0, password: "secret-in-context" },
  states: {
    open: { on: { BUY: { target: "priced", guard: "isFilled", actions: ["note", assign({ items: 1 })] } } },
    priced: { invoke: { src: "price", onDone: "paying" } },
    paying: { invoke: { src: "payment", id: "payment", onDone: "sent" } },
    sent: { type: "parallel", states: { parcel: { initial: "packed", states: { packed: {} } }, letter: {} } },
  },
});

const failing = setup({
  actions: {
    fail: () => {
      throw new Error("out of paper");
    },
  },
}).createMachine({ id: "printer", initial: "on", states: { on: { on: { PRINT: { actions: "fail" } } } } });
const office = setup({ actors: { failing } }).createMachine({
  id: "office",
  initial: "printing",
  states: { printing: { invoke: { src: "failing", id: "printer", onError: "broken" } }, broken: {} },
});

const inspector = createWebSocketInspector({ url: process.argv[2] });
const { inspect } = inspector;
const orders = [createActor(order, { inspect }).start(), createActor(order, { inspect }).start()];
orders[0].send({ type: "BUY", card: "secret-in-event" });
const offices = createActor(office, { inspect }).start();
offices.getSnapshot().children.printer?.send({ type: "PRINT" });
orders[0].subscribe(({ children }) => children.payment?.send({ type: "CHARGE" }));

await once(process.stdin, "data");
inspector.stop();
process.stdin.unref();
