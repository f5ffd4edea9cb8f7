/** Heartbeats of instances that do not exist. Every process with permission to publish invalidations can send them. */
import { afterEach, describe, expect, test } from "vitest";
import { storageSubjects } from "../../../actors/protocol/messages.js";
import * as wire from "../../../actors/protocol/codec.js";
import { limits } from "../../../core/index.js";
import { clientWorld, type ClientWorld } from "../../support/client-world.js";

const worlds: ClientWorld[] = [];
afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

const subjects = storageSubjects("test", "main");

/**
 * A world with a forged heartbeat every millisecond. With `deaf`, requests to the forged instances are received and
 * never answered.
 */
async function forgery(nameOf: (beat: number) => string, deaf: boolean) {
  const world = await clientWorld();
  worlds.push(world);
  const forger = world.broker.connect();
  const taken: string[] = [];
  if (deaf) {
    forger.subscribe(subjects.operation("*", "register"), ({ subject }) => void taken.push(subject));
    forger.subscribe(subjects.operation("*", "writer"), ({ subject }) => void taken.push(subject));
  }
  const { position } = world.server.status("main");
  let beats = 0;
  let timer: unknown;
  const beat = () => {
    const forged = { type: "heartbeat", startedAt: 1, links: 0, readOnly: false, role: "writer", position } as const;
    forger.publish(subjects.invalidations, wire.broadcast.write({ ...forged, instance: nameOf(beats++) }));
    timer = world.clock.setTimeout(beat, 1);
  };
  beat();
  return { ...world, taken, stop: () => world.clock.clearTimeout(timer) };
}

const kinds: readonly (readonly [string, (beat: number) => string, boolean])[] = [
  ["one instance that is not there", () => "forged", false],
  ["an instance that is silent", () => "forged", true],
  ["new instances that are not there", (beat) => `forged-${beat}`, false],
  ["new instances that are silent", (beat) => `forged-${beat}`, true],
];

describe.each(kinds)("a flood of heartbeats of %s", (_, nameOf, deaf) => {
  test("does not take a client's link from it", async () => {
    const world = await forgery(nameOf, deaf);
    const { client } = await world.open("client");
    const states: string[] = [];
    client.onState((state) => states.push(state));
    for (let n = 0; n < 20; n++) {
      await world.run(client.put("x", n));
      await world.clock.advance(100);
    }
    expect(states).toEqual([]);
    world.stop();
  });

  test("does not prevent a client from connecting, neither a new client nor one whose server was replaced", async () => {
    const world = await forgery(nameOf, deaf);
    const begin = world.clock.monotonic();
    const { client } = await world.open("client");
    world.server.kill();
    world.disk.disk.crash();
    const another = await world.restart();
    await world.run(client.put("x", 1));
    expect(client.status().instance).toBe(another.instance);
    expect(world.clock.monotonic() - begin).toBeLessThan(1_500);
    world.stop();
  });

  test("makes a client send a bounded number of requests while no server runs", async () => {
    const world = await forgery(nameOf, deaf);
    const { client, transport } = await world.open("client");
    world.server.kill();
    await world.clock.until(() => !client.isConnected, 10_000);
    const before = transport.requests.length;
    await world.clock.advance(10_000);
    expect(client.isConnected).toBe(false);
    // A silent instance may be a server whose link was interrupted. The client asks it again at its heartbeats, within
    // a bound.
    expect(transport.requests.length - before).toBeLessThan(200 + (deaf ? 10_000 / limits.registerAgainMs : 0));
    world.stop();
  });
});
