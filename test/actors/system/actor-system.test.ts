import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createActor } from "xstate";
import { type ActorSystem, type ActorView, createActorSystem } from "../../../actors/system/actor-system.js";
import { listQuestion, listSubjects } from "../../../actors/protocol/actor-messages.js";
import { readAnswer, nothing } from "../../../actors/protocol/codec.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { type Broker, createBroker, type Transport } from "../../../transport/index.js";
import { encodeMessage, InvalidOptionError, limits, seededRandom, silentLog, ZooidError } from "../../../core/index.js";
import { actorSystemSuite } from "../../suites/actor-system.js";
import { gateEvents, gateMachine, showGate } from "./gate-machine.js";

const shared = createBroker();
actorSystemSuite("an in-process transport", async () => shared.connect());

describe("actors on a simulated clock", () => {
  let clock: SimulatedClock;
  let broker: Broker;
  let inside: ActorSystem;
  let outside: ActorSystem;
  let outsideTransport: Transport;
  /** All published views. */
  let published: number;

  beforeEach(() => {
    clock = new SimulatedClock();
    broker = createBroker({ clock });
    const setup = (seed: number, transport: Transport) =>
      createActorSystem({ realm: "main", transport, clock, random: seededRandom(seed) });
    inside = setup(1, broker.connect());
    outsideTransport = broker.connect();
    outside = setup(2, outsideTransport);
    published = 0;
    broker.connect().subscribe("zooid.main.view.>", () => published++);
  });

  afterEach(() => {
    inside.close();
    outside.close();
  });

  function gateAt(path: string) {
    const gate = createActor(gateMachine);
    gate.subscribe({ error: () => undefined });
    gate.start();
    inside.register(path, gate, { accepts: gateEvents, describe: showGate });
    return gate;
  }

  function toggle(gate: ReturnType<typeof gateAt>, times: number): void {
    for (let time = 0; time < times; time++) gate.send({ type: gate.getSnapshot().matches("open") ? "CLOSE" : "OPEN" });
  }

  test("an actor is shown without its facts when its registration describes it wrongly, and that is logged", async () => {
    const warnings: object[] = [];
    const log = { ...silentLog, warn: (facts: object, message?: string) => void warnings.push({ ...facts, message }) };
    const system = createActorSystem({ realm: "main", transport: broker.connect(), clock, random: seededRandom(3), log });
    const describes: Record<string, () => never> = {
      throws: () => {
        throw new Error("no facts today");
      },
      unstorable: () => ({ facts: () => undefined }) as never,
    };
    for (const [path, describe] of Object.entries(describes)) {
      system.register(path, createActor(gateMachine).start(), { accepts: [], describe });
      const view = await clock.settle(outside.remote(path).snapshot(), 1_000);
      expect(view).toMatchObject({ path, value: "closed", context: {} });
    }
    const message = "an actor is shown without what its registration describes of it";
    expect(warnings).toMatchObject(Object.keys(describes).map((actor) => ({ actor, message })));
    expect((await clock.settle(outside.list(1_000), 5_000)).map(({ path }) => path)).toEqual(Object.keys(describes));
    system.close();
  });

  test("an unknown option, and a signal that is none, are refused at once", async () => {
    gateAt("gate");
    const remote = outside.remote("gate");
    const open = { type: "OPEN" };
    const until = { state: "open" };
    const timeout = { timeout: 5 } as never;
    const signal = { signal: {} } as never;
    const refused = [
      remote.send(open, timeout),
      remote.send(open, signal),
      remote.ask(open, { until, ...(timeout as object) }),
      remote.waitFor({ ...until, ...(timeout as object) }),
      remote.waitFor({ ...until, ...(signal as object) }),
      remote.snapshot(timeout),
      remote.machine(signal),
    ];
    for (const each of refused) await expect(each).rejects.toThrow(InvalidOptionError);
    expect((await clock.settle(remote.snapshot(), 1_000)).value).toBe("closed");
  });

  test("nothing is published without a watcher", async () => {
    toggle(gateAt("gate"), 10);
    await clock.advance(1_000);
    expect(published).toBe(0);
  });

  test("a watch is renewed for as long as it lasts", async () => {
    const gate = gateAt("gate");
    const views: ActorView[] = [];
    outside.remote("gate").subscribe((view) => views.push(view));
    await clock.advance(10 * limits.actorLeaseMs);
    views.length = 0;
    toggle(gate, 1);
    await clock.advance(1);
    expect(views.map((view) => view.value)).toEqual(["open"]);
  });

  test("publishing to a watcher that vanished ends with its lease", async () => {
    const gate = gateAt("gate");
    outside.remote("gate").subscribe(() => undefined);
    await clock.advance(1);
    await outsideTransport.close();
    toggle(gate, 1);
    await clock.advance(limits.actorLeaseMs + 1);
    expect(published).toBe(1);
    toggle(gate, 5);
    await clock.advance(1);
    expect(published).toBe(1);
  });

  test("an actor that changes faster than its bound shows the last change at the end of the second", async () => {
    const gate = gateAt("gate");
    const views: ActorView[] = [];
    outside.remote("gate").subscribe((view) => views.push(view));
    await clock.advance(1);
    toggle(gate, 5_001);
    await clock.advance(1_000);
    expect(published).toBe(limits.actorViewsPerSecondMax + 1);
    expect(views.at(-1)?.value).toBe("open");
  });

  test("a watcher is notified of a lost link, and gets the current view when the link is back", async () => {
    const gate = gateAt("gate");
    const views: ActorView[] = [];
    const lost: string[] = [];
    outside.remote("gate").subscribe(
      (view) => views.push(view),
      (error) => lost.push(error.code),
    );
    await clock.advance(1);
    broker.stop();
    toggle(gate, 1);
    await clock.advance(limits.actorLeaseRenewalMs);
    expect(lost).toEqual(["ZOOID_DISCONNECTED"]);
    broker.start();
    await clock.advance(1);
    expect(views.map((view) => view.value)).toEqual(["closed", "open"]);
  });

  test("a watch of an address without an actor shows the actor once it is registered", async () => {
    const views: ActorView[] = [];
    const lost: string[] = [];
    outside.remote("gate").subscribe(
      (view) => views.push(view),
      (error) => lost.push(error.message),
    );
    await clock.advance(1);
    expect(lost).toEqual(['no process of realm "main" has an actor at gate']);
    gateAt("gate");
    await clock.advance(limits.actorLeaseRenewalMs);
    expect(views.map((view) => view.value)).toEqual(["closed"]);
  });

  test("a view that arrives after a newer one is not shown", async () => {
    const gate = gateAt("gate");
    const copies: Uint8Array[] = [];
    const tap = broker.connect();
    tap.subscribe("zooid.main.view.gate", ({ payload }) => copies.push(payload));
    const views: ActorView[] = [];
    outside.remote("gate").subscribe((view) => views.push(view));
    await clock.advance(1);
    toggle(gate, 2);
    await clock.advance(1);
    tap.publish("zooid.main.view.gate", copies[0] ?? new Uint8Array());
    await clock.advance(1);
    expect(views.map((view) => view.value)).toEqual(["closed", "open", "closed"]);
  });

  test("an actor that fails is shown as failed and takes no more events", async () => {
    const gate = gateAt("gate");
    const views: ActorView[] = [];
    outside.remote("gate").subscribe((view) => views.push(view));
    await clock.advance(1);
    gate.send({ type: "BREAK" });
    await clock.advance(1);
    expect(views.at(-1)).toMatchObject({ status: "error", failure: "the gate broke" });
    await expect(clock.settle(outside.remote("gate").send({ type: "OPEN" }), 1_000)).rejects.toMatchObject({
      code: "ZOOID_ACTOR_ENDED",
      facts: { actor: "gate", status: "error", reason: "the gate broke" },
    });
  });

  test("a list is answered in steps; questions that arrive meanwhile get the next list together, up to a bound", async () => {
    const looks = { all: 0, ofStep: 0, longestStep: 0, step: 0 };
    // Each view takes a millisecond.
    const working = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + looks.all,
      setTimeout: (action: () => void, delayMs: number) => clock.setTimeout(action, delayMs),
      clearTimeout: (timer: unknown) => clock.clearTimeout(timer),
    };
    const system = createActorSystem({ realm: "main", transport: broker.connect(), clock: working, random: seededRandom(3) });
    const describe = () => {
      looks.ofStep = looks.step === clock.steps ? looks.ofStep + 1 : 1;
      looks.step = clock.steps;
      looks.longestStep = Math.max(looks.longestStep, looks.ofStep);
      return { looks: ++looks.all };
    };
    for (let n = 0; n < 100; n++) system.register(`many/${n}`, createActor(gateMachine), { accepts: [], describe });
    const answers = new Map<string, number>();
    const asker = broker.connect();
    asker.subscribe("zooid.main.listed.*", ({ subject }) => answers.set(subject, (answers.get(subject) ?? 0) + 1));
    for (let n = 0; n < 1_000; n++) asker.publish(listSubjects("main").ask, listQuestion.write(`q${n}`));
    await clock.advance(1_000);
    expect([...answers.values()]).toEqual(Array.from({ length: 1 + limits.actorListQuestionsMax }, () => 100));
    expect(looks).toMatchObject({ all: 200, longestStep: limits.pruningStepMsMax });
    asker.publish(listSubjects("main").ask, listQuestion.write("later"));
    await clock.advance(1_000);
    expect(answers.get("zooid.main.listed.later")).toBe(100);
    system.close();
  });

  test("the actors of all processes of the realm are listed, by path", async () => {
    gateAt("b/gate");
    outside.register("a/gate", createActor(gateMachine).start(), { accepts: [] });
    const views = await clock.settle(inside.list(200), 1_000);
    expect(views.map((view) => [view.path, view.value])).toEqual([
      ["a/gate", "closed"],
      ["b/gate", "closed"],
    ]);
  });

  test("any bytes are answered with a typed error, and the actor stays as it is", async () => {
    const gate = gateAt("gate");
    const random = seededRandom(7);
    const any = (max: number) => Math.floor(random.fraction() * max);
    const wellFormed = encodeMessage(["take", "r", false, "", 0, { type: "OPEN" }, null, 1]);
    const messages: Uint8Array[] = [
      new Uint8Array(),
      new Uint8Array(limits.actorEventBytesMax + 1),
      encodeMessage(["take"]),
      encodeMessage(["take", "r", false, "", 0, { type: 1 }, null, 1]),
      encodeMessage(["take", "r", false, "", 0, "OPEN", null, 1]),
      encodeMessage(["take", "r", false, "", 0, ["OPEN"], null, 1]),
      encodeMessage(["take", "r", false, "", 0, { type: "OPEN" }, null, 1, 1]),
      encodeMessage(["take", "r", false, "", 0, null, null, 1]),
      encodeMessage(["take", "r", false, "", 0, { type: "OPEN" }, {}, 1]),
      encodeMessage(["take", "r", false, "", 0, { type: "OPEN" }, { state: "open", tag: "open" }, 1]),
      encodeMessage(["take", "r", false, "", 0, { type: "OPEN" }, { state: "elsewhere" }, 1]),
      encodeMessage(["take", "r", false, "", 0, { type: "OPEN" }, { state: 1 }, 1]),
      encodeMessage(["take", "", true, "", -1, { type: "OPEN" }, null, 1]),
      encodeMessage(["alive", "r"]),
      encodeMessage(["jump", { type: "OPEN" }]),
      encodeMessage({ type: "OPEN" }),
    ];
    for (let length = 0; length < wellFormed.length; length++) messages.push(wellFormed.subarray(0, length));
    for (let round = 0; round < 2_000; round++) messages.push(Uint8Array.from({ length: any(40) }, () => any(256)));
    const stranger = broker.connect();
    for (const message of messages) {
      const answer = await stranger.request("zooid.main.actor.gate", message, { timeoutMs: 1_000 });
      expect(() => readAnswer(nothing, answer)).toThrow(ZooidError);
      // A flood of bytes on the subject of its views has no effect.
      stranger.publish("zooid.main.view.gate", message);
    }
    expect(gate.getSnapshot().value).toBe("closed");
  });

  test("a malformed view is not shown", async () => {
    gateAt("gate");
    const views: ActorView[] = [];
    outside.remote("gate").subscribe((view) => views.push(view));
    await clock.advance(1);
    broker.connect().publish("zooid.main.view.gate", encodeMessage(["gate", "gate", "active", "open"]));
    await clock.advance(1);
    expect(views.map((view) => view.value)).toEqual(["closed"]);
  });
});
