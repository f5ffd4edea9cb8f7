import { expect, test } from "vitest";
import { healthyDisk } from "../../../testing/simulated-disk.js";
import { SimulatedClient } from "../objects/simulated-client.js";
import { SimulatedServer } from "../objects/simulated-server.js";
import { timings, World } from "../objects/world.js";
import { becomesLevel } from "./liveness.js";

const traits = {
  isPersistent: false,
  onOtherHistory: "refuse",
  cacheBytesMax: 1_000_000,
  memoryBytesMax: 1_000_000,
  users: 1,
  isReadOnly: false,
  watches: false,
  mirrors: 0,
  callers: 0,
} as const;

/** A server and a client that writes to it. */
async function connected() {
  const world = new World(1);
  const server = new SimulatedServer(world);
  const client = new SimulatedClient(world, "c1", traits);
  server.start();
  client.open();
  expect(await world.holdsWithin(() => client.client?.state === "readWrite", 1_000)).toBe(true);
  return { world, server, client };
}

/** A server and its writing client, when the second write in a row has failed and nothing fails any more. */
async function afterTheLastFault() {
  const { world, server, client } = await connected();
  server.disk.faults = { ...healthyDisk, inTurn: 0, doubt: 1 };
  expect(await world.holdsWithin(() => server.disk.failures === 2, 10_000)).toBe(true);
  server.disk.faults = healthyDisk;
  world.isCalm = true;
  return { world, server, client };
}

test("server and clients become level after a probation that begins once faults have stopped", async () => {
  const { world, server, client } = await afterTheLastFault();
  expect(server.isOnProbation, "the write is still in doubt").toBe(false);
  expect(await becomesLevel(world, server, [client])).toBe(true);
  expect(world.checker.violations).toEqual([]);
  client.abandon();
});

test("clients do not become level with a server that ends during its probation", async () => {
  const { world, server, client } = await afterTheLastFault();
  expect(await world.holdsWithin(() => server.isOnProbation, 1_000)).toBe(true);
  world.clock.setTimeout(() => server.kill(), 1_000);
  expect(await becomesLevel(world, server, [client])).toBe(false);
  client.abandon();
});

test("a client that a fault cut off from its server's messages becomes level once it has heard the server again", async () => {
  const { world, server, client } = await connected();
  world.isCalm = true;
  expect(await world.holdsWithin(() => client.client?.position.digest === world.checker.history.head.digest, 1_000)).toBe(true);
  world.network.sever("server", "c1");
  await world.holdsWithin(() => false, timings.heartbeatTimeoutMs - timings.heartbeatIntervalMs);
  world.network.heal();
  expect(client.client?.state).toBe("readWrite");
  expect(await becomesLevel(world, server, [client])).toBe(true);
  expect(client.client?.status().heardMsAgo).toBeLessThan(timings.heartbeatIntervalMs);
  client.abandon();
});

test("a server becomes level once it has given up a vote that its client does not end", async () => {
  const { world, server, client } = await connected();
  world.isCalm = true;
  const finish = client.workload?.hang("a/1", "a/1");
  expect(await world.holdsWithin(() => server.holdsVotes, 1_000)).toBe(true);
  expect(await becomesLevel(world, server, [client])).toBe(true);
  expect(server.holdsVotes).toBe(false);
  await finish;
  client.abandon();
});
