/** XState reports an event when it is sent. A busy actor handles it later: the record has it when it is handled. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AnyActorRef, assign, createActor, fromTransition, raise, sendParent, sendTo, setup } from "xstate";
import { type ActorSystem, createActorSystem } from "../../../actors/system/actor-system.js";
import { unnamed } from "../../../actors/drawing/description.js";
import { limits, seededRandom } from "../../../core/index.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { createBroker } from "../../../transport/index.js";
import { watched } from "./watched.js";

let clock: SimulatedClock;
let inside: ActorSystem;
let outside: ActorSystem;

beforeEach(() => {
  clock = new SimulatedClock();
  const broker = createBroker({ clock });
  const open = (seed: number) => createActorSystem({ realm: "main", transport: broker.connect(), clock, random: seededRandom(seed) });
  inside = open(1);
  outside = open(2);
});

afterEach(() => {
  inside.close();
  outside.close();
});

/** A watcher that shows `actors`, which are registered under their names. */
async function watching(actors: Readonly<Record<string, AnyActorRef>>) {
  for (const [path, actor] of Object.entries(actors)) inside.register(path, actor, { accepts: [] });
  const watcher = watched(outside);
  await clock.advance(100);
  const causes = () => watcher.of("transition").map(({ path, event, from, actions }) => ({ path, event, from, actions }));
  const got = () =>
    watcher.entries.flatMap((entry) =>
      entry.type === "frame" ? entry.frame.items.flatMap((item) => (item.type === "event" ? [item.event] : [])) : [],
    );
  return { ...watcher, causes, got };
}

type Step = { type: "GO" } | { type: "ONE" } | { type: "TWO" } | { type: "THREE" };

const walker = setup({
  types: { events: {} as Step },
  actions: { before: () => undefined, after: () => undefined, note: assign({}) },
}).createMachine({
  id: "walker",
  initial: "a",
  states: {
    a: {
      on: {
        GO: {
          target: "b",
          actions: ["before", sendTo(({ self }) => self, { type: "ONE" }), sendTo(({ self }) => self, { type: "TWO" }), "after"],
        },
      },
    },
    b: { on: { ONE: { target: "c", actions: "note" } } },
    c: { on: { TWO: "d" } },
    d: { on: { THREE: "a" } },
  },
});

describe("a transition is recorded with the event that caused it", () => {
  test("when its actions send further events to the same actor, with all actions", async () => {
    const actor = createActor(walker).start();
    const { lines, causes } = await watching({ walker: actor });
    actor.send({ type: "GO" });
    await clock.advance(100);
    expect(lines()).toEqual(['walker GO: "a" -> "b"', 'walker ONE: "b" -> "c"', 'walker TWO: "c" -> "d"']);
    expect(causes()).toEqual([
      { path: "walker", event: "GO", from: "", actions: ["before", unnamed, "after"] },
      { path: "walker", event: "ONE", from: "walker", actions: ["note"] },
      { path: "walker", event: "TWO", from: "walker", actions: [] },
    ]);
  });

  test("when a subscriber sends the next event from inside the one before", async () => {
    const actor = createActor(walker).start();
    const { lines } = await watching({ walker: actor });
    actor.subscribe((snapshot) => {
      if (snapshot.value === "d") actor.send({ type: "THREE" });
    });
    actor.send({ type: "GO" });
    await clock.advance(100);
    expect(lines().slice(-2)).toEqual(['walker TWO: "c" -> "d"', 'walker THREE: "d" -> "a"']);
  });

  test("when events wait in the mailbox of an actor that starts later", async () => {
    const actor = createActor(walker);
    const { lines, got } = await watching({ walker: actor });
    actor.send({ type: "GO" });
    await clock.advance(100);
    expect(got()).toEqual([]);
    actor.start();
    await clock.advance(100);
    expect(got()).toEqual(["xstate.init", "GO", "ONE", "TWO"]);
    expect(lines()).toEqual(['walker GO: "a" -> "b"', 'walker ONE: "b" -> "c"', 'walker TWO: "c" -> "d"']);
  });

  test("when it raises others", async () => {
    const machine = setup({ actions: { one: () => undefined, two: () => undefined } }).createMachine({
      id: "raiser",
      initial: "a",
      states: {
        a: { on: { GO: { target: "b", actions: ["one", raise({ type: "INNER" })] } } },
        b: { on: { INNER: { target: "c", actions: "two" } } },
        c: {},
      },
    });
    const actor = createActor(machine).start();
    const { causes, lines } = await watching({ raiser: actor });
    actor.send({ type: "GO" });
    await clock.advance(100);
    expect(lines()).toEqual(['raiser GO: "a" -> "c"']);
    expect(causes()).toEqual([{ path: "raiser", event: "GO", from: "", actions: ["one", unnamed, "two"] }]);
  });

  test("when its logic is no machine", async () => {
    const echo = fromTransition(
      (_: { readonly value: string }, { type }: { type: string }, { self }) => {
        if (type === "GO") for (const next of ["ONE", "TWO"]) self.send({ type: next });
        return { value: type };
      },
      { value: "" },
    );
    const actor = createActor(echo).start();
    const { got } = await watching({ echo: actor });
    actor.send({ type: "GO" });
    await clock.advance(100);
    expect(got()).toEqual(["GO", "ONE", "TWO"]);
  });
});

const clerk = setup({}).createMachine({
  id: "clerk",
  on: { ASK: { actions: [sendParent({ type: "FIRST" }), sendParent({ type: "SECOND" })] } },
});
const boss = setup({ actors: { clerk } }).createMachine({
  id: "boss",
  initial: "idle",
  invoke: { src: "clerk", id: "clerk" },
  states: {
    idle: { on: { WORK: { target: "asked", actions: sendTo("clerk", { type: "ASK" }) } } },
    asked: { on: { FIRST: "half" } },
    half: { on: { SECOND: "idle" } },
  },
});

describe("the sender of an event", () => {
  test("is named where the event is handled, also of events that a child answers at once", async () => {
    const actor = createActor(boss).start();
    const { causes, entries } = await watching({ boss: actor });
    actor.send({ type: "WORK" });
    await clock.advance(100);
    expect(causes().filter(({ path }) => path === "boss")).toEqual([
      { path: "boss", event: "WORK", from: "", actions: [unnamed] },
      { path: "boss", event: "FIRST", from: "boss#clerk", actions: [] },
      { path: "boss", event: "SECOND", from: "boss#clerk", actions: [] },
    ]);
    const order = entries.flatMap((entry) =>
      entry.type === "frame" ? entry.frame.items.flatMap((item) => (item.type === "event" ? [item.event] : [])) : [],
    );
    expect(order).toEqual(["WORK", "ASK", "FIRST", "SECOND"]);
  });

  test("is right for one event object that several actors send", async () => {
    const shared = { type: "TICK" };
    const target = createActor(
      setup({ actors: { sender: setup({}).createMachine({ id: "sender", on: { POKE: { actions: sendParent(shared) } } }) } }).createMachine(
        {
          id: "counter",
          initial: "zero",
          invoke: [
            { src: "sender", id: "left" },
            { src: "sender", id: "right" },
          ],
          states: {
            zero: { on: { BOTH: { target: "one", actions: [sendTo("left", { type: "POKE" }), sendTo("right", { type: "POKE" })] } } },
            one: { on: { TICK: "two" } },
            two: { on: { TICK: "three" } },
            three: {},
          },
        },
      ),
    ).start();
    const { causes } = await watching({ counter: target });
    target.send({ type: "BOTH" });
    await clock.advance(100);
    expect(causes().flatMap(({ event, from }) => (event === "TICK" ? [from] : []))).toEqual(["counter#left", "counter#right"]);
  });
});

describe("an event that its actor never handles", () => {
  test("because it has ended, is not in the record", async () => {
    vi.spyOn(console, "warn").mockReturnValue();
    const machine = setup({}).createMachine({ id: "m", initial: "on", states: { on: { on: { END: "off" } }, off: { type: "final" } } });
    const actor = createActor(machine).start();
    const { got, actors } = await watching({ m: actor });
    actor.send({ type: "END" });
    actor.send({ type: "LATE" });
    await clock.advance(100);
    expect(got()).toEqual(["END"]);
    expect(actors()).toMatchObject([{ status: "done", events: 1 }]);
    vi.restoreAllMocks();
  });

  test("because it was stopped while the event waited, is not in the record", async () => {
    const stopped = setup({
      actions: {
        leave: ({ self }) => {
          self.send({ type: "NEVER" });
          (self as unknown as { stop(): void }).stop();
        },
      },
    }).createMachine({
      id: "s",
      initial: "a",
      states: { a: { on: { GO: { target: "b", actions: "leave" } } }, b: { on: { NEVER: "a" } } },
    });
    const actor = createActor(stopped).start();
    const { got, actors, lines } = await watching({ s: actor });
    actor.send({ type: "GO" });
    await clock.advance(100);
    expect(got()).toEqual(["GO"]);
    expect(lines()).toEqual(['s GO: "a" -> "b"']);
    expect(actors()).toMatchObject([{ status: "stopped", value: "b" }]);
  });

  test("because its mailbox is never opened, costs a bounded memory, and is counted", async () => {
    const actor = createActor(walker);
    const { model, got } = await watching({ walker: actor });
    const times = limits.recordEventsWaitingMax + 10;
    for (let time = 0; time < times; time++) actor.send({ type: "THREE" });
    await clock.advance(100);
    expect(got()).toEqual([]);
    const left = [...model.instances.values()].reduce((sum, { left: { events } }) => sum + events, 0);
    expect(left).toBe(10);
  });
});

test("the event on which an actor fails is in the record before the failure", async () => {
  const machine = setup({
    guards: {
      breaks: () => {
        throw new Error("no verdict");
      },
    },
  }).createMachine({ id: "m", initial: "a", states: { a: { on: { GO: { target: "b", guard: "breaks" } } }, b: {} } });
  const actor = createActor(machine).start();
  const { of, got } = await watching({ m: actor });
  actor.send({ type: "GO" });
  await clock.advance(100);
  expect(got()).toEqual(["GO"]);
  expect(of("failed").map(({ actor: { open } }) => open?.event)).toEqual(["GO"]);
});

test("a transition whose event is left out above the rate has no event, and not one that came before", async () => {
  const [calm, busy] = [createActor(walker).start(), createActor(walker).start()];
  const { causes } = await watching({ calm, busy });
  calm.send({ type: "THREE" });
  for (let time = 0; time < limits.recordEventsPerSecondMax; time++) busy.send({ type: "THREE" });
  calm.send({ type: "GO" });
  await clock.advance(100);
  expect(causes().filter(({ path }) => path === "calm")).toMatchObject([{ event: undefined, from: undefined, actions: [] }]);
});
