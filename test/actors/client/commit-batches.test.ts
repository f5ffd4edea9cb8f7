/** The machine of a client's commits, as it is watched while commits are under way. */
import { AsyncLocalStorage } from "node:async_hooks";
import { afterEach, describe, expect, test } from "vitest";
import { openObjectClient, type ObjectClient } from "../../../actors/client/object-client.js";
import { startStorageServer } from "../../../actors/server/server.js";
import { createActorSystem, type ActorSystem } from "../../../actors/system/actor-system.js";
import { type Clock, DisconnectedError, seededRandom, silentLog } from "../../../core/index.js";
import { FaultyNetwork } from "../../../testing/faulty-network.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { TestDisk } from "../../support/server-world.js";
import { TappedTransport } from "../../support/tapped-transport.js";
import { watched } from "../../support/watched.js";

const clients: ObjectClient[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.kill();
});

let seed = 0;

/** A client whose actors are in a system, and the states that its `committing` has had. */
async function world(clockOfClient = (timers: Clock): Clock => timers) {
  const clock = new SimulatedClock();
  const network = new FaultyNetwork({ clock, random: seededRandom(++seed) });
  const run = <T>(promise: Promise<T>) => clock.settle(promise, 60_000);
  const seams = { realm: "test", clock, random: seededRandom(seed), log: silentLog };
  const storages = { main: { open: new TestDisk("main").open } };
  await run(startStorageServer({ ...seams, storages, transport: network.connect("server") }));
  const link = network.connect("client");
  const transport = new TappedTransport(link);
  const real = createActorSystem({ ...seams, transport: network.connect("system") });
  const states: unknown[] = [];
  const system: ActorSystem = {
    register: (path, actor, exposed) => {
      if (path === "client/a/committing")
        actor.subscribe(({ value }: { value: unknown }) => {
          if (value !== states.at(-1)) states.push(value);
        });
      return real.register(path, actor, exposed);
    },
    spawn: (path, logic, ...options) => real.spawn(path, logic, ...options),
    onFailure: (listener) => real.onFailure(listener),
    fromRemote: (path, options) => real.fromRemote(path, options),
    remote: (path) => real.remote(path),
    list: (waitMs) => real.list(waitMs),
    watchRecord: (listener) => real.watchRecord(listener),
    notes: real.notes,
    close: () => real.close(),
  };
  const timers: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimeout: (action, delayMs) => clock.setTimeout(action, delayMs),
    clearTimeout: (timer) => clock.clearTimeout(timer),
  };
  const opening = openObjectClient({
    ...seams,
    clock: clockOfClient(timers),
    storage: "main",
    client: "a",
    transport,
    cache: undefined,
    system,
    waitTimeoutMs: 5_000,
    requestTimeoutMs: 2_000,
  });
  const client = await run(opening);
  clients.push(client);
  await run(client.put("x", 0));
  await clock.advance(10);
  states.length = 0;
  return { clock, run, link, transport, system, client, states };
}

/** Operations of the transport wait until `release` is called. */
function gate() {
  let release = (): void => undefined;
  const open = new Promise<void>((resolve) => (release = resolve));
  return { open, release: () => release() };
}

describe("the commits of a client", () => {
  test("are shown with two changes of state, however many they are", async () => {
    const { clock, run, client, states } = await world();
    const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`);
    await run(Promise.all(keys.map((key) => client.put(key, 1))));
    for (const key of keys.slice(0, 5)) await run(client.put(key, 2));
    expect(states).toEqual(["waiting"]);
    await clock.advance(10);
    expect(states).toEqual(["waiting", "idle"]);
  });

  test("are shown at an address and in the status, with their numbers", async () => {
    const { clock, run, transport, system, client } = await world();
    const held = gate();
    transport.heldAnswers.set("commit", held.open);
    const puts = Promise.all([client.put("x", 1), client.put("y", 1)]);
    await clock.advance(100);
    const view = (await run(system.list(100))).find(({ path }) => path === "client/a/committing");
    expect(view).toMatchObject({ value: "waiting", context: { storage: "main", unsent: 0, unanswered: 2 } });
    expect(client.status()).toMatchObject({ machines: { committing: "waiting" }, inFlight: { commits: 2 } });
    held.release();
    await run(puts);
    expect(client.status().inFlight.commits).toBe(0);
    await clock.advance(10);
    expect(client.status().machines).toMatchObject({ committing: "idle" });
  });

  test("wait in `sending` for the link, and end there when it does not come", async () => {
    const { clock, run, link, client, states } = await world();
    link.cut();
    await clock.advance(1);
    const put = watched(client.put("x", 1));
    await clock.advance(1_000);
    expect(client.status()).toMatchObject({ machines: { committing: "sending" }, inFlight: { commits: 1 } });
    await expect(run(put.promise)).rejects.toThrow(DisconnectedError);
    expect(states).toEqual(["sending", "idle"]);
    const second = client.put("x", 2);
    await clock.advance(1_000);
    link.mend();
    await run(second);
    expect(states).toEqual(["sending", "idle", "sending", "waiting"]);
  });

  test("leave it when their answer is lost: each is settled by a machine of its own", async () => {
    const { clock, run, transport, client, states } = await world();
    const held = gate();
    transport.deaf.add("commit");
    transport.held.set("settle", held.open);
    const put = watched(client.put("x", 1));
    await clock.advance(100);
    expect(states).toEqual(["waiting", "idle"]);
    expect(Object.values(client.status().machines)).toContain('{"inDoubt":"settling"}');
    expect(client.status().inFlight.commits).toBe(1);
    held.release();
    expect(await run(put.promise)).toBe(client.position.tid);
  });

  test("that begin without a link, while others wait for their answers, are shown within 10 ms", async () => {
    const { clock, link, transport, client, states } = await world();
    const held = gate();
    transport.heldAnswers.set("commit", held.open);
    const first = watched(client.put("x", 1));
    await clock.advance(1);
    link.cut();
    await clock.advance(1);
    const second = watched(client.put("y", 1));
    await clock.advance(10);
    expect(states.at(-1)).toBe("sending");
    client.kill();
    held.release();
    await clock.advance(10);
    expect([first.state, second.state]).toEqual(["failed", "failed"]);
  });

  test("that end after their client was killed do not disturb its ended machine", async () => {
    const { clock, transport, client, states } = await world();
    const held = gate();
    transport.heldAnswers.set("commit", held.open);
    const put = watched(client.put("x", 1));
    await clock.advance(10);
    client.kill();
    held.release();
    await clock.advance(10_000);
    expect(put.state).toBe("failed");
    expect(states).toEqual(["waiting", "closed"]);
  });

  test("leave no timer in the context of their callers", async () => {
    const requests = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const { clock, run, client } = await world((timers) => ({
      ...timers,
      setTimeout: (action, delayMs) => {
        seen.push(requests.getStore());
        return timers.setTimeout(action, delayMs);
      },
    }));
    seen.length = 0;
    await run(requests.run("request", () => client.put("x", 1)));
    await clock.advance(10);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).not.toContain("request");
  });
});
