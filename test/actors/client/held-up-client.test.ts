/** A client whose process was blocked: its timers run before it reads the messages that arrived meanwhile. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { limits } from "../../../core/index.js";
import { clientWorld, type ClientWorld } from "../../support/client-world.js";

const heldUpMs = 5_000;
let world: ClientWorld;
beforeEach(async () => {
  world = await clientWorld();
});
afterEach(() => world.end());

/** A client that was blocked for longer than its heartbeat time-out, and has read nothing since. */
async function heldUp() {
  const clock = world.clock.node();
  const { client, transport } = await world.open("a", { clock });
  const states: string[] = [];
  client.onState((state) => states.push(state));
  const unread: (() => void)[] = [];
  transport.takes = (_, deliver) => {
    unread.push(deliver);
    return false;
  };
  clock.stall(heldUpMs);
  await world.clock.advance(heldUpMs);
  const read = () => {
    transport.takes = () => true;
    for (const deliver of unread.splice(0)) deliver();
  };
  return { client, states, read };
}

test("a client that was blocked reads the heartbeats that arrived meanwhile before it takes its server for lost", async () => {
  const { client, states, read } = await heldUp();
  read();
  await world.clock.advance(2 * heldUpMs);
  expect(states).toEqual([]);
  expect(await world.run(client.put("x", 1))).toBeGreaterThan(0);
});

test("a client that was blocked and finds no heartbeat soon takes its server for lost", async () => {
  const { states } = await heldUp();
  await world.clock.advance(limits.heldUpMs);
  expect(states[0]).toBe("backingOff");
});
