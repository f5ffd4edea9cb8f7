import { describe, expect, test } from "vitest";
import { startStorageServer, type StorageServerOptions } from "../../actors/storage-server.js";
import { storageSubjects } from "../../actors/messages.js";
import * as wire from "../../actors/wire.js";
import { MemoryDisk } from "../../storage/memory-store.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import { createBroker } from "../../transport/in-process.js";
import { AnotherWriterError, seededChance, silentLog, tidZero } from "../../words/index.js";
import { emptyDigest } from "../empty-digest.js";
import { serverWorld } from "../server-world.js";

const subjects = storageSubjects("test", "main");

describe("a second writer of the same storage", () => {
  test("does not start while the first one lives", async () => {
    const world = await serverWorld();
    const options = { storage: { open: new MemoryDisk("other").open } };
    await expect(world.restart(options)).rejects.toThrow(AnotherWriterError);
    await expect(world.restart(options)).rejects.toMatchObject({ facts: { storage: "main", instance: world.server.instance } });
    await world.server.close();
    await (await world.restart(options)).close();
  });

  test("starts when nobody answers for a second, though somebody listens", async () => {
    const world = await serverWorld();
    await world.server.close();
    world.broker.connect().subscribe(subjects.writer, () => undefined);
    expect((await world.restart()).storages).toEqual(["main"]);
  });

  test("is allowed when it only reads", async () => {
    const world = await serverWorld();
    const reader = await world.restart({ readOnly: true, storage: { open: new MemoryDisk("other").open } });
    await world.clock.advance(5_000);
    expect([world.fatal, reader.status("main").readOnly]).toEqual([[], true]);
  });

  test("that started unnoticed is noticed by its heartbeat: the one that started later stops, and says goodbye", async () => {
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
          chance: seededChance(name.length),
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
    // What is heard first is a heartbeat of the later one.
    await clock.advance(900);
    // The network heals: from now on each hears the other, and their requests get through.
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
      const subject = subjects.operation(instance, "status");
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

  test("is not believed to live because of a heartbeat that was late in coming", async () => {
    const world = await serverWorld();
    await world.clock.advance(1_000);
    const ghost = {
      type: "heartbeat",
      instance: "ghost",
      startedAt: 1,
      readOnly: false,
      position: { tid: tidZero, digest: emptyDigest },
    } as const;
    world.broker.connect().publish(subjects.invalidations, wire.broadcast.write(ghost));
    await world.clock.advance(5_000);
    expect([world.fatal, world.server.storages]).toEqual([[], ["main"]]);
  });
});
