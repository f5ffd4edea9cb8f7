/** Heartbeats of instances that are not there: anybody who may publish invalidations can send them. */
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

/** A world in which heartbeats are forged, a millisecond apart. `deaf`: somebody takes what is sent to the forged instances, and is silent. */
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

  test("does not keep a client from the server: neither a new one, nor after the server was replaced", async () => {
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

  test("makes a client ask a bounded number of times while no server is there", async () => {
    const world = await forgery(nameOf, deaf);
    const { client, transport } = await world.open("client");
    world.server.kill();
    await world.clock.until(() => !client.isConnected, 10_000);
    const before = transport.requests.length;
    await world.clock.advance(10_000);
    expect(client.isConnected).toBe(false);
    // One that is silent may be a server whose link was interrupted: it is asked again as often as it is heard, within a bound.
    expect(transport.requests.length - before).toBeLessThan(200 + (deaf ? 10_000 / limits.registerAgainMs : 0));
    world.stop();
  });
});
