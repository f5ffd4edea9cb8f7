import { expect, test } from "vitest";
import { calm } from "../../../testing/fault-profile.js";
import { healthyDisk } from "../../../testing/simulated-disk.js";
import { Faults } from "./faults.js";
import { SimulatedClient } from "./simulated-client.js";
import { SimulatedServer } from "./simulated-server.js";
import { World } from "./world.js";

const traits = {
  isPersistent: true,
  onOtherHistory: "refuse",
  cacheBytesMax: 1_000_000,
  memoryBytesMax: 1_000_000,
  users: 1,
  isReadOnly: false,
  watches: false,
  mirrors: 0,
  callers: 0,
} as const;

/** Longer than the longest fault. */
const afterMs = 3_000;

test("no fault begins or goes on after all faults have been ended", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World(seed);
    const server = new SimulatedServer(world);
    const client = new SimulatedClient(world, "c1", traits);
    const faults = new Faults(world, server, [client], { stalls: false });
    server.start();
    client.open();
    void faults.run();
    await world.holdsWithin(() => false, 800);
    faults.end();
    await world.holdsWithin(() => server.disk.faults !== healthyDisk, afterMs);
    expect([seed, server.disk.faults, client.disk?.faults, world.network.profile]).toEqual([seed, healthyDisk, healthyDisk, calm]);
    client.abandon();
    server.kill();
  }
});
