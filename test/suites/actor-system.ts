import { afterEach, describe, expect, test } from "vitest";
import { createActor, createMachine, fromTransition } from "xstate";
import { type ActorSystem, type ActorView, createActorSystem } from "../../actors/system/actor-system.js";
import { machineToMermaid } from "../../actors/drawing/mermaid.js";
import { describeMachine } from "../../actors/drawing/description.js";
import type { Transport } from "../../transport/transport.js";
import {
  ActorEndedError,
  ActorLostError,
  InvalidOptionError,
  InvalidValueError,
  limits,
  NoActorError,
  seededRandom,
  systemClock,
  TooLargeError,
} from "../../core/index.js";
import { gateEvents, gateMachine, showGate } from "../actors/system/gate-machine.js";

/** Tests an actor system over one kind of transport. Each `connect` returns a new transport to the same broker. */
export function actorSystemSuite(name: string, connect: () => Promise<Transport>): void {
  describe(`actors over ${name}`, () => {
    const ends: (() => unknown)[] = [];
    let seed = 1;

    async function setup(): Promise<{ transport: Transport; system: ActorSystem }> {
      const transport = await connect();
      const system = createActorSystem({ realm: "main", transport, clock: systemClock, random: seededRandom(seed++) });
      ends.push(() => transport.close());
      ends.push(() => system.close());
      return { transport, system };
    }

    async function gateAt(path: string) {
      const { system, transport } = await setup();
      const gate = createActor(gateMachine).start();
      ends.push(() => gate.stop());
      const unregister = system.register(path, gate, { accepts: gateEvents, describe: showGate });
      await transport.flush();
      return { gate, unregister, transport, system };
    }

    afterEach(async () => {
      for (const end of ends.splice(0).toReversed()) await end();
    });

    test("an event that the actor accepts is processed when send resolves", async () => {
      const { gate } = await gateAt("park/north/gate");
      const { system } = await setup();
      await system.remote("park/north/gate").send({ type: "OPEN", by: "warden" });
      expect(gate.getSnapshot().value).toBe("open");
      expect(gate.getSnapshot().context.by).toBe("warden");
    });

    test("another process can draw the machine of an actor, knowing only its address", async () => {
      const { gate } = await gateAt("park/gate");
      const { system } = await setup();
      const machine = await system.remote("park/gate").machine();
      expect(machine).toEqual(describeMachine(gateMachine));
      if (machine === undefined) throw new Error("a gate is a machine");
      expect(machineToMermaid(machine, { current: "closed" })).toBe(machineToMermaid(gateMachine, { current: "closed" }));
      gate.stop();
      expect(await system.remote("park/gate").machine()).toEqual(machine);
    });

    test("an actor whose logic is no machine has no machine to show", async () => {
      const { system, transport } = await setup();
      const counter = createActor(fromTransition((count: number) => count + 1, 0)).start();
      ends.push(() => counter.stop());
      system.register("counter", counter, { accepts: [] });
      await transport.flush();
      const other = await setup();
      expect(await other.system.remote("counter").machine()).toBeUndefined();
    });

    test("an event that the actor did not declare is refused and changes nothing", async () => {
      const { gate } = await gateAt("gate");
      const { system } = await setup();
      await expect(system.remote("gate").send({ type: "JAM" })).rejects.toMatchObject({
        name: "NotAcceptedError",
        facts: { actor: "gate", event: "JAM", accepts: "OPEN, CLOSE, COUNT" },
      });
      expect(gate.getSnapshot().value).toBe("closed");
    });

    test("an address without an actor and an actor that has left its address cause different errors", async () => {
      const { unregister, transport } = await gateAt("gate");
      const { system } = await setup();
      await expect(system.remote("elsewhere").send({ type: "OPEN" })).rejects.toBeInstanceOf(NoActorError);
      await system.remote("gate").snapshot();
      unregister();
      await transport.flush();
      await expect(system.remote("gate").snapshot()).rejects.toBeInstanceOf(ActorLostError);
      await expect((await setup()).system.remote("gate").snapshot()).rejects.toBeInstanceOf(NoActorError);
    });

    test("a stopped actor accepts no event and still shows its snapshot", async () => {
      const { gate } = await gateAt("gate");
      const { system } = await setup();
      gate.stop();
      await expect(system.remote("gate").send({ type: "OPEN" })).rejects.toBeInstanceOf(ActorEndedError);
      expect((await system.remote("gate").snapshot()).status).toBe("stopped");
    });

    test("a snapshot shows the state, the machine and the part of the context that the actor describes", async () => {
      await gateAt("park/gate");
      const { system } = await setup();
      const view = await system.remote("park/gate").snapshot();
      expect(view).toMatchObject({ path: "park/gate", machine: "gate", status: "active", value: "closed", context: { passed: 0 } });
      expect(Object.keys(view.context)).toEqual(["passed"]);
    });

    test("a subscriber receives the current snapshot, then each change in order", async () => {
      const { gate } = await gateAt("gate");
      const { system } = await setup();
      const views = new Views();
      ends.push(system.remote("gate").subscribe(views.take));
      await views.count(1);
      gate.send({ type: "OPEN", by: "warden" });
      gate.send({ type: "COUNT" });
      gate.send({ type: "CLOSE" });
      await views.count(4);
      expect(views.all.map((view) => [view.value, view.context["passed"]])).toEqual([
        ["closed", 0],
        ["open", 0],
        ["open", 1],
        ["closed", 1],
      ]);
    });

    test("a subscriber is notified when the actor stops", async () => {
      const { gate } = await gateAt("gate");
      const { system } = await setup();
      const views = new Views();
      ends.push(system.remote("gate").subscribe(views.take));
      await views.count(1);
      gate.stop();
      await views.until((view) => view.status === "stopped");
    });

    test("an ask for a state is answered when the actor has reached it, at once or later", async () => {
      const { gate } = await gateAt("gate");
      const { system } = await setup();
      const remote = system.remote<typeof gateMachine>("gate");
      const opened = await remote.ask({ type: "OPEN", by: "warden" }, { until: { state: "open" } });
      expect([opened.value, opened.tags]).toEqual(["open", ["passable"]]);
      const closing = remote.ask({ type: "COUNT" }, { until: { state: "closed" } });
      await remote.waitFor({ tag: "passable" });
      gate.send({ type: "CLOSE" });
      const closed = await closing;
      expect([closed.value, closed.context]).toEqual(["closed", { passed: 1 }]);
    });

    test("a state is awaited by its name, by a path, or by its value, also when its name has a dot", async () => {
      const { system: inside, transport } = await setup();
      const states = { "v1.0": { on: { GO: "v2" } }, v2: { initial: "a.b", states: { "a.b": {} } } };
      inside.spawn("versions", createMachine({ initial: "v1.0", states }), { accepts: ["GO"] });
      await transport.flush();
      const { system } = await setup();
      const remote = system.remote("versions");
      await remote.waitFor({ state: "v1.0" });
      await remote.waitFor({ state: "v1\\.0" });
      await remote.ask({ type: "GO" }, { until: { state: { v2: "a.b" } } });
      await remote.waitFor({ state: "v2.a\\.b" });
      for (const state of ["v2.a", "", {}, { v2: {} }, { v2: { "a.b": "x" } }, [], null])
        await expect(remote.waitFor({ state })).rejects.toMatchObject({ code: "ZOOID_INVALID_OPTION" });
    });

    test("an event or a path of another shape is refused before it is sent", async () => {
      const { system } = await setup();
      const remote = system.remote("nowhere");
      for (const event of [undefined, null, 5, "OPEN", [], {}, { type: 5 }]) {
        await expect(remote.send(event as never)).rejects.toMatchObject({ code: "ZOOID_INVALID_EVENT" });
        const until = { state: "open" };
        await expect(remote.ask(event as never, { until })).rejects.toMatchObject({ code: "ZOOID_INVALID_EVENT" });
      }
      for (const path of [undefined, null, 5, {}, [], ""])
        expect(() => system.remote(path as never)).toThrow(expect.objectContaining({ code: "ZOOID_INVALID_OPTION" }));
    });

    test("a wait for a state ends with a typed error when the actor ends, fails or does not reach it in time", async () => {
      const { gate, unregister } = await gateAt("gate");
      const { system } = await setup();
      const remote = system.remote<typeof gateMachine>("gate");
      const code = (asked: Promise<unknown>) => asked.then(String, (error: { code: string }) => error.code);
      expect(await code(remote.waitFor({ state: "open", timeoutMs: 20 }))).toBe("ZOOID_TIMEOUT");
      const aborted = new AbortController();
      const given = remote.waitFor({ state: "open", signal: aborted.signal });
      aborted.abort(new Error("no longer"));
      await expect(given).rejects.toThrow("no longer");
      expect(await code(remote.waitFor({ state: "nowhere" } as never))).toBe("ZOOID_INVALID_OPTION");
      expect(await code(remote.waitFor({ tag: "nowhere" } as never))).toBe("ZOOID_INVALID_OPTION");
      expect(await code(remote.ask({ type: "OPEN" }, {} as never))).toBe("ZOOID_INVALID_OPTION");
      const failing = code(remote.waitFor({ state: "open" }));
      await remote.snapshot();
      gate.subscribe({ error: () => undefined });
      gate.send({ type: "BREAK" });
      expect(await failing).toBe("ZOOID_ACTOR_FAILED");
      expect(await code(remote.waitFor({ state: "open" }))).toBe("ZOOID_ACTOR_FAILED");
      expect(await code(remote.ask({ type: "OPEN" }, { until: { state: "open" } }))).toBe("ZOOID_ACTOR_ENDED");
      unregister();
    });

    test("a wrong address, an ended actor, an undeclared event and a refused one are four errors of each operation", async () => {
      const { gate } = await gateAt("gate");
      const remote = (await setup()).system.remote("gate");
      const nowhere = (await setup()).system.remote("nowhere");
      const until = { state: "open" };
      const code = (asked: Promise<unknown>) => asked.then(String, (error: { code: string }) => error.code);
      const lost = new Promise((resolve) =>
        ends.push(
          nowhere.subscribe(
            () => undefined,
            ({ code: lostCode }) => resolve(lostCode),
          ),
        ),
      );
      expect(await code(nowhere.send({ type: "OPEN" }))).toBe("ZOOID_NO_ACTOR");
      expect(await code(nowhere.ask({ type: "OPEN" }, { until }))).toBe("ZOOID_NO_ACTOR");
      expect(await code(nowhere.waitFor(until))).toBe("ZOOID_NO_ACTOR");
      expect(await lost).toBe("ZOOID_NO_ACTOR");
      for (const [event, expected] of [
        [{ type: "JAM" }, "ZOOID_NOT_ACCEPTED"],
        [{ type: "OPEN", by: "" }, "ZOOID_INVALID_EVENT"],
      ] as const) {
        expect(await code(remote.send(event))).toBe(expected);
        expect(await code(remote.ask(event, { until }))).toBe(expected);
      }
      gate.stop();
      expect(await code(remote.send({ type: "OPEN" }))).toBe("ZOOID_ACTOR_ENDED");
      expect(await code(remote.ask({ type: "OPEN" }, { until }))).toBe("ZOOID_ACTOR_ENDED");
      expect(await code(remote.waitFor(until))).toBe("ZOOID_ACTOR_ENDED");
      const seen = await new Promise((resolve) => ends.push(remote.subscribe(({ status }) => resolve(status))));
      expect(seen).toBe("stopped");
    });

    test("an ask whose registration ends is lost, and says that its event may have been processed", async () => {
      const { unregister } = await gateAt("gate");
      const { system } = await setup();
      const asked = system.remote<typeof gateMachine>("gate").ask({ type: "OPEN" }, { until: { state: "closed" } });
      const lost = expect(asked).rejects.toMatchObject({ code: "ZOOID_ACTOR_LOST", isInDoubt: true });
      await system.remote("gate").waitFor({ state: "open" });
      unregister();
      await lost;
    });

    test("an event that cannot be stored or is too large is refused before it is sent", async () => {
      await gateAt("gate");
      const remote = (await setup()).system.remote("gate");
      await expect(remote.send({ type: "OPEN", by: (() => 1) as never })).rejects.toBeInstanceOf(InvalidValueError);
      await expect(remote.send({ type: "OPEN", by: "x".repeat(limits.actorEventBytesMax) })).rejects.toBeInstanceOf(TooLargeError);
    });

    test("an invalid path and a used path are refused", async () => {
      const { system } = await gateAt("gate");
      for (const path of ["", "a//b", "a.b", "a/*", "a/>", "ä", "1/2/3/4/5/6/7/8/9"]) {
        expect(() => system.remote(path)).toThrow(InvalidOptionError);
      }
      expect(() => system.register("gate", createActor(gateMachine), { accepts: [] })).toThrow(InvalidOptionError);
    });
  });
}

/** Collects views; the test can wait for them. */
class Views {
  readonly all: ActorView[] = [];
  #wake: () => void = () => undefined;

  readonly take = (view: ActorView): void => {
    this.all.push(view);
    this.#wake();
  };

  count(count: number): Promise<void> {
    return this.#until(() => this.all.length >= count);
  }

  until(holds: (view: ActorView) => boolean): Promise<void> {
    return this.#until(() => this.all.some(holds));
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
