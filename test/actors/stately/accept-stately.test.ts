import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import {
  acceptStately,
  applyEntry,
  emptyModel,
  type AcceptStatelyOptions,
  type Happening,
  type RecordEntry,
  type StatelyNotice,
} from "../../../actors/index.js";
import { limits, systemClock } from "../../../core/index.js";
import { until } from "../../support/until.js";

/** An acceptor with the model of all that it has received. */
async function accepting(options: AcceptStatelyOptions = {}) {
  const model = emptyModel();
  const entries: RecordEntry[] = [];
  const happened: Happening[] = [];
  const notices: StatelyNotice[] = [];
  const onNotice = (notice: StatelyNotice) => void notices.push(notice);
  const accepted = await acceptStately({ port: 0, onNotice, ...options }, (entry) => {
    entries.push(entry);
    happened.push(...applyEntry(model, entry));
  });
  onTestFinished(() => accepted.close());
  const actors = () => [...model.instances.values()].flatMap((instance) => [...instance.actors.values()]);
  /** Actors as `path: state`. */
  const states = () => actors().map(({ path, status, value }) => `${path}: ${status === "active" ? JSON.stringify(value) : status}`);
  const transitions = () =>
    model.transitions.map(
      ({ path, before, after, event, from = "" }) =>
        `${path} ${event ?? "?"}: ${JSON.stringify(before)} -> ${JSON.stringify(after)}${from === "" || from === path ? "" : ` from ${from}`}`,
    );
  const connect = async (headers: Record<string, string> = {}, url = accepted.url) => {
    const socket = new WebSocket(url, { headers });
    onTestFinished(() => socket.terminate());
    await once(socket, "open");
    const send = (...messages: readonly unknown[]) => {
      for (const message of messages)
        socket.send(typeof message === "string" || message instanceof Uint8Array ? message : JSON.stringify(message));
    };
    return { socket, send };
  };
  return { accepted, model, entries, happened, notices, actors, states, transitions, connect };
}

const actor = (sessionId: string, name: string, more: object = {}) => ({
  type: "@xstate.actor",
  sessionId,
  name,
  definition: JSON.stringify({ id: name, initial: "a", states: { a: {}, b: {} } }),
  ...more,
});
const event = (sessionId: string, type: string, more: object = {}) => ({ type: "@xstate.event", sessionId, event: { type }, ...more });
const snapshot = (sessionId: string, value: unknown, status = "active") => ({
  type: "@xstate.snapshot",
  sessionId,
  snapshot: { status, value },
});

describe("an application with @statelyai/inspect", () => {
  test("shows its actors with their states, and neither contexts nor payloads", async () => {
    const { accepted, entries, model, states, transitions } = await accepting();
    const file = fileURLToPath(new URL("application.mjs", import.meta.url));
    const application = spawn(process.execPath, [file, accepted.url.replace("127.0.0.1", "localhost")], {
      stdio: ["pipe", "inherit", "inherit"],
    });
    onTestFinished(() => void application.kill());
    await until(
      () => transitions().some((line) => line.startsWith("order xstate.done.actor.payment")) && states().includes('office: "broken"'),
    );
    expect(states().toSorted()).toEqual(['office: "broken"', 'order: {"sent":{"letter":{},"parcel":"packed"}}', 'order~2: "open"']);
    expect(transitions().filter((line) => line.startsWith("order"))).toEqual([
      'order BUY: "open" -> "priced"',
      // A listener sends CHARGE before XState gives the snapshot to its inspectors.
      'order#payment CHARGE: "open" -> "paid"',
      'order xstate.done.actor.0.order.priced: "priced" -> "paying" from order#0.order.priced',
      'order xstate.done.actor.payment: "paying" -> {"sent":{"letter":{},"parcel":"packed"}} from order#payment',
    ]);
    expect(JSON.stringify([...model.machines.values()])).toContain('"guard":"isFilled","actions":["note","assign"]');
    expect(JSON.stringify(entries)).not.toMatch(/secret/);
    const ended = once(application, "exit");
    application.stdin.write("end\n");
    await until(() => [...model.instances.values()].every(({ state }) => state === "ended"));
    expect(await ended).toEqual([0, null]);
  });

  test("shows an actor at its first snapshot, although the message of its creation has a later one", async () => {
    const { connect, states, transitions } = await accepting();
    const { send } = await connect();
    send(
      actor("x:0", "order", { snapshot: { status: "active", value: "b" } }),
      event("x:0", "xstate.init"),
      snapshot("x:0", "a"),
      event("x:0", "GO"),
      snapshot("x:0", "b"),
    );
    await until(() => transitions().length === 1);
    expect(transitions()).toEqual(['order GO: "a" -> "b"']);
    expect(states()).toEqual(['order: "b"']);
  });

  test("names the event that an actor has handled, although others were sent to it meanwhile", async () => {
    const { connect, transitions } = await accepting();
    const { send } = await connect();
    const after = (value: string, type: string) => ({ ...snapshot("x:0", value), event: { type } });
    send(actor("x:0", "order"), snapshot("x:0", "a"), actor("x:1", "bill"), snapshot("x:1", "a"));
    send(event("x:0", "ONE"), event("x:0", "TWO", { sourceId: "x:1" }), after("b", "ONE"), after("c", "TWO"));
    await until(() => transitions().length === 2);
    expect(transitions()).toEqual(['order ONE: "a" -> "b"', 'order TWO: "b" -> "c" from bill']);
  });

  test("shows an actor whose creation it has not sent, by its session id", async () => {
    const { connect, states } = await accepting();
    const { send } = await connect();
    send(event("x:7", "GO"), snapshot("x:7", { a: "b" }));
    await until(() => states().length === 1);
    expect(states()).toEqual(['x:7: {"a":"b"}']);
  });

  test("shows things that are not of XState, at once", async () => {
    const { connect, states } = await accepting();
    const { send } = await connect();
    send(
      { type: "@xstate.actor", sessionId: "door", name: "door", snapshot: { value: "open" } },
      event("door", "PUSH"),
      snapshot("door", "closed"),
    );
    await until(() => states().includes('door: "closed"'));
  });

  test("keeps apart the actors of two applications that have the same names and sessions", async () => {
    const { connect, states, model } = await accepting();
    const [first, second] = [await connect(), await connect()];
    first.send(actor("x:0", "order"), snapshot("x:0", "a"));
    await until(() => states().length === 1);
    second.send(actor("x:0", "order"), snapshot("x:0", "b"));
    await until(() => states().length === 2);
    expect(states()).toEqual(['order: "a"', 'order~2: "b"']);
    second.socket.close();
    await until(() => model.instances.get("stately-2")?.state === "ended");
    expect(states()).toEqual(['order: "a"']);
  });

  test("replaces an actor when a second copy of XState uses its session id", async () => {
    const { connect, states } = await accepting();
    const { send } = await connect();
    send(actor("x:0", "order"), snapshot("x:0", "a"), actor("x:0", "bill"), snapshot("x:0", "b"));
    await until(() => states().join() === 'bill: "b"');
  });

  test("keeps the roots that have ended, up to a bound", async () => {
    const { connect, actors } = await accepting();
    const { send } = await connect();
    const count = limits.statelyEndedMax + 5;
    for (let number = 0; number < count; number++)
      send(actor(`x:${number}`, `a${number}`), snapshot(`x:${number}`, "a"), snapshot(`x:${number}`, "a", "done"));
    await until(() => actors().at(-1)?.path === `a${count - 1}` && actors().at(-1)?.status === "done");
    expect(actors().map(({ path }) => path)).toEqual(Array.from({ length: limits.statelyEndedMax }, (_, index) => `a${index + 5}`));
  });
});

describe("what may connect", () => {
  const statusOf = async (url: string, headers: Record<string, string>) => {
    const socket = new WebSocket(url, { headers });
    const [error] = (await once(socket, "error").catch((reason: unknown) => [reason])) as [Error];
    return error.message;
  };

  test("a page of another origin is refused, and one of an allowed origin is not", async () => {
    const { accepted, connect, notices } = await accepting({ origins: ["http://localhost:5173/"] });
    for (const origin of ["http://evil.example", "http://localhost:5174", "https://localhost:5173", "null", ""])
      expect(await statusOf(accepted.url, { origin })).toMatch(/403/);
    await connect({ origin: "http://localhost:5173" });
    await connect();
    expect(notices.map(({ type }) => type)).toEqual([...Array<string>(5).fill("refused"), "connected", "connected"]);
  });

  test("an option that is no origin is refused", async () => {
    for (const origin of ["*", "localhost:5173", "http://a/b", ""])
      await expect(acceptStately({ port: 0, origins: [origin] }, () => undefined)).rejects.toThrow(/option origins has/);
  });

  test("applications above the bound are refused, and accepted again once another has left", async () => {
    const { accepted, connect, notices } = await accepting();
    const all = await Promise.all(Array.from({ length: limits.statelyConnectionsMax }, () => connect()));
    expect(await statusOf(accepted.url, {})).toMatch(/503/);
    expect(notices.at(-1)).toEqual({ type: "refused", reason: "connections", origin: undefined });
    all[0]?.socket.close();
    await until(async () => (await connect().catch(() => undefined)) !== undefined);
  });

  test("a port that is taken is an error of the option", async () => {
    const { accepted } = await accepting();
    await expect(acceptStately({ port: accepted.port }, () => undefined)).rejects.toMatchObject({
      code: "ZOOID_INVALID_OPTION",
      option: "port",
    });
  });

  test("plain HTTP gets no answer but that a WebSocket is needed", async () => {
    const { accepted } = await accepting();
    expect((await fetch(accepted.url.replace("ws", "http"))).status).toBe(426);
  });
});

describe("what may be sent", () => {
  test.each([
    ["text that is not JSON", "{", /is not JSON/],
    ["JSON that is no object", "[1]", /is not an object/],
    ["an object of something else", '{"type":"hello"}', /no type of @statelyai\/inspect/],
    ["an actor without a session", '{"type":"@xstate.actor"}', /no sessionId/],
    ["an event without a type", '{"type":"@xstate.event","sessionId":"x:0","event":5}', /event without a type/],
    ["binary data", new Uint8Array(3), /is binary/],
    [
      "a message that is too large",
      JSON.stringify({ type: "@xstate.event", more: "x".repeat(limits.statelyMessageBytesMax) }),
      /Max payload size/,
    ],
  ])("%s closes the connection with a reason, and no other one", async (_, message, reason) => {
    const { connect, notices, states } = await accepting();
    const [bad, good] = [await connect(), await connect()];
    const closed = once(bad.socket, "close") as Promise<[number, Buffer]>;
    bad.send(message);
    const [code] = await closed;
    expect([1008, 1009]).toContain(code);
    await until(() => notices.some((notice) => notice.type === "closed" && reason.test(notice.reason)));
    good.send(actor("x:0", "order"), snapshot("x:0", "a"));
    await until(() => states().length === 1);
  });

  test("an event of XState that is newer than this version is passed over", async () => {
    const { connect, states, notices } = await accepting();
    const { send } = await connect();
    send({ type: "@xstate.future" }, actor("x:0", "order"), snapshot("x:0", "a"));
    await until(() => states().length === 1);
    expect(notices.filter(({ type }) => type === "closed")).toEqual([]);
  });

  test("of a flood of events the last states are shown, and the rest is counted", async () => {
    const { connect, states, model } = await accepting({ clock: { ...systemClock, monotonic: () => 0 } });
    const { send } = await connect();
    send(actor("x:0", "order"), snapshot("x:0", "a"));
    for (let number = 0; number < 5_000; number++) send(event("x:0", "GO"), snapshot("x:0", number % 2 === 0 ? "b" : "a"));
    send(event("x:0", "END"), snapshot("x:0", "end"));
    await until(() => states().includes('order: "end"') && model.instances.get("stately-1")?.left.states !== 0);
    expect(model.instances.get("stately-1")).toMatchObject({ state: "live", gaps: 0, left: { events: expect.any(Number) as number } });
    expect(model.instances.get("stately-1")?.left.events).toBeGreaterThan(1_000);
  });

  test("messages with too many bytes in a second are not read, and are counted", async () => {
    let now = 0;
    const { connect, model, states } = await accepting({ clock: { ...systemClock, monotonic: () => now } });
    const { send } = await connect();
    send(actor("x:0", "order"), snapshot("x:0", "a"));
    const large = JSON.stringify({ ...event("x:0", "GO"), more: "x".repeat(limits.statelyMessageBytesMax - 1_000) });
    const count = Math.ceil(limits.statelyBytesPerSecondMax / large.length) + 1;
    for (let number = 0; number < count; number++) send(large);
    send(snapshot("x:0", "b"));
    await until(() => model.instances.get("stately-1")?.left.events === 3);
    expect(states()).toEqual(['order: "a"']);
    now = 1_000;
    send(snapshot("x:0", "b"));
    await until(() => states().includes('order: "b"'));
  });

  test("actors above the bound are left out", async () => {
    const { connect, model, actors } = await accepting();
    const { send } = await connect();
    let next = 0;
    await until(() => {
      if (next <= limits.statelyActorsMax + 100) for (let number = 0; number < 500; number++) send(snapshot(`x:${next++}`, "a"));
      return (model.instances.get("stately-1")?.left.events ?? 0) > 0;
    });
    expect(actors().length).toBeLessThanOrEqual(limits.statelyActorsMax);
  });

  test("a state, a name and a definition are cut to what a record holds", async () => {
    const { connect, actors, model } = await accepting();
    const { send } = await connect();
    let deep: unknown = "end";
    for (let depth = 0; depth < 500; depth++) deep = { [`s${depth}`]: deep };
    const definition = JSON.stringify({ id: "big", states: { a: {} }, more: "x".repeat(limits.statelyDefinitionLengthMax) });
    send(
      actor("x:0", `\ud800${"n".repeat(1_000)}`, { definition }),
      snapshot("x:0", deep),
      snapshot("x:1", { __proto__: null, constructor: "a" }),
    );
    await until(() => actors().length === 2);
    expect(actors()[0]?.path).toHaveLength(limits.recordNameLengthMax);
    expect(actors()[0]?.path.isWellFormed()).toBe(true);
    expect(JSON.stringify(actors()[0]?.value).length).toBeLessThan(500);
    expect([...model.machines.values()].every((machine) => !("states" in (machine as object)))).toBe(true);
  });

  test("any JSON with the types of the inspector is taken, or refused for a reason", async () => {
    const { connect, notices, model } = await accepting();
    const session = fc.constantFrom("x:0", "x:1", "x:2");
    const message = fc.record(
      {
        type: fc.constantFrom("@xstate.actor", "@xstate.event", "@xstate.snapshot"),
        sessionId: session,
        parentId: fc.oneof(session, fc.jsonValue()),
        sourceId: fc.oneof(session, fc.jsonValue()),
        name: fc.oneof(fc.string(), fc.jsonValue()),
        definition: fc.oneof(fc.json(), fc.jsonValue()),
        snapshot: fc.oneof(
          fc.jsonValue(),
          fc.record({ status: fc.constantFrom("active", "done", "error", "stopped"), value: fc.jsonValue(), error: fc.jsonValue() }),
        ),
        event: fc.record({ type: fc.constantFrom("GO", "xstate.init", "xstate.error.actor.a"), error: fc.jsonValue() }),
      },
      { requiredKeys: ["type", "sessionId", "event"] },
    );
    const { send } = await connect();
    for (const each of fc.sample(message, 1_000)) send(each);
    send(actor("x:9", "last"), snapshot("x:9", "a"));
    await until(() => [...(model.instances.get("stately-1")?.actors.values() ?? [])].some(({ path }) => path.startsWith("last")));
    expect(notices.filter(({ type }) => type === "closed")).toEqual([]);
    expect(model.instances.get("stately-1")).toMatchObject({ state: "live", gaps: 0 });
  });
});
