/**
 * The model that watchers make of frames equals the actors themselves, and a recording replays to the same model: in
 * simulated runs with lost, doubled and overtaken messages, late and lost watchers, and more events than are recorded.
 */
import { describe, expect, test } from "vitest";
import { type AnyActorRef, assign, createActor, fromPromise, setup } from "xstate";
import { type ActorSystem, createActorSystem } from "../../../actors/system/actor-system.js";
import { applyEntry, emptyModel } from "../../../actors/record/model.js";
import { summaryOf } from "../../../actors/record/model-summary.js";
import { readRecording, recordingEnd, recordingEntry, recordingHead } from "../../../actors/record/recording.js";
import type { RecordEntry } from "../../../actors/record/frames.js";
import { openObjectClient } from "../../../actors/client/object-client.js";
import { startStorageServer } from "../../../actors/server/server.js";
import { limits, type Random, seededRandom, silentLog } from "../../../core/index.js";
import { FaultyNetwork } from "../../../testing/faulty-network.js";
import type { NetworkEnd } from "../../../testing/network-end.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { TestDisk } from "../../support/server-world.js";
import { seenIn, seenOf, watched } from "./watched.js";

const seeds = Array.from({ length: 200 }, (_, index) => index + 1);
const seedsAtOnce = 20;
/** Simulated time with faults, in ms. */
const stormMs = 4_500;

const stormy = { delayMsMin: 0.1, delayMsMax: 8, loss: 0.03, duplication: 0.02, straying: 0.02, strayDelayMsMax: 60 };
const calm = { delayMsMin: 0.1, delayMsMax: 0.5, loss: 0, duplication: 0, straying: 0, strayDelayMsMax: 0 };

const isActive = (actor: AnyActorRef): boolean => (actor.getSnapshot() as { status: string }).status === "active";

const childMachine = setup({ types: { events: {} as { type: "FLIP" } } }).createMachine({
  id: "child",
  initial: "a",
  states: { a: { on: { FLIP: "b" } }, b: { on: { FLIP: "a" }, after: { 700: "done" } }, done: { type: "final" } },
});

/** A machine with all that changes the set of actors: children that come, go, end and fail, and timers. */
const workMachine = setup({
  types: {
    context: {} as { readonly children: readonly AnyActorRef[] },
    events: {} as { type: "GO" } | { type: "SPAWN" } | { type: "FLIP" } | { type: "FAIL" } | { type: "END" },
  },
  actors: {
    child: childMachine,
    work: fromPromise<number, { isLucky: boolean }>(({ input }) =>
      input.isLucky ? Promise.resolve(1) : Promise.reject(new Error("bad luck")),
    ),
  },
  actions: {
    breakDown: () => {
      throw new Error("it broke");
    },
  },
}).createMachine({
  id: "work",
  context: { children: [] },
  initial: "idle",
  on: {
    SPAWN: {
      actions: assign({ children: ({ context, spawn }) => [...context.children, spawn("child", { id: `c${context.children.length}` })] }),
    },
    FLIP: { actions: ({ context }) => context.children.filter(isActive).at(-1)?.send({ type: "FLIP" }) },
    FAIL: { actions: "breakDown" },
    END: ".ended",
  },
  states: {
    idle: { on: { GO: "working" }, after: { 400: "watching" } },
    working: { invoke: { src: "work", input: { isLucky: true }, onDone: "trying", onError: "idle" } },
    trying: { invoke: { src: "work", input: { isLucky: false }, onDone: "idle", onError: "watching" } },
    watching: { type: "parallel", states: { left: { invoke: { src: "child" } }, right: {} }, on: { GO: "idle" }, after: { 900: "idle" } },
    ended: { type: "final" },
  },
});

/** A process with actors. */
class Host {
  readonly system: ActorSystem;
  readonly end: NetworkEnd;
  readonly registered = new Map<string, AnyActorRef>();
  readonly #hides = new Map<string, () => void>();
  readonly #random: Random;
  readonly #timers: SimulatedClock;
  readonly #name: string;
  #count = 0;

  constructor(name: string, network: FaultyNetwork, clock: SimulatedClock, timers: SimulatedClock, seed: number) {
    this.#name = name;
    this.#timers = timers;
    this.#random = seededRandom(seed);
    this.end = network.connect(name);
    this.system = createActorSystem({ realm: "main", transport: this.end, clock, random: seededRandom(seed + 1), log: silentLog });
  }

  /** Does something that changes its actors. */
  act(): void {
    const paths = [...this.registered.keys()];
    const path = paths[Math.floor(this.#random.fraction() * paths.length)];
    const actor = path === undefined ? undefined : this.registered.get(path);
    const choice = this.#random.fraction();
    if (path === undefined || actor === undefined || choice < 0.12) this.#register();
    else if (choice < 0.17) this.#end(path);
    else if (choice < 0.2) this.#send(actor, "FAIL");
    else if (choice < 0.22) this.#send(actor, "END");
    else if (choice < 0.23) this.#burst(actor);
    else this.#send(actor, (["GO", "SPAWN", "FLIP", "GO"] as const)[Math.floor(this.#random.fraction() * 4)] ?? "GO");
  }

  #register(): void {
    const path = `${this.#name}/work-${this.#count++}`;
    const actor = createActor(workMachine, { clock: this.#timers });
    actor.subscribe({ error: () => undefined });
    const hide = this.system.register(path, actor, { accepts: [] });
    actor.start();
    this.registered.set(path, actor);
    this.#hides.set(path, hide);
    const child = Object.values(actor.getSnapshot().children)[0];
    if (child === undefined || this.#random.fraction() < 0.8) return;
    const childPath = `${path}-child`;
    this.#hides.set(childPath, this.system.register(childPath, child as AnyActorRef, { accepts: [] }));
    this.registered.set(childPath, child as AnyActorRef);
  }

  #end(path: string): void {
    this.#hides.get(path)?.();
    this.registered.delete(path);
  }

  #send(actor: AnyActorRef, type: string): void {
    if (isActive(actor)) actor.send({ type });
  }

  /** More events than a second's record has room for. */
  #burst(actor: AnyActorRef): void {
    for (let time = 0; time < limits.recordEventsPerSecondMax * 0.6; time++) this.#send(actor, "GO");
  }
}

async function simulate(seed: number) {
  const clock = new SimulatedClock();
  // The timers of the actors stand still at the end: a model is some milliseconds behind actors that go on.
  const timers = new SimulatedClock();
  const random = seededRandom(seed);
  const network = new FaultyNetwork({ clock, random: seededRandom(seed + 1_000), profile: stormy });
  const hosts = ["h1", "h2"].map((name, index) => new Host(name, network, clock, timers, seed * 10 + index));
  const watchers: { readonly end: NetworkEnd; readonly name: string; readonly watch: ReturnType<typeof watched> }[] = [];
  const join = (name: string) => {
    const end = network.connect(name);
    const system = createActorSystem({
      realm: "main",
      transport: end,
      clock,
      random: seededRandom(seed + watchers.length + 77),
      log: silentLog,
    });
    watchers.push({ end, name, watch: watched(system) });
  };
  const joinsAt = [0, stormMs * 0.5 * random.fraction(), stormMs * 0.8 * random.fraction()];
  const lostAt = stormMs * (0.2 + 0.4 * random.fraction());
  let isCut = false;
  for (let at = 0; at < stormMs; at += 60) {
    for (const [index, time] of joinsAt.entries()) if (at >= time && watchers.length === index) join(`w${index}`);
    const [first] = watchers;
    if (first !== undefined && !isCut && at >= lostAt) {
      isCut = true;
      if (seed % 2 === 0) first.end.cut();
      else network.deafen(first.name);
    }
    if (isCut && at >= lostAt + 1_200 && network.profile === stormy && first !== undefined) {
      if (seed % 2 === 0) first.end.mend();
      else network.heal();
      isCut = false;
    }
    for (const host of hosts) if (random.fraction() < 0.5) host.act();
    await timers.advance(60);
    await clock.advance(60);
  }
  network.profile = calm;
  network.heal();
  watchers[0]?.end.mend();
  const left = () => watchers.map(({ watch }) => [...watch.model.instances.values()].reduce((sum, each) => sum + each.left.events, 0));
  // Until the last lost frame is noticed, and the snapshot after it is there.
  await clock.advance(limits.recordLostMs + 8_000);
  return { clock, hosts, watchers, left };
}

/** The model of the entries as a recording keeps them. */
async function replayed(entries: readonly RecordEntry[]) {
  const file = Buffer.concat([
    recordingHead({ realm: "main", startedAt: 0 }),
    ...entries.map(recordingEntry),
    recordingEnd(entries.length),
  ]);
  const model = emptyModel();
  async function* chunks() {
    yield file;
  }
  for await (const part of readRecording(chunks())) if (part.type === "entry") applyEntry(model, part.entry);
  return model;
}

/** As `toEqual`, which takes most of the time of these tests, only for a difference. */
function expectSame(one: unknown, other: unknown, message: string): void {
  if (JSON.stringify(one) !== JSON.stringify(other)) expect(one, message).toEqual(other);
}

describe("over simulated runs", () => {
  let gaps = 0;
  let leftOut = 0;

  test.each(Array.from({ length: seeds.length / seedsAtOnce }, (_, index) => seeds.slice(index * seedsAtOnce, (index + 1) * seedsAtOnce)))(
    "the model from frames equals the actors, and so does its replay: seeds %i to …",
    async (...these) => {
      for (const seed of these) {
        const { hosts, watchers, left } = await simulate(seed);
        const actual = hosts
          .flatMap(({ registered }) => seenOf(registered))
          .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
        for (const { name, watch } of watchers) {
          const states = [...watch.model.instances.values()].map(({ state }) => state);
          expect(states, `seed ${seed}, ${name}`).toEqual(states.map(() => "live"));
          expect(seenIn(watch.model), `seed ${seed}, ${name}`).toEqual(actual);
          expectSame(summaryOf(await replayed(watch.entries)), summaryOf(watch.model), `the replay of seed ${seed}, ${name}`);
          gaps += [...watch.model.instances.values()].reduce((sum, each) => sum + each.gaps, 0);
        }
        leftOut += left().reduce((sum, each) => sum + each, 0);
        for (const host of hosts) host.system.close();
      }
    },
  );

  test("frames were lost, and events were left out", () => {
    expect(gaps).toBeGreaterThan(seeds.length);
    expect(leftOut).toBeGreaterThan(seeds.length);
  });
});

test("the recording of a failover from one server to the next replays to the identical model", async () => {
  const clock = new SimulatedClock();
  const network = new FaultyNetwork({ clock, random: seededRandom(5) });
  const run = <T>(promise: Promise<T>) => clock.settle(promise, 60_000);
  let seed = 50;
  const seams = (name: string) => {
    const transport = network.connect(name);
    const own = { realm: "main", clock, random: seededRandom(++seed), log: silentLog, transport };
    return { ...own, system: createActorSystem(own) };
  };
  const disk = new TestDisk("main");
  const serve = (name: string) => run(startStorageServer({ ...seams(name), storages: { main: { open: disk.open } } }));
  const first = await serve("first");
  const client = await run(openObjectClient({ ...seams("client"), storage: "main", client: "c", cache: undefined, waitTimeoutMs: 20_000 }));
  const watch = watched(seams("watcher").system);
  await clock.advance(200);
  await run(client.put("x", 1));
  await run(first.close());
  const second = await serve("second");
  await run(client.put("x", 2));
  await clock.advance(3_000);
  const connection = watch.actors().find(({ path }) => path === "client/c/connection");
  expect(connection?.value).toEqual({ attached: { linked: { connected: "readWrite" } } });
  const states = watch.of("transition").flatMap(({ path, after }) => (path === "client/c/connection" ? [JSON.stringify(after)] : []));
  expect(states).toContain('{"attached":{"linked":"verifying"}}');
  expect([...watch.model.commits].map(({ places }) => [...places.keys()])).toEqual([["client/c"], ["client/c"]]);
  const again = await replayed(watch.entries);
  expect(summaryOf(again)).toEqual(summaryOf(watch.model));
  client.kill();
  second.kill();
});
