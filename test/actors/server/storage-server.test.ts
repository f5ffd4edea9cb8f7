import { describe, expect, test } from "vitest";
import { startStorageServer } from "../../../actors/server/server.js";
import { storagesSubject } from "../../../actors/protocol/messages.js";
import * as wire from "../../../actors/protocol/codec.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { createBroker } from "../../../transport/in-process.js";
import {
  BehindError,
  ConflictError,
  InvalidOptionError,
  MalformedMessageError,
  ProtocolVersionError,
  ReadOnlyError,
  seededRandom,
  ServerBusyError,
  limits,
  silentLog,
  type Tid,
  UnknownSessionError,
  UnknownStorageError,
} from "../../../core/index.js";
import { serverWorld } from "../../support/server-world.js";
import { textOf, utf8, WireClient } from "../../support/wire-client.js";

describe("a storage server", () => {
  test("commits writes, and loads them", async () => {
    const { client: connect } = await serverWorld();
    const client = await connect();
    const { position } = client.registered;
    expect(await client.verify(position)).toEqual({ type: "upToDate", position });

    const committed = await client.commit({ writes: { a: "1", b: "2" } });
    expect(committed.previous).toBe(0);
    const loaded = await client.load(committed.tid, "a", "b", "c");
    expect(loaded.asOf).toEqual({ tid: committed.tid, digest: committed.digest });
    expect(loaded.revisions.map(({ serial, value }) => [serial, textOf(value)])).toEqual([
      [committed.tid, "1"],
      [committed.tid, "2"],
      [0, undefined],
    ]);
    expect(client.invalidated).toEqual([{ ...committed, keyCount: 2, keys: ["a", "b"] }]);
  });

  test("refuses to lose an update", async () => {
    const { client: connect } = await serverWorld();
    const client = await connect();
    const { tid: snapshot } = await client.commit({ writes: { a: "0" } });
    const { tid: current } = await client.commit({ snapshot, writes: { a: "1" } });
    await expect(client.commit({ snapshot, writes: { a: "2" } })).rejects.toMatchObject({ facts: { key: "a", base: snapshot, current } });
    await expect(client.commit({ snapshot, reads: ["a"], writes: { b: "2" } })).rejects.toThrow(ConflictError);
    await expect(client.commit({ snapshot, ranges: [{ from: "a", to: "b" }], writes: { b: "2" } })).rejects.toThrow(ConflictError);
    await client.commit({ snapshot, reads: ["a"], serializable: false, writes: { b: "2" } });
  });

  test("loads and lists as of a snapshot, and refuses a snapshot that it has not reached", async () => {
    const { client: connect } = await serverWorld();
    const client = await connect();
    const first = await client.commit({ writes: { a: "1", b: "1" } });
    const second = await client.commit({ snapshot: first.tid, writes: { a: "2", b: undefined } });
    const old = await client.load(first.tid, "a");
    expect(old).toEqual({
      asOf: { tid: second.tid, digest: second.digest },
      revisions: [{ serial: first.tid, value: new Uint8Array(utf8("1")), next: second.tid }],
    });
    const listed = await client.list(second.tid, { from: "a", to: undefined });
    expect(listed.rows.map(({ key, value }) => [key, textOf(value)])).toEqual([["a", "2"]]);
    await expect(client.load((second.tid + 1) as Tid, "a")).rejects.toThrow(BehindError);
    await expect(client.list((second.tid + 1) as Tid, { from: "a", to: undefined })).rejects.toThrow(BehindError);
  });

  test("answers in pages when a result does not fit in one message", async () => {
    const { client: connect } = await serverWorld();
    const client = await connect();
    const large = "x".repeat(200_000);
    const { tid } = await client.commit({ writes: { a: large, b: large, c: large, d: "" } });
    expect((await client.load(tid, "a", "b", "c", "d")).revisions.length).toBe(2);
    expect((await client.load(tid, "c", "d")).revisions.length).toBe(2);
    const page = await client.list(tid, { from: "a", to: undefined }, 2);
    expect(page.rows.map((row) => row.key)).toEqual(["a", "b"]);
    const rest = await client.list(tid, { from: page.end ?? "", to: undefined });
    expect(rest.rows.map((row) => row.key)).toEqual(["c", "d"]);
  });

  test("answers a load larger than a page with one revision", async () => {
    const { client: connect } = await serverWorld();
    const client = await connect();
    const { tid } = await client.commit({ writes: { a: "x".repeat(3_000_000), b: "" } });
    const { revisions } = await client.load(tid, "a", "b");
    expect(revisions.map(({ value }) => value?.length)).toEqual([3_000_000]);
  });

  test("lists the storages that it serves", async () => {
    const { broker, server } = await serverWorld();
    const bytes = await broker.connect().request(storagesSubject("test"), wire.nothing.write({}), { timeoutMs: 1_000 });
    expect(wire.readAnswer(wire.storages, bytes)).toEqual({ realm: "test", storages: ["main"] });
    expect(server.storages).toEqual(["main"]);
    expect(() => server.status("other")).toThrow(UnknownStorageError);
  });

  test("keeps several storages apart", async () => {
    const clock = new SimulatedClock();
    const broker = createBroker({ clock });
    const server = await clock.settle(
      startStorageServer({
        realm: "test",
        storages: { one: { open: new MemoryDisk("one").open }, two: { open: new MemoryDisk("two").open } },
        transport: broker.connect(),
        clock,
        random: seededRandom(1),
        log: silentLog,
      }),
      10_000,
    );
    const one = new WireClient(broker.connect(), "test", "one");
    const two = new WireClient(broker.connect(), "test", "two");
    await one.register();
    await two.register();
    const { tid } = await one.commit({ writes: { a: "1" } });
    expect(two.invalidated).toEqual([]);
    await expect(two.load(tid, "a")).rejects.toThrow(BehindError);
    await server.close();
  });

  test("refuses another version of the protocol, with any fields after the version", async () => {
    const { broker, client: connect } = await serverWorld();
    const client = await connect();
    await expect(client.register({ protocol: 99 })).rejects.toThrow(ProtocolVersionError);
    const { encodeMessage } = await import("../../../core/index.js");
    const bytes = await broker
      .connect()
      .request("zooid.test.storage.main.register", encodeMessage([2, { shape: "unknown" }, 1, 2, 3]), { timeoutMs: 1_000 });
    expect(() => wire.readAnswer(wire.registered, bytes)).toThrow(ProtocolVersionError);
  });

  test("refuses every request of a session it does not know", async () => {
    const world = await serverWorld();
    const client = await world.client();
    const { writes } = world.disk;
    await client.bye();
    const position = client.registered.position;
    const requests = {
      verify: () => client.verify(position),
      log: () => client.log(0 as Tid),
      keys: () => client.keys(0 as Tid, 0),
      load: () => client.load(0 as Tid, "a"),
      list: () => client.list(0 as Tid, { from: "a", to: undefined }),
      commit: () => client.commit({ writes: { a: "1" } }),
      vote: () => client.vote({ writes: { a: "1" } }),
      finish: () => client.finish("t"),
      abort: () => client.abort("t"),
      settle: () => client.settle("t"),
      alive: () => client.alive(),
      bye: () => client.bye(),
      status: () => client.status(),
    };
    for (const [operation, request] of Object.entries(requests)) {
      await expect(request(), operation).rejects.toThrow(UnknownSessionError);
    }
    expect(world.disk.writes).toBe(writes);
  });

  test("answers a malformed message on any subject with a typed error, and goes on", async () => {
    const world = await serverWorld();
    const client = await world.client();
    const { writes } = world.disk;
    for (const payload of [utf8(""), utf8("nonsense"), Buffer.from([0xc1]), Buffer.from([0x90]), Buffer.from([0x93, 1, 2])]) {
      for (const operation of ["verify", "log", "keys", "load", "list", "commit", "vote", "finish", "abort", "settle", "alive", "bye"]) {
        const answer = await client.raw(operation, payload);
        expect(() => wire.readAnswer(wire.nothing, answer), operation).toThrow(MalformedMessageError);
      }
      const registered = await client.transport.request("zooid.test.storage.main.register", payload, { timeoutMs: 1_000 });
      expect(() => wire.readAnswer(wire.registered, registered)).toThrow(MalformedMessageError);
      for (const subject of ["register", "writer", "invalidations", `${client.registered.instance}.commit`]) {
        client.heard.length = 0;
        world.broker
          .connect()
          .publish(`zooid.test.storage.main.${subject}`, subject === "invalidations" ? Buffer.from([0x97, 0xa1, 0x68]) : payload);
      }
    }
    const unknown = await client.raw("explode", wire.nothing.write({}));
    expect(() => wire.readAnswer(wire.nothing, unknown)).toThrow(MalformedMessageError);
    expect(world.disk.writes).toBe(writes);
    await client.commit({ writes: { a: "1" } });
  });

  test("refuses writes when the server or the client is read-only", async () => {
    const world = await serverWorld();
    const reader = new WireClient(world.broker.connect(), "test", "main");
    expect(await reader.register({ readOnly: true })).toMatchObject({ readOnly: true });
    await expect(reader.commit({ writes: { a: "1" } })).rejects.toMatchObject({ facts: { who: "client" } });
    await world.server.close();

    await world.restart({ readOnly: true });
    const client = await world.client();
    expect(client.registered.readOnly).toBe(true);
    for (const write of [client.commit({}), client.vote({}), client.finish("t"), client.abort("t"), client.settle("t")]) {
      await expect(write).rejects.toThrow(ReadOnlyError);
    }
    expect((await client.load(0 as Tid, "a")).revisions).toEqual([{ serial: 0, value: undefined, next: undefined }]);
  });

  test("reports its status, even without a session", async () => {
    const world = await serverWorld();
    const client = await world.client("alice");
    const { tid } = await client.commit({ writes: { a: "1" } });
    await client.vote({ id: "v", snapshot: tid, writes: { b: "1" } });
    await client.alive(tid);
    await world.clock.advance(3_000);
    const status = await client.status("");
    expect(status).toMatchObject({
      storage: "main",
      readOnly: false,
      position: { tid },
      sessions: [{ client: "alice", state: "live", sinceMs: 3_000, seenMsAgo: 3_000, oldestSnapshot: tid }],
      openTransactions: [{ id: client.id("v"), client: "alice", state: "voted", sinceMs: 3_000 }],
      machines: { "group-commit": "idle", pruning: "idle" },
      counters: { commits: 1, batches: 1, conflicts: 0, objects: 1 },
    });
    expect(world.server.status("main").instance).toBe(client.registered.instance);
  });

  test("reports ages by elapsed time, even when the wall clock is set", async () => {
    const world = await serverWorld();
    const client = await world.client("alice");
    await client.vote({ id: "v", writes: { b: "1" } });
    await world.clock.advance(1_000);
    await client.alive();
    const before = await client.status("");
    world.clock.shiftWall(-3_600_000);
    await world.clock.advance(2_000);
    const { uptimeMs, sessions, openTransactions } = await client.status("");
    expect(uptimeMs - before.uptimeMs).toBe(2_000);
    expect(sessions).toMatchObject([{ sinceMs: 3_000, seenMsAgo: 2_000 }]);
    expect(openTransactions).toMatchObject([{ sinceMs: 3_000 }]);
  });

  test("has a new instance id at each start, and the subjects of the old id are not served", async () => {
    const world = await serverWorld();
    const client = await world.client();
    const { tid } = await client.commit({ writes: { a: "1" } });
    await world.server.close();
    expect(client.heard.at(-1)).toEqual({ type: "goodbye", instance: client.registered.instance });
    await world.restart();
    await expect(client.load(tid, "a")).rejects.toMatchObject({ code: "ZOOID_DISCONNECTED" });
    const again = await world.client();
    expect(again.registered.instance).not.toBe(client.registered.instance);
    expect(textOf((await again.load(tid, "a")).revisions[0]?.value)).toBe("1");
  });

  test("bounds its sessions", async () => {
    const world = await serverWorld({ sessionsMax: 2 });
    const client = await world.client();
    await world.client();
    await expect(world.client()).rejects.toThrow(ServerBusyError);
    await client.bye();
    await world.client();
  });

  test("ends the session of a client that was silent for the session time-out, and no other", async () => {
    const world = await serverWorld({ sessionTimeoutMs: 10_000 });
    const silent = await world.client();
    const speaking = await world.client();
    await world.clock.advance(9_000);
    await speaking.load(0 as Tid, "a");
    await world.clock.advance(1_000);
    await expect(silent.alive()).rejects.toThrow(UnknownSessionError);
    await speaking.alive();
  });

  test("publishes its position at each start and each heartbeat", async () => {
    const world = await serverWorld({ heartbeatIntervalMs: 500 });
    const client = await world.client();
    const { tid, digest } = await client.commit({ writes: { a: "1" } });
    client.heard.length = 0;
    await world.clock.advance(1_000);
    const beat = {
      type: "heartbeat",
      instance: client.registered.instance,
      startedAt: expect.any(Number) as number,
      links: 0,
      readOnly: false,
      role: "writer",
      position: { tid, digest },
    };
    expect(client.heard).toEqual([beat, beat]);
    await world.server.close();
    client.heard.length = 0;
    const next = await world.restart();
    await world.settled();
    expect(client.heard).toEqual([{ ...beat, instance: next.instance }]);
  });

  test("sends a heartbeat at once when its link returns", async () => {
    const world = await serverWorld({ heartbeatIntervalMs: 60_000 });
    const client = await world.client();
    await world.server.close();
    await world.restart();
    world.broker.stop();
    await world.clock.advance(10);
    client.heard.length = 0;
    world.broker.start();
    await world.settled();
    expect(client.heard.map((message) => message.type)).toEqual(["heartbeat"]);
  });

  test.each([
    [{ heartbeatIntervalMs: 0 }, "heartbeatIntervalMs"],
    [{ transactionTimeoutMs: 0.5 }, "transactionTimeoutMs"],
    [{ sessionsMax: -1 }, "sessionsMax"],
    [{ commitQueueMax: Number.NaN }, "commitQueueMax"],
    [{ keepAliveIntervalMs: 30_000 }, "keepAliveIntervalMs"],
    [{ realm: "a.b" }, "realm"],
    [{ storage: { historyAgeMs: 0 } }, "storages.main.historyAgeMs"],
  ])("names the option that is wrong: %o", async (options, option) => {
    const wrong = serverWorld(options);
    await expect(wrong).rejects.toThrow(InvalidOptionError);
    await expect(wrong).rejects.toMatchObject({ facts: { option } });
  });

  test("does not start with a storage that cannot be opened, and closes the others", async () => {
    const clock = new SimulatedClock();
    const good = new MemoryDisk("good");
    const start = (storages: Record<string, { open: MemoryDisk["open"] }>) =>
      clock.settle(
        startStorageServer({
          realm: "test",
          storages,
          transport: createBroker({ clock }).connect(),
          clock,
          random: seededRandom(1),
          log: silentLog,
        }),
        10_000,
      );
    await expect(start({ good: { open: good.open }, lost: { open: () => Promise.reject(new Error("no such folder")) } })).rejects.toThrow(
      "no such folder",
    );
    await (await start({ good: { open: good.open } })).close();
  });
});

test("a value that could be written but never listed is refused, and nothing is written", async () => {
  const { server, client } = await serverWorld();
  const writer = await client();
  const { position } = server.status("main");
  const large = writer.commit({ writes: { small: "1", large: "x".repeat(limits.valueBytesMax + 1) } });
  await expect(large).rejects.toMatchObject({ code: "ZOOID_TOO_LARGE", facts: { sizeMax: limits.valueBytesMax } });
  expect(server.status("main").position).toEqual(position);
});
