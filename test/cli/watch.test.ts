import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createActor } from "xstate";
import { createActorSystem, openTransport } from "../../actors/index.js";
import { connect, type ObjectClient } from "../../index.js";
import { until } from "../support/until.js";
import { gateMachine, showGate } from "../actors/system/gate-machine.js";
import { openSetup } from "./setup.js";
import { zooid } from "./run-zooid.js";

let setup: Awaited<ReturnType<typeof openSetup>>;
let client: ObjectClient;
let there: readonly string[];

beforeAll(async () => {
  setup = await openSetup();
  there = ["--servers", setup.url];
  client = await connect({ servers: setup.url, client: "shop-1", cache: "transient" });
});
afterAll(async () => {
  await client.close();
  await setup.close();
});

async function gateIn(realm: string) {
  const gate = createActor(gateMachine).start();
  const transport = await openTransport({ servers: setup.url });
  const system = createActorSystem({ realm, transport });
  system.register("north/gate", gate, { accepts: [], describe: showGate });
  await transport.flush();
  onTestFinished(async () => {
    system.close();
    gate.stop();
    await transport.close();
  });
  return { gate, system };
}

describe("zooid watch", () => {
  test("prints the states of the actors, and then each change of a state", async () => {
    const { gate, system } = await gateIn("park");
    const watching = zooid(["watch", "north/*", "--realm", "park", "--count", "3", ...there]);
    await until(() => system.notes.isRecording);
    gate.send({ type: "OPEN" });
    gate.send({ type: "COUNT" });
    gate.send({ type: "CLOSE" });
    const { lines, error } = await watching;
    expect(error).toBeUndefined();
    expect(lines.map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{3} {2}/, ""))).toEqual([
      "north/gate  is closed",
      "north/gate  closed -> open   OPEN / noteWho",
      "north/gate  open -> closed   CLOSE",
    ]);
    await until(() => !system.notes.isRecording);
  });

  test("prints each transition as JSON, with --all also those that keep the state", async () => {
    const { gate, system } = await gateIn("garden");
    const watching = zooid(["watch", "gate", "--all", "--json", "--realm", "garden", "--count", "4", ...there]);
    await until(() => system.notes.isRecording);
    gate.send({ type: "OPEN" });
    gate.send({ type: "COUNT" });
    const { lines } = await watching;
    expect(lines.map((line) => JSON.parse(line) as { type: string }).filter(({ type }) => type !== "instance")).toMatchObject([
      { type: "actor", path: "north/gate", machine: "gate", value: "closed", status: "active", context: { passed: 0 } },
      { type: "transition", path: "north/gate", event: "OPEN", before: "closed", after: "open", actions: ["noteWho"], guards: [] },
      { type: "transition", event: "COUNT", before: "open", after: "open", actions: ["countOne"] },
    ]);
  });

  test("follows a commit with --notes from its client to its server and back", async () => {
    // One frame of the server alone may hold a hundred commits.
    const watching = zooid(["watch", "nothing", "--notes", "--json", "--count", "1000", ...there]);
    await until(async () => {
      await client.put("a", 1);
      return (await Promise.race([watching, Promise.resolve(undefined)])) !== undefined;
    });
    const { lines } = await watching;
    const notes = lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ type }) => type === "note");
    const { id } = notes.find(({ what }) => what === "written") ?? {};
    expect(id).toEqual(expect.any(String));
    expect(new Set(notes.map(({ what }) => what))).toEqual(new Set(["sent", "written", "committed", "applied"]));
    expect(notes.filter((note) => note["id"] === id).map(({ who }) => who)).toContain("server/main");
  });

  test("says which actors there are when none matches, and ends after --for", async () => {
    const { lines, said, error } = await zooid(["watch", "south/*", "--for", "1700ms", ...there]);
    expect(error).toBeUndefined();
    expect(lines).toEqual([]);
    expect(said[0]).toMatch(/^zooid: no actor is "south\/\*" yet: waiting\. Actors in realm "zooid" are client\/shop-1\/committing, /);
  });

  test("ends with the signal", async () => {
    const { system } = await gateIn("yard");
    const controller = new AbortController();
    const watching = zooid(["watch", "--realm", "yard", ...there], controller.signal);
    const why = new Error("interrupted");
    await until(() => system.notes.isRecording);
    controller.abort(why);
    expect((await watching).error).toBe(why);
  });
});
