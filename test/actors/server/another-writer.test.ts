import { describe, expect, test } from "vitest";
import { startStorageServer, type StorageServerOptions } from "../../../actors/server/server.js";
import { storageSubjects, type Writer } from "../../../actors/protocol/messages.js";
import * as wire from "../../../actors/protocol/codec.js";
import { writerProof } from "../../../actors/protocol/writer-proof.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { createBroker } from "../../../transport/in-process.js";
import { AnotherWriterError, seededRandom, silentLog, tidZero } from "../../../core/index.js";
import { emptyDigest } from "../../support/empty-digest.js";
import { fatalLog } from "../../support/client-world.js";
import { serverWorld, type ServerWorld } from "../../support/server-world.js";
import { TappedTransport } from "../../support/tapped-transport.js";

const subjects = storageSubjects("test", "main");

/** Starts a second server of the same storage, with its own disk. `outcome` is the server or the error. */
function startedAs({ clock, broker }: ServerWorld, more: Partial<StorageServerOptions> = {}): { readonly outcome: unknown } {
  const started: { outcome: unknown } = { outcome: undefined };
  const storages = { main: { open: new MemoryDisk("other").open } };
  const seams = { clock, random: seededRandom(77), log: silentLog, transport: broker.connect() };
  startStorageServer({ realm: "test", storages, ...seams, ...more }).then(
    (server) => (started.outcome = server),
    (error: unknown) => (started.outcome = error),
  );
  return started;
}

interface EarlierWriter {
  answers: (nonce: string) => Writer | undefined;
  readonly asked: number;
  beat(): void;
  proven(nonce: string, facts?: Partial<Writer>): Writer;
}

/** A forged writer that started earlier: it sends heartbeats, and answers as the test says. */
function earlierWriter({ broker }: ServerWorld, answers: EarlierWriter["answers"]): EarlierWriter {
  const transport = broker.connect();
  const writer = { instance: "other", startedAt: 1, role: "writer", position: { tid: tidZero, digest: emptyDigest } } as const;
  const other = {
    answers,
    asked: 0,
    beat: () =>
      transport.publish(subjects.invalidations, wire.broadcast.write({ type: "heartbeat", links: 0, readOnly: false, ...writer })),
    proven(nonce: string, facts: Partial<Writer> = {}): Writer {
      const shown = { ...writer, ...facts };
      return { ...shown, proof: writerProof("test", "main", nonce, shown) };
    },
  };
  transport.subscribe(subjects.operation("other", "writer"), ({ payload, reply }) => {
    other.asked++;
    const answer = other.answers(wire.challenge.read(payload).nonce);
    if (answer !== undefined) reply?.(wire.writeAnswer(wire.writer, answer));
  });
  return other;
}

describe("a second writer of the same storage", () => {
  test("does not start while the first one runs", async () => {
    const world = await serverWorld();
    const options = { storage: { open: new MemoryDisk("other").open } };
    await expect(world.restart(options)).rejects.toThrow(AnotherWriterError);
    await expect(world.restart(options)).rejects.toMatchObject({ facts: { storage: "main", instance: world.server.instance } });
    await world.server.close();
    await (await world.restart(options)).close();
  });

  test("waits while a process listens and does not answer, and starts once the broker reports that no process listens", async () => {
    const world = await serverWorld();
    await world.server.close();
    const silent = world.broker.connect().subscribe(subjects.writer, () => undefined);
    const starting = startedAs(world);
    await world.clock.advance(60_000);
    expect(starting.outcome).toBeUndefined();
    silent.unsubscribe();
    await world.clock.advance(2_000);
    expect(starting.outcome).toMatchObject({ storages: ["main"] });
  });

  test("waits while its request reaches the first one and no answer arrives, and then does not start", async () => {
    const world = await serverWorld();
    const deaf = new TappedTransport(world.broker.connect());
    deaf.deaf.add("writer");
    const starting = startedAs(world, { transport: deaf });
    await world.clock.advance(60_000);
    expect(starting.outcome).toBeUndefined();
    deaf.deaf.clear();
    await world.clock.advance(2_000);
    expect(starting.outcome).toMatchObject({ code: "ZOOID_ANOTHER_WRITER" });
  });

  test("waits for a link before it starts, until it is aborted", async () => {
    const world = await serverWorld();
    await world.server.close();
    world.broker.stop();
    const stop = new AbortController();
    const [called, kept] = [startedAs(world, { signal: stop.signal }), startedAs(world)];
    await world.clock.advance(60_000);
    expect([called.outcome, kept.outcome]).toEqual([undefined, undefined]);
    stop.abort(new Error("called off"));
    await world.clock.advance(0);
    expect(called.outcome).toMatchObject({ message: "called off" });
    world.broker.start();
    await world.clock.advance(1_000);
    expect(kept.outcome).toMatchObject({ storages: ["main"] });
  });

  test("takes over from a silent one, logs it, and remains the writer when that one is heard again", async () => {
    const world = await serverWorld();
    const log = fatalLog();
    const deaf = new TappedTransport(world.broker.connect());
    deaf.deaf.add("writer");
    const starting = startedAs(world, { transport: deaf, takeOver: true, log });
    await world.clock.advance(1_500);
    expect(starting.outcome).toMatchObject({ storages: ["main"] });
    expect(log.fatals).toMatchObject([{ facts: { storage: "main" }, message: /taken over/ }]);
    // The first one hears a heartbeat of the second, asks it, and stops, though it started earlier.
    deaf.deaf.clear();
    await world.clock.advance(5_000);
    expect(world.fatal).toMatchObject([{ code: "ZOOID_ANOTHER_WRITER" }]);
    expect([world.server.storages, starting.outcome]).toMatchObject([[], { storages: ["main"] }]);
  });

  test("does not take over from one that answers", async () => {
    const world = await serverWorld();
    await expect(world.restart({ takeOver: true, storage: { open: new MemoryDisk("other").open } })).rejects.toThrow(AnotherWriterError);
  });

  test("is allowed when it is read-only", async () => {
    const world = await serverWorld();
    const reader = await world.restart({ readOnly: true, storage: { open: new MemoryDisk("other").open } });
    await world.clock.advance(5_000);
    expect([world.fatal, reader.status("main").readOnly]).toEqual([[], true]);
  });

  test("that started unnoticed is noticed by its heartbeat: the server that started later stops, and says goodbye", async () => {
    const clock = new SimulatedClock();
    const [left, right] = [createBroker({ clock }), createBroker({ clock })];
    const fatal: string[] = [];
    const start = async (name: string, broker: typeof left, more: Partial<StorageServerOptions> = {}) =>
      clock.settle(
        startStorageServer({
          realm: "test",
          storages: { main: { open: new MemoryDisk(name).open } },
          transport: broker.connect(),
          clock,
          random: seededRandom(name.length),
          log: silentLog,
          onFatal: (error) => {
            expect(error).toBeInstanceOf(AnotherWriterError);
            fatal.push(name);
          },
          ...more,
        }),
        10_000,
      );
    const first = await start("first", left);
    await clock.advance(600);
    const later = await start("the later one", right);
    // The first message heard is a heartbeat of the later one.
    await clock.advance(900);
    // The network heals: from now on each receives the other's heartbeats and requests.
    const toLeft = left.connect();
    const toRight = right.connect();
    const heard: string[] = [];
    const bridges = [
      [toLeft, toRight],
      [toRight, toLeft],
    ] as const;
    for (const [from, to] of bridges) {
      const passed = new Set<string>();
      from.subscribe(subjects.invalidations, ({ payload }) => {
        const message = wire.broadcast.read(payload);
        const isFromHere = (message.instance === first.instance) === (from === toLeft);
        if (!isFromHere) return;
        heard.push(message.type);
        passed.add(message.type);
        to.publish(subjects.invalidations, payload);
      });
    }
    const askedThrough = (instance: string, from: typeof toLeft, to: typeof toLeft) => {
      const subject = subjects.operation(instance, "writer");
      from.subscribe(subject, ({ payload, reply }) => {
        void to.request(subject, payload, { timeoutMs: 1_000 }).then((answer) => reply?.(answer));
      });
    };
    askedThrough(first.instance, toRight, toLeft);
    askedThrough(later.instance, toLeft, toRight);
    await clock.advance(3_000);
    expect(fatal).toEqual(["the later one"]);
    expect(later.storages).toEqual([]);
    expect(heard).toContain("goodbye");
    expect(first.status("main").readOnly).toBe(false);
  });

  test("that was heard is asked until it answers", async () => {
    const world = await serverWorld();
    await world.clock.advance(1_000);
    const other = earlierWriter(world, () => undefined);
    other.beat();
    await world.clock.advance(30_000);
    expect([world.fatal, other.asked > 10]).toEqual([[], true]);
    other.answers = (nonce) => other.proven(nonce);
    await world.clock.advance(2_000);
    expect(world.fatal).toMatchObject([{ code: "ZOOID_ANOTHER_WRITER", facts: { instance: "other" } }]);
  });

  const forgeries: readonly (readonly [string, (other: EarlierWriter, nonce: string) => Writer | undefined])[] = [
    ["nothing else", () => undefined],
    ["an answer to another question", (other) => other.proven("0123456789abcdef")],
    ["an answer without a proof", (other, nonce) => ({ ...other.proven(nonce), proof: "0" })],
    ["an answer of another instance", (other, nonce) => other.proven(nonce, { instance: "another" })],
    ["an answer of one that started later", (other, nonce) => other.proven(nonce, { startedAt: 2 })],
    ["an answer of one that only reads", (other, nonce) => other.proven(nonce, { role: "reader" })],
  ];
  test.each(forgeries)("is not believed to exist because of a heartbeat and %s", async (_, answer) => {
    const world = await serverWorld();
    await world.clock.advance(1_000);
    const other = earlierWriter(world, (nonce) => answer(other, nonce));
    for (let count = 0; count < 3; count++) {
      other.beat();
      await world.clock.advance(5_000);
    }
    expect(other.asked).toBeGreaterThan(0);
    expect([world.fatal, world.server.storages]).toEqual([[], ["main"]]);
  });

  test("is not believed to live because of a late heartbeat", async () => {
    const world = await serverWorld();
    await world.clock.advance(1_000);
    const ghost = {
      type: "heartbeat",
      instance: "ghost",
      startedAt: 1,
      links: 0,
      readOnly: false,
      role: "writer",
      position: { tid: tidZero, digest: emptyDigest },
    } as const;
    world.broker.connect().publish(subjects.invalidations, wire.broadcast.write(ghost));
    await world.clock.advance(5_000);
    expect([world.fatal, world.server.storages]).toEqual([[], ["main"]]);
  });
});
