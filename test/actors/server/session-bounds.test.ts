import { afterEach, describe, expect, test } from "vitest";
import { ServerBusyError, type Tid, UnknownSessionError } from "../../../core/index.js";
import { type ClientWorld, clientWorld } from "../../support/client-world.js";
import { serverWorld } from "../../support/server-world.js";

const worlds: ClientWorld[] = [];
afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

describe("sessions of one client name", () => {
  test("are bounded, and leave room for others", async () => {
    const world = await serverWorld({ sessionsPerClientMax: 3 });
    for (let n = 0; n < 3; n++) await world.client("many");
    await expect(world.client("many")).rejects.toThrow(ServerBusyError);
    await world.client("another");
  });

  test("that fell silent make room for new ones of that name", async () => {
    const world = await serverWorld({ sessionsPerClientMax: 2, sessionTimeoutMs: 20_000 });
    const [quiet, speaking] = [await world.client("many"), await world.client("many")];
    await quiet.alive();
    for (let n = 0; n < 3; n++) {
      await world.clock.advance(5_000);
      await speaking.alive();
    }
    const third = await world.client("many");
    await third.alive();
    await expect(quiet.alive()).rejects.toThrow(UnknownSessionError);
    await speaking.alive();
    // Both remaining sessions have just been heard of.
    await expect(world.client("many")).rejects.toThrow(ServerBusyError);
  });
});

describe("a server without room for another session", () => {
  test("gives away the place of an unused session, and never that of a live client", async () => {
    const world = await serverWorld({ sessionsMax: 3 });
    const client = await world.client("used");
    await client.load(0 as Tid, "a");
    for (let n = 0; n < 2; n++) await world.client(`unused-${n}`);
    await expect(world.client("early")).rejects.toThrow(ServerBusyError);
    await world.clock.advance(2_000);
    for (let n = 0; n < 2; n++) {
      const late = await world.client(`late-${n}`);
      await late.load(0 as Tid, "a");
    }
    await expect(world.client("too-late")).rejects.toThrow(ServerBusyError);
    await client.load(0 as Tid, "a");
    expect(world.server.status("main").counters["sessions"]).toBe(3);
  });

  test("gives ServerBusyError, which is transient, to a client that waited for a place", async () => {
    const world = await clientWorld({ sessionsMax: 1 });
    worlds.push(world);
    await world.open("first");
    await expect(world.open("second", { waitTimeoutMs: 5_000 })).rejects.toMatchObject({ code: "ZOOID_SERVER_BUSY", transient: true });
  });
});
