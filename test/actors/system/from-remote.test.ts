import { afterEach, beforeEach, expect, test } from "vitest";
import { assign, createActor, sendTo, setup } from "xstate";
import { z } from "zod";
import { type ActorSystem, createActorSystem, type RemoteLogic } from "../../../actors/system/actor-system.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { type Broker, createBroker, type Transport } from "../../../transport/index.js";
import { limits, seededRandom, type ZooidError } from "../../../core/index.js";

const paymentMachine = setup({
  types: {
    context: {} as { readonly amount: number },
    events: {} as { type: "CHARGE"; amount: number } | { type: "BREAK" },
    output: {} as { readonly receipt: string },
  },
  actions: {
    note: assign({ amount: (_, { amount }: { readonly amount: number }) => amount }),
    breakDown: () => {
      throw new Error("the bank broke");
    },
  },
}).createMachine({
  id: "payment",
  context: { amount: 0 },
  initial: "open",
  on: { BREAK: { actions: "breakDown" } },
  states: {
    open: { on: { CHARGE: { target: "charged", actions: { type: "note", params: ({ event }) => event } } } },
    charged: { type: "final" },
  },
  output: ({ context }) => ({ receipt: `for ${context.amount}` }),
});

const orderMachine = setup({
  types: {
    context: {} as { readonly id: string; readonly result: unknown; readonly seen: readonly unknown[] },
    events: {} as { type: "PAY"; amount: number } | { type: "WRONG" } | { type: "CANCEL" },
    input: {} as { readonly id: string },
  },
  actors: { payment: {} as RemoteLogic<typeof paymentMachine, { readonly order: string }> },
  actions: {
    keep: assign({ result: (_, { result }: { readonly result: unknown }) => result }),
    see: assign({ seen: ({ context }, { value }: { readonly value: unknown }) => [...context.seen, value] }),
  },
}).createMachine({
  id: "order",
  context: ({ input }) => ({ ...input, result: undefined, seen: [] }),
  initial: "paying",
  states: {
    paying: {
      invoke: {
        src: "payment",
        id: "payment",
        input: ({ context }) => ({ order: context.id }),
        onSnapshot: { actions: { type: "see", params: ({ event }) => ({ value: event.snapshot.view?.value }) } },
        onDone: { target: "paid", actions: { type: "keep", params: ({ event }) => ({ result: event.output.receipt }) } },
        onError: { target: "unpaid", actions: { type: "keep", params: ({ event }) => ({ result: (event.error as ZooidError).code }) } },
      },
      on: {
        PAY: { actions: sendTo("payment", ({ event }) => ({ type: "CHARGE", amount: event.amount })) },
        WRONG: { actions: sendTo("payment", { type: "CHARGE", amount: -1 }) },
        CANCEL: "canceled",
      },
    },
    paid: {},
    unpaid: {},
    canceled: {},
  },
});

let clock: SimulatedClock;
let broker: Broker;
let theirs: Transport;
let payments: ActorSystem;
let orders: ActorSystem;

const systemOver = (seed: number, transport: Transport) =>
  createActorSystem({ realm: "shop", transport, clock, random: seededRandom(seed) });

beforeEach(() => {
  clock = new SimulatedClock();
  broker = createBroker({ clock });
  theirs = broker.connect();
  payments = systemOver(1, theirs);
  orders = systemOver(2, broker.connect());
});

afterEach(() => {
  payments.close();
  orders.close();
});

const accepts = { CHARGE: z.object({ amount: z.number().positive() }), BREAK: z.object({}) };
const pay = (system = payments) => system.spawn("payments/7", paymentMachine, { accepts });

function order(waitMs = 0) {
  const payment = orders.fromRemote<typeof paymentMachine, { readonly order: string }>(({ input }) => `payments/${input.order}`, {
    waitMs,
  });
  const actor = createActor(orderMachine.provide({ actors: { payment } }), { clock, input: { id: "7" } });
  return actor.start();
}

const result = (actor: ReturnType<typeof order>) => [actor.getSnapshot().value, actor.getSnapshot().context.result];

test("a parent sends events to an actor of another process, sees its states, and gets its output when it is done", async () => {
  pay();
  const actor = order();
  await clock.advance(1);
  actor.send({ type: "PAY", amount: 5 });
  await clock.advance(1);
  expect(result(actor)).toEqual(["paid", "for 5"]);
  expect([...new Set(actor.getSnapshot().context.seen)]).toEqual([undefined, "open"]);
});

test("an event that is sent before the actor has been seen is not lost", async () => {
  pay();
  const actor = order();
  actor.send({ type: "PAY", amount: 5 });
  await clock.advance(1);
  expect(result(actor)).toEqual(["paid", "for 5"]);
});

test("an actor that was done before gives its output", async () => {
  pay().send({ type: "CHARGE", amount: 9 });
  const actor = order();
  await clock.advance(1);
  expect(result(actor)).toEqual(["paid", "for 9"]);
});

test("a parent gets a typed error when there is no actor, and when it fails, is stopped, or refuses an event", async () => {
  const missing = order();
  await clock.advance(1);
  expect(result(missing)).toEqual(["unpaid", "ZOOID_NO_ACTOR"]);

  let payment = pay();
  const failing = order();
  await clock.advance(1);
  payment.send({ type: "BREAK" });
  await clock.advance(1);
  expect(result(failing)).toEqual(["unpaid", "ZOOID_ACTOR_FAILED"]);
  payment.stop();

  payment = pay();
  const stopping = order();
  await clock.advance(1);
  payment.actor.stop();
  await clock.advance(1);
  expect(result(stopping)).toEqual(["unpaid", "ZOOID_ACTOR_ENDED"]);
  payment.stop();

  payment = pay();
  const refused = order();
  refused.send({ type: "WRONG" });
  await clock.advance(1);
  expect(result(refused)).toEqual(["unpaid", "ZOOID_INVALID_EVENT"]);
  payment.stop();

  orders.close();
  const undeclared = payments.spawn("payments/7", paymentMachine);
  orders = systemOver(3, broker.connect());
  const strict = order();
  strict.send({ type: "PAY", amount: 1 });
  await clock.advance(1);
  expect(result(strict)).toEqual(["unpaid", "ZOOID_NOT_ACCEPTED"]);
  undeclared.stop();
});

test("a parent can wait for an actor that is not there yet", async () => {
  const late = order(10_000);
  const never = order(2_000);
  await clock.advance(5_000);
  expect(result(never)).toEqual(["unpaid", "ZOOID_NO_ACTOR"]);
  pay();
  await clock.advance(limits.heartbeatIntervalMs);
  late.send({ type: "PAY", amount: 2 });
  await clock.advance(1);
  expect(result(late)).toEqual(["paid", "for 2"]);
});

test("a parent learns within the heartbeat time-out that the actor's process is gone", async () => {
  pay();
  const actor = order();
  await clock.advance(10_000);
  await theirs.close();
  await clock.advance(limits.heartbeatTimeoutMs - limits.heartbeatIntervalMs);
  expect(actor.getSnapshot().value).toBe("paying");
  await clock.advance(limits.heartbeatIntervalMs);
  expect(result(actor)).toEqual(["unpaid", "ZOOID_ACTOR_LOST"]);
});

test("a parent learns that another actor has the address", async () => {
  const end = payments.register("payments/7", createActor(paymentMachine).start(), { accepts });
  const actor = order();
  await clock.advance(1);
  end();
  pay();
  await clock.advance(2 * limits.heartbeatIntervalMs);
  expect(result(actor)).toEqual(["unpaid", "ZOOID_ACTOR_LOST"]);
});

test("a broker that is gone for a moment, or an actor that is started again, is no loss", async () => {
  payments.spawn("payments/7", paymentMachine, { accepts, supervise: { restart: "snapshot", delayMsMin: 5_000 } });
  const actor = order();
  await clock.advance(limits.actorLeaseRenewalMs - 1_000);
  broker.stop();
  await clock.advance(2_000);
  broker.start();
  await clock.advance(1);
  await clock.settle(
    orders
      .remote("payments/7")
      .send({ type: "BREAK" })
      .catch(() => undefined),
    100,
  );
  await clock.advance(60_000);
  actor.send({ type: "PAY", amount: 3 });
  await clock.advance(1);
  expect(result(actor)).toEqual(["paid", "for 3"]);
});

test("a parent that leaves the state of its child watches no more, and the actor goes on", async () => {
  const payment = pay();
  const actor = order();
  await clock.advance(1);
  actor.send({ type: "CANCEL" });
  let requests = 0;
  broker.connect().subscribe("zooid.shop.actor.payments.7", () => requests++);
  await clock.advance(60_000);
  expect([requests, payment.getSnapshot().status, actor.getSnapshot().value]).toEqual([0, "active", "canceled"]);
});

test("a parent that is restored from its snapshot watches again", async () => {
  pay();
  const first = order();
  await clock.advance(1);
  const snapshot = first.getPersistedSnapshot();
  first.stop();
  const payment = orders.fromRemote<typeof paymentMachine, { readonly order: string }>(({ input }) => `payments/${input.order}`);
  const second = createActor(orderMachine.provide({ actors: { payment } }), { clock, snapshot, input: { id: "7" } }).start();
  second.send({ type: "PAY", amount: 8 });
  await clock.advance(1);
  expect(second.getSnapshot().value).toBe("paid");
});
