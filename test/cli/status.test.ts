import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createActor } from "xstate";
import { z } from "zod";
import { createActorSystem, machineToMermaid, openTransport } from "../../actors/index.js";
import { gateMachine } from "../actors/system/gate-machine.js";
import { connect, type ObjectClient } from "../../index.js";
import { machines } from "../../machines/index.js";
import { openSetup } from "./setup.js";
import { zooid } from "./run-zooid.js";

let setup: Awaited<ReturnType<typeof openSetup>>;
let client: ObjectClient;
let there: readonly string[];

beforeAll(async () => {
  setup = await openSetup();
  there = ["--servers", setup.url];
  client = await connect({ servers: setup.url, client: "shop-1", cache: "transient" });
  await client.put("a", 1);
  await client.get("a");
  await client.get("a");
});
afterAll(async () => {
  await client.close();
  await setup.close();
});

describe("zooid status", () => {
  test("shows the server, its clients, and every machine", async () => {
    const { lines, error } = await zooid(["status", "--json", ...there]);
    expect(error).toBeUndefined();
    expect(JSON.parse(lines[0] ?? "")).toEqual({
      server: expect.objectContaining({
        instance: setup.server.instance,
        storage: "main",
        readOnly: false,
        position: expect.objectContaining({ tid: client.position.tid, digest: client.position.digest }) as unknown,
        queue: { transactions: 1, keys: 1 },
        machines: { "group-commit": "idle", pruning: "idle" },
        counters: expect.objectContaining({ commits: 1 }) as unknown,
      }) as unknown,
      clients: [
        {
          client: "shop-1",
          session: "live",
          connection: "attached.linked.connected.readWrite",
          seenMsAgo: expect.any(Number) as number,
          lagMs: 0,
          hitRate: expect.any(Number) as number,
        },
      ],
      machines: [
        { path: "client/shop-1/committing", state: "idle", failures: 0 },
        { path: "client/shop-1/connection", state: "attached.linked.connected.readWrite", failures: 0 },
        { path: "server/main/group-commit", state: "idle", failures: 0 },
        { path: "server/main/pruning", state: "idle", failures: 0 },
        { path: expect.stringMatching(/^server\/main\/session\/[A-Za-z0-9_-]{16}$/) as string, state: "live", failures: 0 },
      ],
    });
  });

  test("prints tables for people", async () => {
    const { lines } = await zooid(["status", ...there]);
    expect(lines[0]).toMatch(/^storage main: read-write, instance [0-9a-f]{16}, up /);
    expect(lines).toContainEqual(
      expect.stringMatching(/^shop-1 +live +attached\.linked\.connected\.readWrite +.* ago +0\.00 ms +- +\d+\.\d %$/),
    );
    expect(lines.slice(lines.findIndex((line) => line.startsWith("machine ")) + 1).map((line) => line.split(/ +/))).toEqual([
      ["client/shop-1/committing", "idle"],
      ["client/shop-1/connection", "attached.linked.connected.readWrite"],
      ["server/main/group-commit", "idle"],
      ["server/main/pruning", "idle"],
    ]);
  });
});

test("zooid status shows why an actor failed", async () => {
  const gate = createActor(gateMachine).start();
  const transport = await openTransport({ servers: setup.url });
  const system = createActorSystem({ realm: "park", transport });
  onTestFinished(async () => {
    system.close();
    gate.stop();
    await transport.close();
  });
  system.register("north/gate", gate, { accepts: { BREAK: z.object({}) } });
  await transport.flush();
  await expect(system.remote("north/gate").send({ type: "BREAK" })).rejects.toMatchObject({ code: "ZOOID_ACTOR_FAILED" });
  const [forPeople, asJson] = [
    await zooid(["status", "--realm", "park", ...there]),
    await zooid(["status", "--json", "--realm", "park", ...there]),
  ];
  expect(forPeople.lines).toEqual(["machine     state", "north/gate  failed: the gate broke"]);
  expect(JSON.parse(asJson.lines[0] ?? "")).toMatchObject({
    machines: [{ path: "north/gate", state: "failed: the gate broke", failures: 1 }],
  });
});

test("zooid status shows how often a supervised actor has failed, and that it waits for its restart", async () => {
  const transport = await openTransport({ servers: setup.url });
  const system = createActorSystem({ realm: "park", transport });
  onTestFinished(async () => {
    system.close();
    await transport.close();
  });
  const supervise = (delayMsMin: number) => ({ restart: "snapshot", delayMsMin, delayMsMax: delayMsMin }) as const;
  const [north, south] = [
    system.spawn("north/gate", gateMachine, { supervise: supervise(1) }),
    system.spawn("south/gate", gateMachine, { supervise: supervise(60_000) }),
  ];
  const again = new Promise((resolve) => north.subscribe(resolve));
  for (const gate of [north, south]) gate.send({ type: "BREAK" });
  await again;
  await transport.flush();
  const { lines } = await zooid(["status", "--realm", "park", ...there]);
  expect(lines).toEqual([
    "machine     state",
    "north/gate  closed (failed once, the last time: the gate broke)",
    "south/gate  restarting (failed once, the last time: the gate broke)",
  ]);
});

describe("zooid machines", () => {
  test("draws every lifecycle", async () => {
    const { lines } = await zooid(["machines"]);
    const text = lines.join("\n");
    for (const name of Object.keys(machines)) expect(text).toContain(`%% ${name}\nstateDiagram-v2`);
  });

  test("describes a machine as JSON", async () => {
    const { lines } = await zooid(["machines", "connection", "--json"]);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      states: { disconnected: {}, attached: { states: { linked: { states: { connected: { states: { readWrite: {} } } } } } } },
    });
  });

  test("marks the current state of a client's connection", async () => {
    const { lines } = await zooid(["machines", "connection", "--of", "shop-1", ...there]);
    expect(lines.at(-1)).toBe("  class attached__linked__connected__readWrite current");
  });

  test("lists the running actors when the given one does not run", async () => {
    const { error } = await zooid(["machines", "connection", "--of", "shop-2", ...there]);
    expect(error).toMatchObject({
      code: "ZOOID_NOT_FOUND",
      message: 'no connection of "shop-2" runs: actors in realm "zooid" are client/shop-1/connection',
    });
    const { error: transaction } = await zooid(["machines", "transaction", "--of", "main", ...there]);
    expect((transaction as Error).message).toMatch(
      /^no transaction of "main" runs: actors in realm "zooid" are client\/shop-1\/committing, client\/shop-1\/connection, server\/main\/group-commit, /,
    );
  });

  test("names the realm when no actor runs in it", async () => {
    const { error } = await zooid(["machines", "orders/1", "--realm", "empty", ...there]);
    expect((error as Error).message).toMatch(
      /^there is no machine and no actor "orders\/1": no actor runs in realm "empty", and --realm names another; machines of Zooid are connection, /,
    );
  });

  test("refuses --of without the name of a machine, before it looks for actors", async () => {
    const { error } = await zooid(["machines", "--of", "shop-1", "--servers", "nats://127.0.0.1:1"]);
    expect(error).toMatchObject({ code: "ZOOID_USAGE", message: expect.stringMatching(/^--of needs a machine: /) as string });
    const { error: misspelled } = await zooid(["machines", "conection", "--of", "shop-1", "--servers", "nats://127.0.0.1:1"]);
    expect(misspelled).toMatchObject({ code: "ZOOID_USAGE", message: expect.stringContaining("did you mean connection?") as string });
  });

  test("lists the machines when a name is mistyped, without looking for actors", async () => {
    const { error } = await zooid(["machines", "conection", "--servers", "nats://127.0.0.1:1"]);
    expect(error).toMatchObject({ code: "ZOOID_USAGE" });
    expect((error as Error).message).toContain("group-commit");
  });

  test("draws the machine of a registered actor with its current state, and status lists it in a realm without a storage server", async () => {
    const gate = createActor(gateMachine).start();
    const transport = await openTransport({ servers: setup.url });
    const system = createActorSystem({ realm: "park", transport });
    try {
      system.register("north/gate", gate, { accepts: [] });
      await transport.flush();
      const realm = ["--realm", "park", ...there];
      const { lines } = await zooid(["machines", "north/gate", ...realm]);
      expect(`${lines.join("\n")}\n`).toBe(machineToMermaid(gateMachine, { current: "closed" }));
      const { lines: json } = await zooid(["machines", "north/gate", "--json", ...realm]);
      expect(JSON.parse(json[0] ?? "")).toMatchObject({ path: "north/gate", value: "closed", machine: { states: { closed: {} } } });
      const status = await zooid(["status", ...realm]);
      expect(status.lines).toEqual(["machine     state", "north/gate  closed"]);
      expect(status.error).toMatchObject({ code: "ZOOID_DISCONNECTED", missing: "realm" });
      const { lines: asJson } = await zooid(["status", "--json", ...realm]);
      expect(asJson.map((line) => JSON.parse(line) as unknown)).toEqual([
        { server: null, clients: [], machines: [{ path: "north/gate", state: "closed", failures: 0 }] },
      ]);
      const { error } = await zooid(["machines", "south/gate", ...realm]);
      expect(error).toMatchObject({
        code: "ZOOID_NOT_FOUND",
        message: expect.stringMatching(
          /^there is no machine and no actor "south\/gate": actors in realm "park" are north\/gate; machines of Zooid are /,
        ) as string,
      });
    } finally {
      system.close();
      gate.stop();
      await transport.close();
    }
  });
});
