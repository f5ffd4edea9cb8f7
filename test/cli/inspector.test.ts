import { createWebSocketInspector } from "@statelyai/inspect";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { createActor, fromPromise, setup } from "xstate";
import { applyEntry, emptyModel, type Happening, type RecordEntry } from "../../actors/index.js";
import { InspectedApp } from "../../cli/inspector/inspected-app.js";
import { serveInspector } from "../../cli/inspector/inspector-server.js";
import { limits, systemClock } from "../../core/index.js";
import { until } from "../support/until.js";
import { zooid } from "./run-zooid.js";

const doorMachine = setup({
  types: { context: {} as { readonly visitors: number }, events: {} as { type: "OPEN" } | { type: "BREAK" } },
  actors: { greet: fromPromise(() => Promise.resolve("hello")), breakDown: fromPromise(() => Promise.reject(new Error("no luck"))) },
}).createMachine({
  id: "door",
  context: { visitors: 3 },
  initial: "shut",
  states: {
    shut: { on: { OPEN: "greeting", BREAK: "breaking" } },
    greeting: { invoke: { src: "greet", onDone: "open" } },
    breaking: { invoke: { src: "breakDown", onError: "shut" } },
    open: { type: "final" },
  },
});

async function served(origins: readonly string[] = []) {
  const said: string[] = [];
  const server = await serveInspector({ port: 0, origins, clock: systemClock, say: (line) => void said.push(line) });
  const model = emptyModel();
  const happened: Happening[] = [];
  server.watch((entry) => happened.push(...applyEntry(model, entry)));
  onTestFinished(() => server.close());
  const actors = () => [...model.instances.values()].flatMap((instance) => [...instance.actors.values()]);
  return { server, model, happened, actors, said };
}

describe("an application that uses @statelyai/inspect", () => {
  test("shows up with its states, its children and its machine", async () => {
    const { server, model, happened, actors } = await served();
    const inspector = createWebSocketInspector({ url: `ws://127.0.0.1:${server.port}` });
    onTestFinished(() => inspector.stop());
    const door = createActor(doorMachine, { inspect: inspector.inspect });
    door.start();
    await until(() => actors().length > 0);
    expect(actors()).toMatchObject([{ path: "door", name: "door", value: "shut", status: "active", shown: { visitors: 3 } }]);
    expect(model.machines.get(actors()[0]?.machine ?? "")).toMatchObject({ id: "door", states: { shut: {}, open: { type: "final" } } });
    door.send({ type: "BREAK" });
    await until(() => happened.some(({ type }) => type === "failed"));
    await until(() => door.getSnapshot().value === "shut");
    door.send({ type: "OPEN" });
    await until(() => actors()[0]?.status === "done");
    const states = happened.flatMap((each) => (each.type === "transition" && each.path === "door" ? [each.after] : []));
    expect(states).toEqual(["breaking", "shut", "greeting", "open"]);
    const failed = happened.flatMap((each) => (each.type === "failed" ? [each.actor] : []));
    expect(failed).toMatchObject([{ path: "door#0.door.breaking", reason: "the inspector sends no reason" }]);
    expect(actors().map(({ path }) => path)).toEqual(["door"]);
  });

  test("is printed by zooid watch without a broker", async () => {
    const { server } = await served();
    const { port } = server;
    await server.close();
    const watching = zooid(["watch", "--inspector", String(port), "--count", "2"]);
    const inspector = createWebSocketInspector({ url: `ws://127.0.0.1:${port}` });
    onTestFinished(() => inspector.stop());
    const door = createActor(doorMachine, { inspect: inspector.inspect });
    door.start();
    door.send({ type: "OPEN" });
    const { lines, said, error } = await watching;
    expect(error).toBeUndefined();
    expect(said[0]).toBe(`zooid: waits for applications: createWebSocketInspector({ url: "ws://127.0.0.1:${port}" })`);
    // The package reads the first state when it is connected, and sends what happened before then afterwards.
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}door {2}is /);
    expect(lines[1]).toMatch(/ {2}door {2}\S/);
  });
});

describe("the port for applications", () => {
  const connected = async (port: number, origin?: string): Promise<boolean> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, origin === undefined ? {} : { origin });
    const opened = await new Promise<boolean>((resolve) => {
      socket.on("open", () => resolve(true));
      socket.on("error", () => resolve(false));
    });
    socket.terminate();
    return opened;
  };

  test("is open to programs and to pages of this machine, and to the origins that are named", async () => {
    const { server, said } = await served(["https://app.example"]);
    for (const origin of [undefined, "http://localhost:5173", "http://127.0.0.1", "https://app.example"])
      expect(await connected(server.port, origin)).toBe(true);
    for (const origin of ["https://evil.example", "http://localhost.evil.example", "null"])
      expect(await connected(server.port, origin)).toBe(false);
    expect(said[0]).toBe('zooid: a page of "https://evil.example" was refused: --inspector-origins allows it');
  });

  test("that is taken is an error that names it", async () => {
    const { server } = await served();
    const { error } = await zooid(["watch", "--inspector", String(server.port)]);
    expect(error).toMatchObject({ message: `port ${server.port} for inspected applications is taken by another process` });
  });
});

test("messages that are no inspection, or that lack a part, change nothing", () => {
  const entries: RecordEntry[] = [];
  const app = new InspectedApp("app", systemClock, (entry) => entries.push(entry));
  const before = entries.length;
  const texts = [
    "",
    "[]",
    "null",
    "{}",
    '{"type":"@xstate.actor"}',
    '{"type":"@xstate.actor","sessionId":7}',
    '{"type":"@xstate.event","sessionId":"x:9","event":{"type":"A"}}',
    '{"type":"@xstate.snapshot","sessionId":"x:9","snapshot":null}',
    '{"type":"@xstate.other","sessionId":"x:0"}',
    `{"type":"@xstate.actor","sessionId":"${"x".repeat(limits.recordNameLengthMax + 1)}"}`,
  ];
  for (const text of texts) app.take(text);
  expect(entries).toHaveLength(before);
  // A definition that XState refuses: the actor is there without a machine.
  app.take('{"type":"@xstate.actor","sessionId":"x:0","name":"odd","definition":"{\\"states\\":{\\"a\\":5}}","snapshot":{"value":"a"}}');
  const model = emptyModel();
  for (const entry of entries) applyEntry(model, entry);
  expect([...(model.instances.get("app")?.actors.values() ?? [])]).toMatchObject([{ path: "odd", value: "a", status: "active" }]);
});
