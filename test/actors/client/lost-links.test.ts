/** Outcomes of calls when the server's link, its session or a message is lost for a moment. */
import { afterEach, describe, expect, test } from "vitest";
import { openObjectClient, type ObjectClient } from "../../../actors/client/object-client.js";
import type { ObjectClientOptions } from "../../../actors/client/options.js";
import type { UntypedSchema } from "../../../actors/protocol/schema.js";
import { startStorageServer, type StorageServerOptions } from "../../../actors/server/server.js";
import { FaultyNetwork } from "../../../testing/faulty-network.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { ClosedError, seededRandom, silentLog, TimeoutError, type Log } from "../../../core/index.js";
import { all, clientWorld, type ClientWorld } from "../../support/client-world.js";
import { TestDisk } from "../../support/server-world.js";
import { watched } from "../../support/watched.js";

const clients: ObjectClient[] = [];
const worlds: ClientWorld[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.kill();
  for (const world of worlds.splice(0)) world.end();
});

let seed = 0;

/** Servers and clients, each with a link that can be cut. */
function setup() {
  const clock = new SimulatedClock();
  const network = new FaultyNetwork({ clock, random: seededRandom(++seed) });
  const run = <T>(promise: Promise<T>) => clock.settle(promise, 60_000);
  const seams = () => ({ realm: "test", clock, random: seededRandom(++seed) });
  return {
    clock,
    network,
    run,
    async serve(storage: string, options: Partial<StorageServerOptions> = {}, disk = new TestDisk(storage)) {
      const link = network.connect(`server of ${storage}`);
      const storages = { [storage]: { open: disk.open } };
      const server = await run(startStorageServer({ ...seams(), log: silentLog, storages, transport: link, ...options }));
      return { server, link, disk };
    },
    open(storage: string, options: Partial<ObjectClientOptions<UntypedSchema>> = {}): Promise<ObjectClient> {
      const transport = network.connect(`client of ${storage}`);
      const opening = openObjectClient({ ...seams(), storage, client: `c${seed}`, transport, cache: undefined, ...options });
      opening.then(
        (client) => clients.push(client),
        () => undefined,
      );
      return opening;
    },
  };
}

describe("a server that is away for a moment, while another server of its realm runs", () => {
  async function beside() {
    const made = setup();
    await made.serve("other");
    const { server, link, disk } = await made.serve("main");
    const client = await made.run(made.open("main"));
    await made.run(client.put("x", 0));
    return { ...made, server, link, disk, client };
  }

  test("is awaited by a commit, a read, and a call of connected()", async () => {
    const { clock, run, link, client } = await beside();
    link.cut();
    const waiting = watched(Promise.all([client.put("x", 1), client.get("y"), client.connected(), all(client.list(""))]));
    await clock.advance(2_000);
    expect(waiting.state).toBe("waiting");
    link.mend();
    await run(waiting.promise);
  });

  test("completes the second phase of a transaction once it is back", async () => {
    const { clock, run, link, client } = await beside();
    const tx = await run(client.begin());
    await tx.put("x", 1);
    await run(tx.vote());
    link.cut();
    // The client has noticed the lost link, and tries to register without success.
    await clock.advance(5_000);
    expect(client.isConnected).toBe(false);
    const finish = watched(tx.finish());
    await clock.advance(2_000);
    expect(finish.state).toBe("waiting");
    link.mend();
    expect(await run(finish.promise)).toBe(client.position.tid);
    expect(await run(client.get("x"))).toBe(1);
  });

  test("is awaited by a new client, whose error after its time-out names the served storages", async () => {
    const { clock, run, server, disk, open, serve } = await beside();
    await run(server.close());
    const late = watched(open("main", { waitTimeoutMs: 1_000 }));
    const fresh = watched(open("main"));
    await clock.advance(2_000);
    expect(fresh.state).toBe("waiting");
    expect(late.error).toMatchObject({
      code: "ZOOID_DISCONNECTED",
      transient: true,
      message: `not connected to simulated:client of main: no server serves storage "main" now; a server there serves "other"`,
    });
    await serve("main", {}, disk);
    expect(await run((await run(fresh.promise)).get("x"))).toBe(0);
  });
});

test("a finish whose request was lost is sent again, and finishes the transaction that the server still holds", async () => {
  const { clock, network, run, serve, open } = setup();
  await serve("main");
  const client = await run(open("main", { requestTimeoutMs: 1_000, heartbeatTimeoutMs: 20_000 }));
  const tx = await run(client.begin());
  await tx.put("x", 1);
  await run(tx.vote());
  network.sever("client of main", "server of main");
  const finish = watched(tx.finish());
  await clock.advance(500);
  network.heal();
  await run(finish.promise);
  expect(await run(client.get("x"))).toBe(1);
});

describe("a session that the server has closed", () => {
  const calls: readonly [name: string, call: (client: ObjectClient) => Promise<unknown>][] = [
    ["a load", (client) => client.get("new")],
    ["a listing", (client) => all(client.list(""))],
    ["a transaction with a listing", (client) => client.transact((tx) => all(tx.list("")))],
    ["a read that must be new", (client) => client.read((tx) => tx.get("x"), { serverSync: true })],
    ["a read that must not be old", (client) => client.read((tx) => tx.get("x"), { maxStaleMs: 0 })],
    ["a look at the server", (client) => client.serverStatus()],
    ["a commit", (client) => client.put("x", 2)],
  ];

  test.each(calls)("is a lost link for %s, which goes on in a new session", async (_, call) => {
    const made = await clientWorld({ transactionTimeoutMs: 1_000 });
    worlds.push(made);
    const { open, run, clock, server } = made;
    const { client } = await open("a");
    await run(client.put("x", 1));
    const tx = await run(client.begin());
    await tx.put("y", 1);
    await run(tx.vote());
    await clock.advance(1_100);
    expect([server.status("main").sessions, client.state]).toEqual([[], "readWrite"]);
    const since = clock.monotonic();
    await run(call(client));
    expect(clock.monotonic() - since).toBeLessThan(100);
  });
});

describe("a message in flight when the server's own link is interrupted", () => {
  const calls: readonly [name: string, call: (client: ObjectClient) => Promise<unknown>][] = [
    ["a load", (client) => client.get("x")],
    ["a commit", (client) => client.put("x", 2)],
    ["a listing", (client) => client.transact((tx) => all(tx.list("")))],
    ["a read that must be new", (client) => client.read((tx) => tx.get("x"), { serverSync: true })],
  ];

  test.each(calls)("is given up and sent again: %s", async (_, call) => {
    const { clock, run, network, serve, open } = setup();
    const { link } = await serve("main");
    const client = await run(open("main"));
    await run(client.put("x", 1));
    const reader = await run(open("main"));
    const states: string[] = [];
    reader.onState((state) => states.push(state));
    network.sever("client of main", "server of main");
    const answer = watched(call(reader));
    await clock.advance(40);
    link.cut();
    network.heal();
    await clock.advance(40);
    link.mend();
    await clock.advance(200);
    expect([answer.state, states]).toEqual(["done", []]);
  });

  test("as a registration: the client asks again at the next heartbeat, and has one session", async () => {
    const { clock, run, network, serve, open } = setup();
    const { server } = await serve("main");
    network.sever("client of main", "server of main");
    const opening = watched(open("main"));
    await clock.advance(100);
    network.heal();
    await clock.advance(1_500);
    expect(opening.state).toBe("done");
    await run(opening.promise);
    expect(server.status("main").sessions).toHaveLength(1);
  });

  test("as the answer to a registration: the client registers again, and has one session", async () => {
    const { clock, network, serve, open } = setup();
    const { server } = await serve("main");
    network.sever("server of main", "client of main");
    const opening = watched(open("main"));
    await clock.advance(100);
    network.heal();
    await clock.advance(1_500);
    expect([opening.state, server.status("main").sessions.length]).toEqual(["done", 1]);
  });
});

test("a client that a mistaken second server refused is connected again at the first heartbeat of its own server", async () => {
  const { clock, run, serve, open } = setup();
  const { link } = await serve("main");
  const client = await run(open("main"));
  await run(client.put("x", 1));
  link.cut();
  // A server of another history under the same name.
  const { server: mistaken, link: mistakenLink } = await serve("main", {}, new TestDisk("mistaken"));
  await clock.until(() => client.state === "refused", 10_000);
  mistakenLink.cut();
  link.mend();
  await clock.advance(100);
  expect(client.isConnected).toBe(true);
  // The mistaken server runs on, and disturbs no client of the other server.
  const states: string[] = [];
  client.onState((state) => states.push(state));
  mistakenLink.mend();
  await clock.advance(500);
  expect(states).toEqual([]);
  mistaken.kill();
});

test("a call whose requests fail at once is repeated at growing intervals, until its time-out or the end of its client", async () => {
  const world = await clientWorld();
  worlds.push(world);
  const { client, transport } = await world.open("client", { waitTimeoutMs: 20_000 });
  let asked = 0;
  transport.request = (subject, _, { timeoutMs }) => {
    if (++asked > 1_000) throw new Error("asked without a pause");
    return Promise.reject(new TimeoutError({ what: subject, timeoutMs }));
  };
  const begin = world.clock.monotonic();
  await expect(world.run(client.serverStatus())).rejects.toThrow(TimeoutError);
  expect(world.clock.monotonic() - begin).toBe(20_000);
  expect(asked).toBeLessThan(50);
  const pausing = watched(client.serverStatus());
  await world.clock.advance(10_000);
  expect(pausing.state).toBe("waiting");
  client.kill();
  await world.settled();
  expect(pausing.error).toBeInstanceOf(ClosedError);
});

test("a new client has nothing to discard, and does not log that it discarded a cache", async () => {
  const warned: string[] = [];
  const log: Log = { ...silentLog, warn: (_: object, message: string) => void warned.push(message) };
  const made = await clientWorld({ storage: { invalidationQueueSize: 1, replayTransactionsMax: 1 } });
  worlds.push(made);
  const { client } = await made.open("a");
  for (let n = 0; n < 5; n++) await made.run(client.put("x", n));
  const { client: fresh } = await made.open("b", { log });
  expect(fresh.status().verification).toMatchObject({ how: "discarded" });
  expect(warned).toEqual([]);
});
