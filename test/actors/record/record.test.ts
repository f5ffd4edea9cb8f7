import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assign, createActor, forwardTo, fromPromise, sendTo, setup } from "xstate";
import { type ActorSystem, createActorSystem } from "../../../actors/system/actor-system.js";
import { recordFrame, recordQuestion } from "../../../actors/record/frames.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { type Broker, createBroker, type Transport } from "../../../transport/index.js";
import { deferred } from "../../../core/deferred.js";
import { limits, seededRandom, type Value } from "../../../core/index.js";
import { SlowClock } from "../../simulation/record/slow-clock.js";
import { gateMachine, showGate } from "../system/gate-machine.js";
import { seenIn, seenOf, watched } from "./watched.js";

let clock: SimulatedClock;
let broker: Broker;
let inside: ActorSystem;
let outside: ActorSystem;
let outsideTransport: Transport;
/** Frames on the broker, by their bytes. */
let frames: number[];

beforeEach(() => {
  clock = new SimulatedClock();
  broker = createBroker({ clock });
  outsideTransport = broker.connect();
  const open = (seed: number, transport: Transport) => createActorSystem({ realm: "main", transport, clock, random: seededRandom(seed) });
  inside = open(1, broker.connect());
  outside = open(2, outsideTransport);
  frames = [];
  broker.connect().subscribe("zooid.main.record.*", ({ subject, payload }) => {
    if (!subject.endsWith(".ask")) frames.push(payload.length);
  });
});

afterEach(() => {
  inside.close();
  outside.close();
});

function gateAt(path: string, describe: ((snapshot: unknown) => Record<string, Value>) | undefined = showGate) {
  const gate = createActor(gateMachine).start();
  const hide = inside.register(path, gate, { accepts: [], describe });
  return { gate, hide };
}

describe("a record", () => {
  test("is not made without a watcher", async () => {
    const { gate } = gateAt("gate");
    gate.send({ type: "OPEN" });
    await clock.advance(10_000);
    expect(frames).toEqual([]);
    expect(inside.notes.isRecording).toBe(false);
  });

  test("begins with all actors as they are, and goes on with what happens", async () => {
    const { gate } = gateAt("north/gate");
    gate.send({ type: "OPEN", by: "anna" });
    const { actors, lines, of } = watched(outside);
    await clock.advance(100);
    expect(actors()).toMatchObject([
      { path: "north/gate", name: "gate", value: "open", status: "active", shown: { passed: 0 }, isSinceKnown: false },
    ]);
    gate.send({ type: "COUNT" });
    gate.send({ type: "CLOSE" });
    await clock.advance(100);
    expect(lines()).toEqual(['north/gate COUNT: "open" -> "open"', 'north/gate CLOSE: "open" -> "closed"']);
    expect(actors()).toMatchObject([{ value: "closed", shown: { passed: 1 }, events: 2, transitions: 2, isSinceKnown: true }]);
    expect(of("transition")[0]).toMatchObject({ actions: ["countOne"], from: "" });
  });

  test("has the machine of each actor once, by its hash", async () => {
    gateAt("a");
    gateAt("b");
    const { actors, model, entries } = watched(outside);
    await clock.advance(100);
    const [first, second] = actors();
    expect(first?.machine).toBe(second?.machine);
    expect(model.machines.get(first?.machine ?? "")).toMatchObject({ id: "gate", states: { open: {}, closed: {}, jammed: {} } });
    const items = entries.flatMap((entry) => (entry.type === "frame" ? entry.frame.items : []));
    expect(items.filter(({ type }) => type === "machine")).toHaveLength(1);
  });

  test("holds no context, no payload and no output without a description", async () => {
    const { gate } = gateAt("gate", undefined);
    const secret = "the secret of the gate";
    gate.send({ type: "OPEN", by: secret });
    const bytes: Buffer[] = [];
    broker.connect().subscribe("zooid.main.record.*", ({ payload }) => bytes.push(Buffer.from(payload)));
    const { actors } = watched(outside);
    await clock.advance(100);
    gate.send({ type: "CLOSE" });
    gate.send({ type: "OPEN", by: secret });
    await clock.advance(2_000);
    expect(actors()).toMatchObject([{ value: "open", shown: {} }]);
    expect(Buffer.concat(bytes).includes(secret)).toBe(false);
  });

  test("ends when its watchers leave, and within the lease when they are gone without a word", async () => {
    const { gate } = gateAt("gate");
    const first = watched(outside);
    await clock.advance(100);
    first.stop();
    await clock.advance(10);
    expect(inside.notes.isRecording).toBe(false);
    watched(outside);
    await clock.advance(100);
    expect(inside.notes.isRecording).toBe(true);
    await outsideTransport.close();
    await clock.advance(limits.actorLeaseMs + limits.recordFactsMs);
    expect(inside.notes.isRecording).toBe(false);
    const before = frames.length;
    gate.send({ type: "OPEN" });
    await clock.advance(5_000);
    expect(frames).toHaveLength(before);
  });

  test("goes on for as long as a watcher renews its lease", async () => {
    const { gate } = gateAt("gate");
    const { actors } = watched(outside);
    await clock.advance(10 * limits.actorLeaseMs);
    gate.send({ type: "OPEN" });
    await clock.advance(100);
    expect(actors()).toMatchObject([{ value: "open" }]);
  });

  test("shows an instance that starts later, and an actor that is registered later, until each ends", async () => {
    const { model, actors, of } = watched(outside);
    await clock.advance(100);
    const { hide } = gateAt("late");
    await clock.advance(limits.actorLeaseRenewalMs);
    expect(actors().map(({ path }) => path)).toEqual(["late"]);
    const { hide: hideOther } = gateAt("later");
    await clock.advance(100);
    expect(actors().map(({ path }) => path)).toEqual(["late", "later"]);
    hide();
    hideOther();
    await clock.advance(100);
    expect(actors()).toEqual([]);
    expect(of("gone").map(({ actor }) => actor.path)).toEqual(["late", "later"]);
    inside.close();
    await clock.advance(100);
    expect([...model.instances.values()].map(({ state }) => state).toSorted()).toEqual(["ended"]);
  });

  test("that has two addresses moves to the other one when the first one ends, with the facts of its registration", async () => {
    const { gate, hide } = gateAt("first", undefined);
    const hideSecond = inside.register("second", gate, { accepts: [], describe: showGate });
    const { actors } = watched(outside);
    await clock.advance(100);
    expect(actors()).toMatchObject([{ path: "first", shown: { passed: 0 } }]);
    hide();
    await clock.advance(100);
    expect(actors()).toMatchObject([{ path: "second", shown: { passed: 0 } }]);
    inside.register("third", gate, { accepts: [] });
    hideSecond();
    await clock.advance(100);
    expect(actors()).toMatchObject([{ path: "third", shown: {} }]);
  });

  test("notices an instance that has become silent", async () => {
    gateAt("gate");
    const { model } = watched(outside);
    await clock.advance(100);
    const [transport] = [broker.connect()];
    const lost = createActorSystem({ realm: "main", transport, clock, random: seededRandom(3) });
    lost.register("lost", createActor(gateMachine).start(), { accepts: [] });
    await clock.advance(limits.actorLeaseRenewalMs + 100);
    expect([...model.instances.values()].map(({ state }) => state)).toEqual(["live", "live"]);
    await transport.close();
    await clock.advance(limits.recordLostMs + 2_000);
    expect([...model.instances.values()].map(({ state }) => state)).toEqual(["live", "lost"]);
    lost.close();
  });
});

const parentMachine = setup({
  types: { events: {} as { type: "WORK" } | { type: "REST" } },
  actors: { gate: gateMachine, work: fromPromise<number>(() => Promise.resolve(1)) },
  actions: { noteNothing: assign({}) },
}).createMachine({
  id: "parent",
  initial: "resting",
  states: {
    resting: { on: { WORK: "working" } },
    working: { invoke: { src: "work", onDone: { target: "watching", actions: "noteNothing" } } },
    watching: { invoke: { src: "gate", id: "gate" }, on: { REST: "resting" } },
  },
});

describe("the children of an actor", () => {
  test("are in the record from their start until their parent removes them", async () => {
    const parent = createActor(parentMachine, { clock }).start();
    inside.register("parent", parent, { accepts: [] });
    const { actors, lines, model, of } = watched(outside);
    await clock.advance(100);
    parent.send({ type: "WORK" });
    expect(parent.getSnapshot().value).toBe("working");
    await clock.advance(100);
    expect(actors()).toMatchObject([
      { path: "parent", value: "watching" },
      { path: "parent#gate", name: "gate", value: "closed" },
    ]);
    expect(actors()[1]?.parent).toBe(actors()[0]?.ref);
    expect(lines()).toContain('parent xstate.done.actor.work: "working" -> "watching"');
    expect(of("transition").find(({ event }) => event === "xstate.done.actor.work")).toMatchObject({
      from: "parent#work",
      actions: ["noteNothing"],
    });
    expect(seenIn(model)).toEqual(seenOf(new Map([["parent", parent]])));
    parent.send({ type: "REST" });
    await clock.advance(100);
    expect(actors().map(({ path }) => path)).toEqual(["parent"]);
  });

  test("that are registered themselves have their own address as long as they are", async () => {
    const parent = createActor(parentMachine, { clock }).start();
    parent.send({ type: "WORK" });
    await clock.advance(1);
    inside.register("parent", parent, { accepts: [] });
    const { actors } = watched(outside);
    await clock.advance(100);
    const gate = parent.getSnapshot().children["gate"];
    if (gate === undefined) throw new Error("the parent has a gate");
    const hide = inside.register("the/gate", gate as never, { accepts: [] });
    await clock.advance(100);
    expect(actors().map(({ path }) => path)).toEqual(["parent", "the/gate"]);
    expect(actors()[1]?.parent).toBe(actors()[0]?.ref);
    hide();
    await clock.advance(100);
    expect(actors().map(({ path }) => path)).toEqual(["parent", "parent#gate"]);
  });
});

/** A machine that ends in a final state. */
const taskMachine = setup({ types: { events: {} as { type: "FINISH" } | { type: "BREAK" } } }).createMachine({
  id: "task",
  initial: "open",
  states: { open: { on: { FINISH: { target: "finished" } } }, finished: { type: "final" } },
});

describe("the last transition of an actor that ends", () => {
  test("is in the record before its parent handles the end, and removes it", async () => {
    const machine = setup({ actors: { task: taskMachine } }).createMachine({
      id: "boss",
      initial: "waiting",
      states: {
        waiting: {
          invoke: { src: "task", id: "task", onDone: "over" },
          on: { FINISH: { actions: sendTo("task", { type: "FINISH" }) } },
        },
        over: {},
      },
    });
    const boss = createActor(machine).start();
    inside.register("boss", boss, { accepts: [] });
    const { lines, of } = watched(outside);
    await clock.advance(100);
    boss.send({ type: "FINISH" });
    await clock.advance(100);
    expect(lines()).toEqual([
      'boss#task FINISH: "open" -> "finished"',
      'boss FINISH: "waiting" -> "waiting"',
      'boss xstate.done.actor.task: "waiting" -> "over"',
    ]);
    expect(of("stopped").map(({ actor: { path, status } }) => `${path} ${status}`)).toEqual(["boss#task done"]);
    expect(of("gone").map(({ actor: { path } }) => path)).toEqual(["boss#task"]);
  });

  test("is in the record when its owner ends its registration at once", async () => {
    const task = createActor(taskMachine);
    task.subscribe(({ status }) => {
      if (status === "done") hide();
    });
    task.start();
    const hide = inside.register("task", task, { accepts: [] });
    const { lines, of } = watched(outside);
    await clock.advance(100);
    task.send({ type: "FINISH" });
    await clock.advance(100);
    expect(lines()).toEqual(['task FINISH: "open" -> "finished"']);
    expect(of("stopped").map(({ actor: { status } }) => status)).toEqual(["done"]);
  });

  test("is in the record when an action of it ends its registration", async () => {
    const machine = setup({ actions: { leave: () => hide() } }).createMachine({
      id: "guest",
      initial: "here",
      states: { here: { on: { BYE: { target: "gone", actions: "leave" } } }, gone: {} },
    });
    const guest = createActor(machine).start();
    const hide = inside.register("guest", guest, { accepts: [] });
    const { lines, actors, of } = watched(outside);
    await clock.advance(100);
    guest.send({ type: "BYE" });
    await clock.advance(100);
    expect(lines()).toEqual(['guest BYE: "here" -> "gone"']);
    expect([actors(), of("gone").length]).toEqual([[], 1]);
    inside.register("guest", guest, { accepts: [] });
    await clock.advance(100);
    expect(actors()).toMatchObject([{ path: "guest", value: "gone" }]);
  });

  test("is no end of an actor that passes the end of its child on", async () => {
    const machine = setup({ actors: { work: fromPromise<number>(() => Promise.resolve(1)), heir: gateMachine } }).createMachine({
      id: "boss",
      initial: "working",
      invoke: { src: "heir", id: "heir" },
      states: { working: { invoke: { src: "work", id: "work", onDone: { target: "over", actions: forwardTo("heir") } } }, over: {} },
    });
    const boss = createActor(machine, { clock }).start();
    inside.register("boss", boss, { accepts: [] });
    const { lines, actors } = watched(outside);
    await clock.advance(100);
    expect(lines()).toEqual([]);
    expect(actors().map(({ path, status, value }) => [path, status, value])).toEqual([
      ["boss", "active", "over"],
      ["boss#heir", "active", "closed"],
    ]);
  });
});

describe("a failure", () => {
  test("of an actor whose owner ends its registration at once is in the record", async () => {
    const gate = createActor(gateMachine);
    gate.subscribe({ error: () => hide() });
    gate.start();
    const hide = inside.register("gate", gate, { accepts: [] });
    const { of } = watched(outside);
    await clock.advance(100);
    gate.send({ type: "BREAK" });
    await clock.advance(100);
    expect(of("failed").map(({ actor: { path, reason } }) => `${path}: ${reason}`)).toEqual(["gate: the gate broke"]);
  });

  test("of a registered actor is in the record with its reason", async () => {
    const { gate } = gateAt("gate");
    const { actors, of } = watched(outside);
    await clock.advance(100);
    gate.send({ type: "BREAK" });
    await clock.advance(100);
    expect(actors()).toMatchObject([{ path: "gate", status: "error", reason: "the gate broke" }]);
    expect(of("failed")).toHaveLength(1);
  });

  test("of an actor that is started again is in the record, and so is its successor at the same address", async () => {
    const gate = inside.spawn("gate", gateMachine, { accepts: [], supervise: { restart: "input" } });
    const { actors, of } = watched(outside);
    await clock.advance(100);
    gate.send({ type: "OPEN" });
    gate.send({ type: "BREAK" });
    await clock.advance(60_000);
    expect(of("failed").map(({ actor }) => actor.reason)).toEqual(["the gate broke"]);
    expect(actors()).toMatchObject([{ path: "gate", status: "active", value: "closed" }]);
    gate.send({ type: "OPEN" });
    await clock.advance(100);
    expect(actors()).toMatchObject([{ path: "gate", value: "open" }]);
    gate.stop();
    await clock.advance(100);
    expect(actors()).toEqual([]);
  });

  test("of a child is in the record, and so is the way its parent handles it", async () => {
    const broken = deferred<number>();
    const machine = setup({ actors: { work: fromPromise(() => broken.promise) } }).createMachine({
      id: "boss",
      initial: "working",
      states: { working: { invoke: { src: "work", onError: "calm" } }, calm: {} },
    });
    const boss = createActor(machine, { clock }).start();
    inside.register("boss", boss, { accepts: [] });
    const { lines, of } = watched(outside);
    await clock.advance(100);
    broken.reject(new Error("no luck"));
    await clock.advance(100);
    expect(of("failed").map(({ actor }) => `${actor.path}: ${actor.reason}`)).toEqual(["boss#work: no luck"]);
    expect(lines()).toEqual(['boss xstate.error.actor.work: "working" -> "calm"']);
  });

  test("of a description is no failure of the actor", async () => {
    const { gate } = gateAt("gate", () => {
      throw new Error("no description");
    });
    const { actors } = watched(outside);
    await clock.advance(100);
    gate.send({ type: "OPEN" });
    await clock.advance(2_000);
    expect(gate.getSnapshot().status).toBe("active");
    expect(actors()).toMatchObject([{ value: "open", shown: {} }]);
  });
});

describe("a record with too much to say", () => {
  test("keeps the last state of every actor, and counts what it leaves out", async () => {
    const { gate } = gateAt("busy");
    const { gate: other } = gateAt("calm");
    const { model, actors } = watched(outside);
    await clock.advance(100);
    const times = 3 * limits.recordEventsPerSecondMax;
    for (let time = 0; time < times; time++) gate.send({ type: time % 2 === 0 ? "OPEN" : "CLOSE" });
    gate.send({ type: "OPEN" });
    other.send({ type: "OPEN" });
    await clock.advance(100);
    expect(actors()).toMatchObject([{ value: "open" }, { value: "open" }]);
    const left = [...model.instances.values()].find(({ actors: { size } }) => size > 0)?.left;
    expect((left?.events ?? 0) + (actors()[0]?.events ?? 0) + (actors()[1]?.events ?? 0)).toBe(times + 2);
    expect(left?.events).toBeGreaterThan(times / 2);
    await clock.advance(1_000);
    gate.send({ type: "CLOSE" });
    await clock.advance(100);
    expect(actors()).toMatchObject([{ value: "closed" }, { value: "open" }]);
  });

  test("keeps the order of the states of an actor that is shown again between them", async () => {
    const { gate } = gateAt("busy");
    const { gate: other } = gateAt("calm");
    const { actors } = watched(outside);
    await clock.advance(100);
    for (let time = 0; time < 2 * limits.recordEventsPerSecondMax; time++) gate.send({ type: time % 2 === 0 ? "OPEN" : "CLOSE" });
    other.send({ type: "OPEN" });
    inside.register("second/address", other, { accepts: [] });
    other.send({ type: "CLOSE" });
    await clock.advance(100);
    expect(actors().map(({ path, value }) => [path, value])).toEqual([
      ["busy", "closed"],
      ["calm", "closed"],
    ]);
  });

  test("sends frames of at most 32 KiB, also for the snapshot of many actors", async () => {
    for (let index = 0; index < 3_000; index++) gateAt(`gates/number-${index}`);
    const { actors, model } = watched(outside);
    await clock.advance(1_000);
    expect(actors()).toHaveLength(3_000);
    expect(Math.max(...frames)).toBeLessThanOrEqual(limits.recordFrameBytesMax);
    expect(frames.length).toBeGreaterThan(5);
    expect([...model.instances.values()].map(({ gaps }) => gaps)).toEqual([0]);
  });

  test("leaves out an actor whose description does not fit, and shows it without", async () => {
    gateAt("gate", () => ({ text: "x".repeat(limits.recordFrameBytesMax) }));
    const { actors } = watched(outside);
    await clock.advance(2_000);
    expect(actors()).toMatchObject([{ path: "gate", shown: {} }]);
  });
});

describe("a record that takes too much time", () => {
  test("pauses, says so, observes nothing meanwhile, and goes on with all actors as they are then", async () => {
    const slow = new SlowClock(clock);
    const system = createActorSystem({ realm: "main", transport: broker.connect(), clock: slow, random: seededRandom(7) });
    const gate = createActor(gateMachine).start();
    let observers = 0;
    const inspect = gate.system.inspect.bind(gate.system);
    gate.system.inspect = (observer) => {
      const { unsubscribe } = inspect(observer);
      observers++;
      return { unsubscribe: () => (observers--, unsubscribe()) };
    };
    system.register("slow/gate", gate, { accepts: [], describe: showGate });
    const { actors, of, model } = watched(outside);
    const workFor = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 10) {
        gate.send({ type: "OPEN" });
        gate.send({ type: "CLOSE" });
        await clock.advance(10);
      }
    };
    const state = () => [...model.instances.values()].find(({ instance }) => instance === of("actor")[0]?.actor.instance)?.state;
    await workFor(3_000);
    expect([of("paused"), observers, state()]).toEqual([[], 1, "live"]);
    slow.costMs = 5;
    for (let waited = 0; of("paused").length === 0 && waited < 5_000; waited += 100) await workFor(100);
    slow.costMs = 0;
    const [{ paused } = { paused: undefined }] = of("paused");
    expect(paused?.forMs).toBe(limits.recordPauseMs);
    expect((paused?.usedMs ?? 0) * 100).toBeGreaterThan((paused?.ofMs ?? 0) * limits.recordCpuPercentMax);
    expect([observers, state(), system.notes.isRecording]).toEqual([0, "paused", false]);
    const events = actors()[0]?.events;
    await workFor(limits.recordPauseMs - 4_000);
    const late = watched(createActorSystem({ realm: "main", transport: broker.connect(), clock, random: seededRandom(8) }));
    await workFor(3_000);
    expect([late.of("paused").length, of("paused").length]).toEqual([1, 1]);
    expect(late.of("paused")[0]?.paused.forMs).toSatisfy((forMs: number) => forMs > 3_000 && forMs <= 4_000);
    gate.send({ type: "OPEN" });
    expect([observers, state(), actors()[0]?.events]).toEqual([0, "paused", events]);
    await clock.advance(2_000);
    expect([observers, state()]).toEqual([1, "live"]);
    expect(actors()).toMatchObject([{ path: "slow/gate", value: "open" }]);
    expect(late.actors()).toMatchObject([{ path: "slow/gate", value: "open" }]);
    system.close();
    expect(observers).toBe(0);
  });
});

describe("a watcher that misses a frame", () => {
  test("knows it, and asks for a snapshot", async () => {
    const { gate } = gateAt("gate");
    const { model, actors, entries, of } = watched(outside);
    await clock.advance(2_000);
    const [instance] = [...model.instances.values()].filter(({ actors: { size } }) => size > 0);
    const last = entries.findLast((entry) => entry.type === "frame" && entry.frame.instance === instance?.instance);
    if (last?.type !== "frame" || instance === undefined) throw new Error("the instance has sent a frame");
    // Its number skips some, as after a loss.
    const skipped = recordFrame.write({ ...last.frame, number: instance.next + 5, items: [] });
    broker.connect().publish(`zooid.main.record.${instance.instance}`, skipped);
    await clock.advance(1);
    gate.send({ type: "OPEN" });
    await clock.advance(5_000);
    expect(
      of("instance")
        .flatMap((each) => (each.instance === instance.instance ? [each.state] : []))
        .slice(-2),
    ).toEqual(["behind", "live"]);
    expect(instance.gaps).toBeGreaterThan(0);
    expect(actors()).toMatchObject([{ path: "gate", value: "open" }]);
  });
});

describe("the questions of watchers", () => {
  test("of any bytes change nothing", async () => {
    const transport = broker.connect();
    for (const bytes of [[], [1], [0x93], [...Buffer.from("xyz")]]) transport.publish("zooid.main.record.ask", Uint8Array.from(bytes));
    await clock.advance(100);
    expect(inside.notes.isRecording).toBe(false);
  });

  test("of thousands of watchers keep a bounded number of leases, and few snapshots", async () => {
    gateAt("gate");
    const transport = broker.connect();
    for (let index = 0; index < 5_000; index++) {
      transport.publish("zooid.main.record.ask", recordQuestion.write({ type: "snapshot", watcher: `w${index}`, instance: undefined }));
    }
    await clock.advance(900);
    expect(frames.length).toBeLessThan(20);
    for (let index = 0; index < 5_000; index++) {
      transport.publish("zooid.main.record.ask", recordQuestion.write({ type: "leave", watcher: `w${index}` }));
    }
    await clock.advance(100);
    // Watchers beyond the bound share a lease, which ends by itself.
    expect(inside.notes.isRecording).toBe(true);
    await clock.advance(limits.actorLeaseMs + limits.recordFactsMs);
    expect(inside.notes.isRecording).toBe(false);
  });
});
