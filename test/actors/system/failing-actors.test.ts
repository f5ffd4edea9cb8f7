import { afterEach, beforeEach, expect, test } from "vitest";
import { createActor, fromCallback, setup } from "xstate";
import { z } from "zod";
import { type ActorSystem, createActorSystem } from "../../../actors/system/actor-system.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { createBroker } from "../../../transport/index.js";
import { InvalidOptionError, limits, seededRandom, silentLog } from "../../../core/index.js";

/** Vitest ends a run at an uncaught exception. They are counted here, so that the test that caused one fails. */
const uncaught: unknown[] = [];
const noteUncaught = (error: unknown) => uncaught.push(error);

let clock: SimulatedClock;
let inside: ActorSystem;
let outside: ActorSystem;
/** Actors that the order invoked and that have not been cleaned up. */
let running: number;

beforeEach(() => {
  clock = new SimulatedClock();
  const broker = createBroker({ clock });
  const setup = (seed: number) => createActorSystem({ realm: "main", transport: broker.connect(), clock, random: seededRandom(seed) });
  inside = setup(1);
  outside = setup(2);
  running = 0;
  uncaught.length = 0;
  process.prependListener("uncaughtException", noteUncaught);
});

afterEach(() => {
  inside.close();
  outside.close();
  process.removeListener("uncaughtException", noteUncaught);
});

const orderMachine = setup({
  types: { events: {} as { type: "ADD"; items: readonly string[] } | { type: "LATER" } | { type: "CANCEL" } },
  actors: {
    payment: fromCallback(() => {
      running++;
      return () => {
        running--;
      };
    }),
  },
  actions: {
    add: ({ event }) => {
      if (event.type === "ADD") event.items.map((item) => item.toUpperCase());
    },
    fail: () => {
      throw new Error("no stock\nleft");
    },
  },
}).createMachine({
  id: "order",
  initial: "open",
  invoke: { src: "payment" },
  states: {
    open: { on: { ADD: { actions: "add" }, LATER: "waiting", CANCEL: "cancelled" } },
    waiting: { after: { 1_000: { actions: "fail" } } },
    cancelled: { type: "final" },
  },
});

const facts = { ADD: z.object({ items: z.array(z.string()) }), LATER: z.object({}), CANCEL: z.object({}) };

function settled<T>(promise: Promise<T>): Promise<T> {
  return clock.settle(promise, 1_000);
}

/** Time in which an exception that XState throws in a timer becomes visible. */
function nextTurns(): Promise<void> {
  return new Promise((resolve) => setTimeout(() => setTimeout(resolve, 0), 0));
}

test("an event that its schema refuses does not reach the actor", async () => {
  const order = createActor(orderMachine).start();
  inside.register("order", order, { accepts: facts });
  const remote = outside.remote("order");
  await expect(settled(remote.send({ type: "ADD" }))).rejects.toMatchObject({
    code: "ZOOID_INVALID_EVENT",
    facts: { actor: "order", event: "ADD", reason: expect.stringContaining("items") as string },
  });
  await settled(remote.send({ type: "ADD", items: ["tea"] }));
  expect(order.getSnapshot().status).toBe("active");
});

test("the actor gets what the schema of the event returns", async () => {
  const got: unknown[] = [];
  const machine = setup({ actions: { note: ({ event }) => got.push(event) } }).createMachine({ on: { PAY: { actions: "note" } } });
  inside.register("till", createActor(machine).start(), { accepts: { PAY: z.object({ amount: z.coerce.number() }) } });
  await settled(outside.remote("till").send({ type: "PAY", amount: "5", by: "x" }));
  expect(got).toEqual([{ type: "PAY", amount: 5 }]);
});

test("an event with a field is refused when its type is registered without a schema, and the error says how to add one", async () => {
  inside.register("order", createActor(orderMachine).start(), { accepts: ["CANCEL"] });
  await expect(settled(outside.remote("order").send({ type: "CANCEL", force: true }))).rejects.toMatchObject({
    code: "ZOOID_INVALID_EVENT",
    facts: { reason: "field force needs a schema where the actor is registered: accepts: { CANCEL: schema }" },
  });
  await settled(outside.remote("order").send({ type: "CANCEL" }));
  await expect(settled(outside.remote("order").send({ type: "CANCEL" }))).rejects.toMatchObject({
    code: "ZOOID_ACTOR_ENDED",
    facts: { status: "done" },
  });
});

test("an asynchronous schema of an event is refused", async () => {
  inside.register("order", createActor(orderMachine).start(), {
    accepts: { CANCEL: z.object({}).refine(() => Promise.resolve(true)) },
  });
  await expect(settled(outside.remote("order").send({ type: "CANCEL" }))).rejects.toMatchObject({ code: "ZOOID_INVALID_EVENT" });
  await nextTurns();
  expect(uncaught).toEqual([]);
});

test("`accepts` that is neither a list of types nor Standard Schemas is refused, and nothing is registered", () => {
  for (const accepts of [undefined, null, "OPEN", [1], ["x".repeat(limits.nameBytesMax + 1)], { OPEN: {} }, { OPEN: true }]) {
    expect(() => inside.register("order", createActor(orderMachine), { accepts: accepts as never })).toThrow(InvalidOptionError);
  }
  inside.register("order", createActor(orderMachine), { accepts: [] });
});

test("an actor that fails on an event from outside is stopped with its children; sender and lists get the reason; the process goes on", async () => {
  const order = createActor(orderMachine).start();
  // A service that saves its actors has an observer without `error`. XState then throws the error into the process.
  order.subscribe(() => undefined);
  const failures: unknown[] = [];
  inside.register("order", order, { accepts: { ADD: z.object({}).loose() }, onFailure: (error) => failures.push(error) });
  expect(running).toBe(1);
  await expect(settled(outside.remote("order").send({ type: "ADD" }))).rejects.toMatchObject({
    code: "ZOOID_ACTOR_FAILED",
    facts: { actor: "order", event: "ADD", reason: expect.stringContaining("undefined") as string },
  });
  await nextTurns();
  expect(uncaught).toEqual([]);
  expect(failures).toHaveLength(1);
  expect(running).toBe(0);
  const [view] = await settled(outside.list(200));
  expect(view).toMatchObject({ path: "order", status: "error", failure: expect.stringContaining("undefined") as string });
  await expect(settled(outside.remote("order").send({ type: "CANCEL" }))).rejects.toMatchObject({ code: "ZOOID_ACTOR_ENDED" });
});

test("a failure long after the event that led to it reaches no uncaughtException, and is shown in one line", async () => {
  const order = createActor(orderMachine, { clock }).start();
  inside.register("order", order, { accepts: facts });
  await settled(outside.remote("order").send({ type: "LATER" }));
  await clock.advance(1_000);
  await nextTurns();
  expect(uncaught).toEqual([]);
  expect(running).toBe(0);
  expect((await settled(outside.remote("order").snapshot())).failure).toBe("no stock left");
});

test("a child actor that fails with its parent does not end the process either", async () => {
  const shop = setup({ actors: { order: orderMachine } }).createMachine({ invoke: { src: "order", id: "order" } });
  const root = createActor(shop).start();
  root.subscribe(() => undefined);
  const order = root.getSnapshot().children["order"];
  if (order === undefined) throw new Error("the shop has no order");
  inside.register("order", order, { accepts: { ADD: z.object({}).loose() } });
  await expect(settled(outside.remote("order").send({ type: "ADD" }))).rejects.toMatchObject({ code: "ZOOID_ACTOR_FAILED" });
  await nextTurns();
  expect(uncaught).toEqual([]);
  expect(root.getSnapshot().status).toBe("error");
  expect(running).toBe(0);
});

test("an error that cannot be made a text is a failure like others", async () => {
  const machine = setup({
    actions: {
      fail: () => {
        throw Object.create(null);
      },
    },
  }).createMachine({ on: { FAIL: { actions: "fail" } } });
  inside.register("odd", createActor(machine).start(), { accepts: ["FAIL"] });
  await expect(settled(outside.remote("odd").send({ type: "FAIL" }))).rejects.toMatchObject({
    code: "ZOOID_ACTOR_FAILED",
    facts: { reason: "object" },
  });
  await nextTurns();
  expect(uncaught).toEqual([]);
});

test("an error whose message is no text is a failure like others", async () => {
  const machine = setup({
    actions: {
      fail: () => {
        throw Object.assign(new Error(), { message: 42 });
      },
    },
  }).createMachine({ on: { FAIL: { actions: "fail" } } });
  const failures: unknown[] = [];
  inside.register("odd", createActor(machine).start(), { accepts: ["FAIL"], onFailure: (error) => failures.push(error) });
  await expect(settled(outside.remote("odd").send({ type: "FAIL" }))).rejects.toMatchObject({
    code: "ZOOID_ACTOR_FAILED",
    facts: { reason: "42" },
  });
  await nextTurns();
  expect(failures).toHaveLength(1);
  expect(uncaught).toEqual([]);
});

test("observers of the application that have no `error` do not make a failure in a timer an exception of the process", async () => {
  const order = createActor(orderMachine, { clock }).start();
  order.subscribe(() => undefined);
  inside.register("order", order, { accepts: facts });
  order.subscribe(() => undefined);
  order.send({ type: "LATER" });
  await clock.advance(1_000);
  await nextTurns();
  expect(order.getSnapshot().status).toBe("error");
  expect(uncaught).toEqual([]);
});

test("an onFailure that throws or rejects is logged, and has no other effect", async () => {
  const lines: string[] = [];
  const log = { ...silentLog, error: (_facts: object, line: string) => void lines.push(line) };
  const system = createActorSystem({ realm: "main", transport: createBroker({ clock }).connect(), clock, random: seededRandom(3), log });
  const handlers = {
    throws: () => {
      throw new Error("no room");
    },
    rejects: () => Promise.reject(new Error("no room")),
  };
  for (const [path, onFailure] of Object.entries(handlers)) {
    const order = createActor(orderMachine).start();
    system.register(path, order, { accepts: [], onFailure });
    order.send({ type: "ADD", items: [1 as never] });
    await nextTurns();
  }
  system.close();
  expect(lines.filter((line) => line === "a listener of an actor's failures failed")).toHaveLength(2);
  expect(uncaught).toEqual([]);
});

test("an event whose schema throws, or returns an invalid result, is refused and does not reach the actor", async () => {
  const got: unknown[] = [];
  const machine = setup({ actions: { note: ({ event }) => got.push(event) } }).createMachine({ on: { PAY: { actions: "note" } } });
  const odd: Record<string, () => unknown> = {
    throws: () => JSON.parse("{"),
    nothing: () => undefined,
    issues: () => ({ issues: "many" }),
    list: () => ({ value: [1] }),
    promise: () => Promise.reject(new Error("too late")),
    accessor: () => ({
      value: {
        get amount() {
          throw new Error("no amount");
        },
      },
    }),
  };
  for (const [path, validate] of Object.entries(odd)) {
    const schema = { "~standard": { version: 1 as const, vendor: "test", validate: validate as () => { value: object } } };
    inside.register(path, createActor(machine).start(), { accepts: { PAY: schema } });
    await expect(settled(outside.remote(path).send({ type: "PAY" })), path).rejects.toMatchObject({ code: "ZOOID_INVALID_EVENT" });
  }
  expect(got).toEqual([]);
});
