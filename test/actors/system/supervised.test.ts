import { afterEach, beforeEach, expect, test } from "vitest";
import { assign, createMachine, fromCallback, fromPromise, sendTo, setup } from "xstate";
import { type ActorFailure, type ActorSystem, createActorSystem, type Restart } from "../../../actors/system/actor-system.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { createBroker } from "../../../transport/index.js";
import { limits, seededRandom, silentLog, type ZooidError } from "../../../core/index.js";

/** Counts; fails at BREAK; is done after 5 seconds in `ending`. `work` runs while it counts. */
const counterMachine = setup({
  types: {
    context: {} as { readonly count: number; readonly limit: number },
    events: {} as { type: "ADD" } | { type: "BREAK" } | { type: "END" } | { type: "WORKED" },
    input: undefined as { readonly limit?: number } | undefined,
  },
  actors: { work: fromCallback(() => undefined) },
  actions: {
    addOne: assign({ count: ({ context }) => context.count + 1 }),
    breakDown: () => {
      throw new Error("the counter broke");
    },
    entered: () => undefined,
  },
  guards: { isFull: ({ context }) => context.count >= context.limit },
}).createMachine({
  id: "counter",
  context: ({ input }) => ({ count: 0, limit: input?.limit ?? 10 }),
  initial: "counting",
  on: { BREAK: { actions: "breakDown" } },
  states: {
    counting: {
      entry: "entered",
      invoke: { src: "work" },
      always: { guard: "isFull", target: "full" },
      on: { ADD: { actions: "addOne" }, END: "ending" },
    },
    full: {},
    ending: { after: { 5_000: "ended" } },
    ended: { type: "final" },
  },
  output: ({ context }) => context.count,
});

let clock: SimulatedClock;
let system: ActorSystem;
let outside: ActorSystem;
let failures: ActorFailure[];
let entered: number;
let works: number;
let worksEnded: number;

const machine = counterMachine.provide({
  actions: { entered: () => void entered++ },
  actors: {
    work: fromCallback(() => {
      works++;
      return () => void worksEnded++;
    }),
  },
});
const accepts = ["ADD", "BREAK", "END"] as const;
const fromSnapshot: Restart = { restart: "snapshot", failuresMax: 2, withinMs: "10s", delayMsMin: 100, delayMsMax: 1_000 };

beforeEach(() => {
  clock = new SimulatedClock();
  const broker = createBroker({ clock });
  system = createActorSystem({ realm: "main", transport: broker.connect(), clock, random: seededRandom(1), log: silentLog });
  outside = createActorSystem({ realm: "main", transport: broker.connect(), clock, random: seededRandom(2) });
  failures = [];
  system.onFailure((failure) => failures.push(failure));
  [entered, works, worksEnded] = [0, 0, 0];
});

afterEach(() => {
  system.close();
  outside.close();
});

const spawn = (supervise?: "stop" | Restart) =>
  system.spawn("counter", machine, { accepts, describe: ({ context }) => ({ ...context }), supervise });
const counter = () => outside.remote<typeof counterMachine>("counter");
const run = <T>(promise: Promise<T>) => clock.settle(promise, 60_000);
const codeOf = (sent: Promise<unknown>) =>
  run(
    sent.then(
      () => "resolved",
      ({ code }: ZooidError) => code,
    ),
  );
const shown = async () => {
  const { status, value, context, failures: count } = await run(counter().snapshot());
  return { status, value, count: context["count"], failures: count };
};

test("a spawned actor has an address and its input, and is stopped with its registration", async () => {
  const spawned = system.spawn("counter", machine, { input: { limit: 1 }, accepts });
  expect((await run(counter().ask({ type: "ADD" }, { until: { state: "full" } }))).value).toBe("full");
  expect(() => system.spawn("counter", machine)).toThrow("path counter is taken");
  spawned.stop();
  expect(spawned.getSnapshot().status).toBe("stopped");
  expect(await codeOf(counter().send({ type: "ADD" }))).toBe("ZOOID_ACTOR_LOST");
  system.spawn("counter", machine);
  expect(await codeOf(counter().send({ type: "ADD" }))).toBe("ZOOID_NOT_ACCEPTED");
});

test("an actor is started again from its state before the failure, at the same address, after a pause", async () => {
  const spawned = spawn(fromSnapshot);
  const seen: number[] = [];
  spawned.subscribe(({ context }) => seen.push(context.count));
  await run(counter().send({ type: "ADD" }));
  await run(counter().send({ type: "ADD" }));
  expect(await codeOf(counter().send({ type: "BREAK" }))).toBe("ZOOID_ACTOR_FAILED");
  expect(await shown()).toEqual({ status: "restarting", value: "counting", count: 2, failures: 1 });
  expect(failures).toMatchObject([{ path: "counter", reason: "the counter broke", failures: 1, next: "restart", restartInMs: 100 }]);
  await clock.advance(100);
  expect(await shown()).toEqual({ status: "active", value: "counting", count: 2, failures: 1 });
  // The entry action ran once, and the invoked actor was ended and begun again.
  expect([entered, works, worksEnded]).toEqual([1, 2, 1]);
  spawned.send({ type: "ADD" });
  expect([seen.at(-1), spawned.getSnapshot().context.count]).toEqual([3, 3]);
});

test("requests and events that come during the pause are processed after it, once and in order", async () => {
  const spawned = spawn(fromSnapshot);
  spawned.send({ type: "BREAK" });
  const asked = counter().ask({ type: "ADD" }, { until: { state: "counting" } });
  await clock.advance(1);
  spawned.send({ type: "ADD" });
  expect(await shown()).toMatchObject({ status: "restarting", count: 0 });
  expect((await run(asked)).context["count"]).toBe(1);
  expect(spawned.getSnapshot().context.count).toBe(2);
});

test("a longer pause does not lose requests: their senders ask again, and they are processed once", async () => {
  spawn({ ...fromSnapshot, delayMsMin: "8s", delayMsMax: "8s" });
  expect(await codeOf(counter().send({ type: "BREAK" }))).toBe("ZOOID_ACTOR_FAILED");
  expect(await codeOf(counter().send({ type: "ADD" }))).toBe("resolved");
  expect(await shown()).toMatchObject({ status: "active", count: 1 });
});

test("an actor that fails once too often in the window stays failed, and its failure escalates", async () => {
  const own: unknown[] = [];
  system.spawn("counter", machine, { accepts, supervise: fromSnapshot, onFailure: (_, { next }) => own.push(next) });
  for (const pauseMs of [100, 200]) {
    await codeOf(counter().send({ type: "BREAK" }));
    await clock.advance(pauseMs);
  }
  const held = codeOf(counter().send({ type: "BREAK" }));
  expect(await held).toBe("ZOOID_ACTOR_FAILED");
  expect(failures.map(({ next, restartInMs }) => [next, restartInMs])).toEqual([
    ["restart", 100],
    ["restart", 200],
    ["escalate", undefined],
  ]);
  expect(own).toEqual(["restart", "restart", "escalate"]);
  await clock.advance(60_000);
  expect(await codeOf(counter().send({ type: "ADD" }))).toBe("ZOOID_ACTOR_ENDED");
  expect(await shown()).toMatchObject({ status: "error", failures: 3 });
});

test("with input, an actor begins anew; without supervision, it stays failed", async () => {
  spawn({ restart: "input" }).send({ type: "ADD" });
  await codeOf(counter().send({ type: "BREAK" }));
  await clock.advance(limits.actorRestartDelayMsMin);
  expect(await shown()).toMatchObject({ status: "active", count: 0 });
  expect(entered).toBe(2);
  system.spawn("other", machine, { accepts });
  await codeOf(outside.remote("other").send({ type: "BREAK" }));
  await clock.advance(60_000);
  expect((await run(outside.remote("other").snapshot())).status).toBe("error");
  expect(failures.at(-1)).toMatchObject({ path: "other", next: "stop" });
});

test("timers of the state go on after a restart, with the time that was left", async () => {
  const spawned = spawn(fromSnapshot);
  spawned.send({ type: "END" });
  await clock.advance(3_000);
  spawned.send({ type: "BREAK" });
  await clock.advance(1_999);
  expect(spawned.getSnapshot().status).toBe("active");
  await clock.advance(1);
  expect(spawned.getSnapshot()).toMatchObject({ status: "done", value: "ended", output: 0 });
  // It is done: nothing starts it again.
  await clock.advance(60_000);
  expect(failures).toHaveLength(1);
});

test("a child is restored with its state and its timers as of the parent's last transition", async () => {
  const child = setup({ types: { events: {} as { type: "GO" } } }).createMachine({
    id: "child",
    initial: "waiting",
    states: { waiting: { on: { GO: "going" } }, going: { after: { 4_000: "arrived" } }, arrived: { type: "final" } },
  });
  const parent = setup({
    types: { events: {} as { type: "GO" } | { type: "BREAK" } | { type: "TOUCH" } },
    actors: { child },
    actions: {
      breakDown: () => {
        throw new Error("broken");
      },
      touch: assign({}),
    },
  }).createMachine({
    id: "parent",
    context: {},
    initial: "working",
    states: {
      working: {
        invoke: { src: "child", id: "child", onDone: "finished" },
        on: { GO: { actions: sendTo("child", { type: "GO" }) }, BREAK: { actions: "breakDown" }, TOUCH: { actions: "touch" } },
      },
      finished: {},
    },
  });
  const spawned = system.spawn("parent", parent, { supervise: fromSnapshot });
  spawned.send({ type: "GO" });
  await clock.advance(1_000);
  spawned.send({ type: "TOUCH" });
  spawned.send({ type: "BREAK" });
  await clock.advance(100);
  expect(spawned.getSnapshot().children.child?.getSnapshot().value).toBe("going");
  await clock.advance(2_899);
  expect(spawned.getSnapshot().value).toBe("working");
  await clock.advance(1);
  expect(spawned.getSnapshot().value).toBe("finished");
});

test("an actor that fails at its start is started again, and escalates when it always fails", async () => {
  let starts = 0;
  const failing = createMachine({
    entry: () => {
      starts++;
      throw new Error("no start");
    },
  });
  system.spawn("failing", failing, { supervise: fromSnapshot });
  await clock.advance(60_000);
  expect(starts).toBe(3);
  expect(failures.map(({ next }) => next)).toEqual(["restart", "restart", "escalate"]);
});

test("an actor whose state cannot be kept escalates at its first failure", async () => {
  const inline = createMachine({
    context: ({ spawn: spawnInline }) => ({ child: spawnInline(fromPromise(() => new Promise<never>(() => undefined))) }),
    on: {
      BREAK: {
        actions: () => {
          throw new Error("broken");
        },
      },
    },
  });
  system.spawn("inline", inline, { supervise: fromSnapshot }).send({ type: "BREAK" });
  expect(failures.map(({ next }) => next)).toEqual(["escalate"]);
});

test("a supervised actor that is stopped, or whose system is closed, during the pause stays stopped", async () => {
  const spawned = spawn(fromSnapshot);
  spawned.send({ type: "BREAK" });
  const held = counter().send({ type: "ADD" });
  await clock.advance(1);
  spawned.stop();
  expect(await codeOf(held)).toBe("ZOOID_ACTOR_ENDED");
  const other = system.spawn("other", machine, { supervise: fromSnapshot });
  other.send({ type: "BREAK" });
  system.close();
  await clock.advance(60_000);
  expect(works).toBe(2);
});

test("a state goes on from a snapshot that the caller has kept", async () => {
  const first = spawn();
  first.send({ type: "ADD" });
  const kept = first.actor.getPersistedSnapshot();
  first.stop();
  const second = system.spawn("counter", machine, { accepts, snapshot: kept });
  expect(second.getSnapshot().context.count).toBe(1);
});

test.each([
  [{ supervise: { restart: "later" } }, "supervise.restart"],
  [{ supervise: {} }, "supervise.restart"],
  [{ supervise: { restart: "input", failuresMax: -1 } }, "supervise.failuresMax"],
  [{ supervise: { restart: "input", withinMs: 0 } }, "supervise.withinMs"],
  [{ supervise: { restart: "input", delayMsMin: 2, delayMsMax: 1 } }, "supervise.delayMsMax"],
  [{ supervise: { restart: "input", retries: 1 } }, "supervise.retries"],
  [{ accept: [] }, "accept"],
  [{ accepts: 3 }, "accepts"],
])("options %j are refused, and change nothing", (options, option) => {
  expect(() => system.spawn("counter", machine, options as never)).toThrow(
    expect.objectContaining({ code: "ZOOID_INVALID_OPTION", option }),
  );
  expect([works, entered]).toEqual([0, 0]);
  system.spawn("counter", machine);
});
