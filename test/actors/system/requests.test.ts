import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createActor } from "xstate";
import { type ActorSystem, createActorSystem } from "../../../actors/system/actor-system.js";
import { RequestMemory } from "../../../actors/system/request-memory.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { type Broker, createBroker, type Transport } from "../../../transport/index.js";
import { limits, seededRandom, type ZooidError } from "../../../core/index.js";
import { gateEvents, gateMachine, showGate } from "./gate-machine.js";

describe("requests whose answers or links are lost", () => {
  let clock: SimulatedClock;
  let broker: Broker;
  let inside: ActorSystem;
  let outside: ActorSystem;
  /** Loses the answers of the process with the actor while it is true. */
  let losesAnswers: boolean;
  /** The process with the actor takes no messages while it is true. */
  let isSuspended: boolean;

  beforeEach(() => {
    clock = new SimulatedClock();
    broker = createBroker({ clock });
    losesAnswers = false;
    isSuspended = false;
    inside = systemOver(1, withFaults(broker.connect()));
    outside = systemOver(2, broker.connect());
  });

  afterEach(() => {
    inside.close();
    outside.close();
  });

  function systemOver(seed: number, transport: Transport): ActorSystem {
    return createActorSystem({ realm: "main", transport, clock, random: seededRandom(seed) });
  }

  function withFaults(transport: Transport): Transport {
    const subscribe: Transport["subscribe"] = (subject, handler, options) =>
      transport.subscribe(
        subject,
        (message) => {
          if (isSuspended) return;
          const { reply } = message;
          handler({ ...message, reply: reply && ((bytes) => (losesAnswers ? undefined : reply(bytes))) });
        },
        options,
      );
    return new Proxy(transport, {
      get: (target, name) => {
        const value: unknown = name === "subscribe" ? subscribe : Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  function gateAt(path: string, system = inside) {
    const gate = createActor(gateMachine).start();
    gate.send({ type: "OPEN" });
    const end = system.register(path, gate, { accepts: gateEvents, describe: showGate });
    return { gate, end };
  }

  const codeOf = (sent: Promise<unknown>) =>
    sent.then(
      () => "resolved",
      ({ code }: ZooidError) => code,
    );

  test("an event reaches an actor for which as many requests wait as may, and answers them", async () => {
    gateAt("gate");
    const remote = outside.remote<typeof gateMachine>("gate");
    const waiting = Array.from({ length: limits.actorRequestsWaitingMax }, () => remote.waitFor({ state: "closed", timeoutMs: Infinity }));
    await expect(remote.waitFor({ state: "closed" })).rejects.toMatchObject({ code: "ZOOID_SERVER_BUSY" });
    await remote.send({ type: "CLOSE" });
    const views = await Promise.all(waiting);
    expect(views.every(({ value }) => value === "closed")).toBe(true);
  });

  test("an event whose answer is lost is processed once, and send resolves with the answer to a repeat", async () => {
    const { gate } = gateAt("gate");
    const remote = outside.remote("gate");
    losesAnswers = true;
    const sent = remote.send({ type: "COUNT" });
    await clock.advance(10);
    expect(gate.getSnapshot().context.passed).toBe(1);
    losesAnswers = false;
    await clock.settle(sent, limits.heartbeatTimeoutMs);
    expect(gate.getSnapshot().context.passed).toBe(1);
  });

  test("an event is sent again over a new link, and is processed once", async () => {
    const { gate } = gateAt("gate");
    const remote = outside.remote("gate");
    await clock.settle(remote.send({ type: "COUNT" }), 100);
    losesAnswers = true;
    const sent = remote.send({ type: "COUNT" });
    await clock.advance(1);
    broker.stop();
    await clock.advance(500);
    losesAnswers = false;
    broker.start();
    await clock.settle(sent, 100);
    expect(gate.getSnapshot().context.passed).toBe(2);
  });

  test("a repeat is refused when the system cannot know whether it had the event", async () => {
    const { gate, end } = gateAt("gate");
    const remote = outside.remote("gate");
    await clock.settle(remote.send({ type: "COUNT" }), 100);
    losesAnswers = true;
    const sent = codeOf(remote.send({ type: "COUNT" }));
    await clock.advance(1);
    // Another process takes the address over: it cannot know what the first one took.
    end();
    inside.close();
    const other = gateAt("gate", systemOver(3, broker.connect()));
    expect(await clock.settle(sent, limits.heartbeatTimeoutMs)).toBe("ZOOID_ACTOR_LOST");
    expect([gate.getSnapshot().context.passed, other.gate.getSnapshot().context.passed]).toEqual([2, 0]);
  });

  test("a process that hangs is lost within the heartbeat time-out: for a send, an ask, a wait and a subscription", async () => {
    gateAt("gate");
    const remote = outside.remote<typeof gateMachine>("gate");
    const lost: string[] = [];
    remote.subscribe(
      () => undefined,
      ({ code }) => lost.push(code),
    );
    await clock.settle(remote.send({ type: "COUNT" }), 100);
    isSuspended = true;
    const all = Promise.all([
      codeOf(remote.send({ type: "COUNT" })),
      codeOf(remote.ask({ type: "COUNT" }, { until: { state: "closed" }, timeoutMs: Infinity })),
      codeOf(remote.waitFor({ state: "closed", timeoutMs: Infinity })),
      codeOf(remote.snapshot()),
    ]);
    expect(await clock.settle(all, limits.heartbeatTimeoutMs + limits.heartbeatIntervalMs)).toEqual(Array(4).fill("ZOOID_ACTOR_LOST"));
    expect(lost).toEqual(["ZOOID_ACTOR_LOST"]);
    await clock.advance(60_000);
    expect(lost).toEqual(["ZOOID_ACTOR_LOST"]);
  });

  test("a loss is noticed within the heartbeat time-out, also soon after an answer", async () => {
    gateAt("gate");
    const remote = outside.remote<typeof gateMachine>("gate");
    const waiting = codeOf(remote.waitFor({ state: "closed", timeoutMs: Infinity }));
    await clock.settle(remote.send({ type: "COUNT" }), 100);
    isSuspended = true;
    await clock.advance(3);
    const sent = codeOf(remote.send({ type: "COUNT" }));
    const all = Promise.all([waiting, sent]);
    expect(await clock.settle(all, limits.heartbeatTimeoutMs + limits.heartbeatIntervalMs / 20)).toEqual(Array(2).fill("ZOOID_ACTOR_LOST"));
  });

  test("a request that begins after a long silence has the whole heartbeat time-out", async () => {
    const { gate } = gateAt("gate");
    const remote = outside.remote("gate");
    remote.subscribe(() => undefined);
    await clock.settle(remote.send({ type: "COUNT" }), 100);
    isSuspended = true;
    await clock.advance(60_000 + limits.heartbeatIntervalMs / 2);
    const sent = codeOf(remote.send({ type: "COUNT" }));
    await clock.advance(limits.heartbeatTimeoutMs - limits.heartbeatIntervalMs);
    isSuspended = false;
    expect(await clock.settle(sent, limits.heartbeatIntervalMs)).toBe("resolved");
    expect(gate.getSnapshot().context.passed).toBe(2);
  });

  test("a long wait for a state lasts while the process answers heartbeats, and costs one request in 30 seconds", async () => {
    const { gate } = gateAt("gate");
    const remote = outside.remote<typeof gateMachine>("gate");
    let requests = 0;
    broker.connect().subscribe("zooid.main.actor.gate", () => requests++);
    const asked = remote.ask({ type: "COUNT" }, { until: { state: "closed" }, timeoutMs: "1h" });
    await clock.advance(10 * 60_000);
    expect(gate.getSnapshot().context.passed).toBe(1);
    gate.send({ type: "CLOSE" });
    expect((await clock.settle(asked, 100)).value).toBe("closed");
    const heartbeats = 600;
    expect(requests - heartbeats).toBeLessThanOrEqual(21);
  });

  test("a wait that its process gave up is forgotten there", async () => {
    const { gate } = gateAt("gate");
    const asker = broker.connect();
    const remote = systemOver(4, asker).remote<typeof gateMachine>("gate");
    const asked = codeOf(remote.waitFor({ state: "closed", timeoutMs: "1h" }));
    await clock.advance(1);
    await asker.close();
    expect(await asked).toBe("ZOOID_CLOSED");
    const following = () => (gate as unknown as { readonly observers: ReadonlySet<unknown> }).observers.size;
    const before = following();
    await clock.advance(limits.actorRequestRenewalMs + limits.heartbeatTimeoutMs);
    expect(following()).toBe(before - 1);
  });

  test("a system that is closed ends its requests and watches", async () => {
    gateAt("gate");
    const asked = codeOf(outside.remote<typeof gateMachine>("gate").waitFor({ state: "closed", timeoutMs: Infinity }));
    await clock.advance(1);
    outside.close();
    expect(await asked).toBe("ZOOID_CLOSED");
  });
});

describe("the memory of requests", () => {
  const answerOf = (memory: RequestMemory, id: string) => {
    const answers: Uint8Array[] = [];
    return [memory.repeat(id, (answer) => answers.push(answer)), answers.length];
  };

  test("the oldest answers are forgotten above the bound, and requests that wait are not", () => {
    const memory = new RequestMemory();
    memory.take("waits", () => undefined);
    for (let n = 0; n < limits.actorRequestsRememberedMax + 5; n++) {
      memory.take(`r${n}`, () => undefined);
      memory.answer(`r${n}`, new Uint8Array(1));
    }
    expect(answerOf(memory, "r4")).toEqual([false, 0]);
    expect(answerOf(memory, "r5")).toEqual([true, 1]);
    expect(answerOf(memory, "waits")).toEqual([true, 0]);
    expect([memory.remembersAfter(5), memory.remembersAfter(6)]).toEqual([false, true]);
  });

  test("large answers are forgotten when their bytes are above the bound", () => {
    const memory = new RequestMemory();
    for (const id of ["a", "b", "c"]) {
      memory.take(id, () => undefined);
      memory.answer(id, new Uint8Array(limits.actorAnswersBytesMax / 2));
    }
    expect([answerOf(memory, "a"), answerOf(memory, "b"), answerOf(memory, "c")]).toEqual([
      [false, 0],
      [true, 1],
      [true, 1],
    ]);
    expect([memory.remembersAfter(0), memory.remembersAfter(1)]).toEqual([false, true]);
  });
});
