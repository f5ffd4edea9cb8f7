import { describe, expect, onTestFinished, test } from "vitest";
import { type AnyActorRef, assign, cancel, createActor, createMachine, fromCallback, fromPromise, raise } from "xstate";
import { SimulatedClock } from "../../testing/simulated-clock.js";

const fail = () => {
  throw new Error("an action failed");
};

describe("events", () => {
  test("an empty transition takes its event, which goes neither to the wildcard nor to the states above", () => {
    const seen: string[] = [];
    const machine = createMachine({
      on: { "*": { actions: ({ event }) => seen.push(event.type) } },
      initial: "here",
      states: { here: { on: { KNOWN: {}, LAST_EMPTY: [{ guard: () => false }, {}], NOT_MET: [{ guard: () => false }] } } },
    });
    const actor = createActor(machine).start();
    for (const type of ["KNOWN", "LAST_EMPTY", "NOT_MET", "UNKNOWN"]) actor.send({ type });
    expect(seen).toEqual(["NOT_MET", "UNKNOWN"]);
  });

  test("an event without a transition is silently dropped, and so is an event to a stopped actor", () => {
    const actor = createActor(createMachine({})).start();
    const before = actor.getSnapshot();
    actor.send({ type: "UNKNOWN" });
    expect(actor.getSnapshot()).toBe(before);
    actor.stop();
    expect(() => actor.send({ type: "UNKNOWN" })).not.toThrow();
  });

  test("an event that an action sends to its own actor is taken after all actions of the transition", () => {
    const order: string[] = [];
    const machine = createMachine({
      on: {
        ONE: { actions: [({ self }) => self.send({ type: "TWO" }), () => order.push("second action of ONE")] },
        TWO: { actions: () => order.push("TWO") },
      },
    });
    const actor = createActor(machine).start();
    actor.send({ type: "ONE" });
    expect(order).toEqual(["second action of ONE", "TWO"]);
  });
});

describe("time", () => {
  test("delays of an actor, of its children and of raised events all use the clock of the root actor", () => {
    const delays: number[] = [];
    const cleared: unknown[] = [];
    const clock = {
      now: () => 0,
      setTimeout: (_: () => void, ms: number) => delays.push(ms),
      clearTimeout: (timer: unknown) => void cleared.push(timer),
    };
    const child = createMachine({ initial: "waiting", states: { waiting: { after: { 20: "over" } }, over: {} } });
    const machine = createMachine({
      invoke: { src: child },
      entry: raise({ type: "SILENT" }, { id: "silence", delay: 30 }),
      initial: "waiting",
      states: { waiting: { after: { 10: "over" } }, over: {} },
      on: { HEARD: { actions: cancel("silence") } },
    });
    const actor = createActor(machine, { clock }).start();
    expect(delays.toSorted((a, b) => a - b)).toEqual([10, 20, 30]);
    actor.send({ type: "HEARD" });
    expect(cleared).toHaveLength(1);
  });

  test("leaving a state clears its delay", () => {
    const timers = new Map<number, () => void>();
    const clock = {
      now: () => 0,
      setTimeout: (action: () => void) => {
        timers.set(timers.size, action);
        return timers.size - 1;
      },
      clearTimeout: (timer: number) => void timers.delete(timer),
    };
    const machine = createMachine({ initial: "a", states: { a: { after: { 10: "b" }, on: { LEAVE: "b" } }, b: {} } });
    createActor(machine, { clock }).start().send({ type: "LEAVE" });
    expect(timers.size).toBe(0);
  });
});

describe("invoked actors", () => {
  test("an invoked actor continues while inner states change, and starts again only with reenter", () => {
    let begun = 0;
    const source = fromCallback(() => {
      begun++;
    });
    const machine = createMachine({
      initial: "outer",
      states: {
        outer: {
          invoke: { src: source },
          initial: "a",
          states: { a: { on: { NEXT: "b" } }, b: {} },
          on: { AGAIN: "outer", ANEW: { target: "outer", reenter: true } },
        },
      },
    });
    const actor = createActor(machine).start();
    const counts = ["NEXT", "AGAIN", "ANEW"].map((type) => {
      actor.send({ type });
      return begun;
    });
    expect(counts).toEqual([1, 1, 2]);
  });

  test("an invoked promise that rejects without onError makes the machine fail", async () => {
    const actor = createActor(createMachine({ invoke: { src: fromPromise(() => Promise.reject(new Error("no"))) } }));
    const failed = new Promise<unknown>((resolve) => void actor.subscribe({ error: resolve }));
    actor.start();
    await expect(failed).resolves.toMatchObject({ message: "no" });
    expect(actor.getSnapshot().status).toBe("error");
  });
});

describe("an actor that fails", () => {
  test("an actor that fails does not throw out of `send`: it takes no more events, and notifies its observers", () => {
    const actor = createActor(
      createMachine({ context: { count: 0 }, on: { FAIL: { actions: fail }, COUNT: { actions: assign({ count: 1 }) } } }),
    );
    const errors: unknown[] = [];
    actor.subscribe({ error: (error) => errors.push(error) });
    actor.start();
    actor.send({ type: "FAIL" });
    actor.send({ type: "COUNT" });
    expect(errors).toHaveLength(1);
    expect(actor.getSnapshot()).toMatchObject({ status: "error", context: { count: 0 } });
  });

  test("an actor that fails is an exception of the process when one observer has no `error`, unless that observer was given one through `observers`", async () => {
    const uncaught: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => void uncaught.push(error));
    onTestFinished(() => {
      process.removeAllListeners("uncaughtException");
      for (const listener of listeners) process.on("uncaughtException", listener);
    });
    for (const isHeld of [false, true]) {
      const actor = createActor(createMachine({ on: { FAIL: { actions: fail } } }));
      actor.subscribe({ error: () => undefined });
      actor.subscribe(() => undefined);
      const { observers } = actor as unknown as { readonly observers: Iterable<{ error?: () => void }> };
      if (isHeld) for (const observer of observers) observer.error ??= () => undefined;
      actor.start().send({ type: "FAIL" });
      // XState throws it from a timer without delay. Such timers fire in the order in which they were set.
      await new Promise((resolve) => setTimeout(resolve, 0));
      expect(uncaught).toHaveLength(1);
    }
  });

  test("a failed actor leaves its invoked actors running, until `_stop` of each child is called", () => {
    let ended = 0;
    const source = fromCallback(() => () => void ended++);
    const machine = createMachine({ invoke: { src: source, id: "child" }, on: { FAIL: { actions: fail } } });
    const actor = createActor(machine);
    actor.subscribe({ error: () => undefined });
    actor.start().send({ type: "FAIL" });
    const child = actor.getSnapshot().children["child"] as unknown as { readonly _stop: () => void; readonly _parent: unknown };
    expect(ended).toBe(0);
    expect(child["_parent"]).toBe(actor);
    child["_stop"]();
    expect(ended).toBe(1);
  });
});

describe("inspection", () => {
  test("`@xstate.event` reports an event when it is sent, and `@xstate.microstep` and `@xstate.snapshot` have the same object when it is handled", () => {
    const seen: string[] = [];
    const later = { type: "LATER" };
    const machine = createMachine({
      initial: "a",
      states: { a: { on: { GO: { target: "b", actions: ({ self }) => self.send(later) } } }, b: { on: { LATER: "a" } } },
    });
    const actor = createActor(machine).start();
    actor.system.inspect((event) => {
      if (event.type !== "@xstate.action") seen.push(`${event.type} ${"event" in event && event.event === later ? "LATER" : "GO"}`);
    });
    actor.send({ type: "GO" });
    const [sent, step, snapshot] = ["event", "microstep", "snapshot"].map((kind) => `@xstate.${kind}`);
    expect(seen).toEqual([`${sent} GO`, `${sent} LATER`, `${step} GO`, `${snapshot} GO`, `${step} LATER`, `${snapshot} LATER`]);
  });

  test("the last snapshot of an actor that is done comes after its parent has got and handled its end", () => {
    const seen: string[] = [];
    const child = createMachine({ id: "child", initial: "on", states: { on: { on: { END: "off" } }, off: { type: "final" } } });
    const machine = createMachine({
      id: "parent",
      initial: "waiting",
      states: { waiting: { invoke: { src: child, id: "child", onDone: "over" } }, over: {} },
    });
    const actor = createActor(machine).start();
    actor.system.inspect(({ type, actorRef }) => {
      if (type === "@xstate.snapshot") seen.push((actorRef as AnyActorRef).id);
    });
    actor.getSnapshot().children["child"]?.send({ type: "END" });
    expect(seen.at(-1)).toBe("child");
    expect(seen.length).toBe(2);
  });
});

test("a restored machine has no timers, until they are set through the scheduler of its system", async () => {
  const clock = new SimulatedClock();
  const machine = createMachine({ initial: "waiting", states: { waiting: { after: { 50: "gone" } }, gone: {} } });
  const first = createActor(machine, { clock }).start();
  const { _scheduledEvents: scheduled } = first.system.getSnapshot();
  expect(Object.values(scheduled)).toMatchObject([{ delay: 50, source: first, target: first }]);
  const restored = createActor(machine, { clock, snapshot: first.getPersistedSnapshot() }).start();
  await clock.advance(1_000);
  expect([first.getSnapshot().value, restored.getSnapshot().value]).toEqual(["gone", "waiting"]);
  for (const { event, id } of Object.values(scheduled)) restored.system.scheduler.schedule(restored, restored, event, 10, id);
  await clock.advance(10);
  expect(restored.getSnapshot().value).toBe("gone");
});

test("a machine's definition has the names of guards, actions and delays, and nothing of inline ones", () => {
  const machine = createMachine({
    initial: "a",
    states: {
      a: {
        on: {
          E: [
            { guard: "isReady", actions: "go", target: "b" },
            { guard: () => true, actions: () => undefined },
          ],
        },
        after: { retryDelay: "b" },
      },
      b: { initial: "c", states: { c: {} } },
    },
  });
  const { transitions } = machine.definition.states["a"] ?? expect.fail("it has the state");
  const shown = JSON.parse(JSON.stringify(transitions)) as readonly Readonly<Record<string, unknown>>[];
  expect(shown).toMatchObject([
    { guard: "isReady", actions: ["go"] },
    { actions: [null] },
    { eventType: "xstate.after.retryDelay.(machine).a" },
  ]);
  expect(shown[1]).not.toHaveProperty("guard");
});
