import { describe, expect, test } from "vitest";
import type { AnyMachineSnapshot } from "xstate";
import { type ActorSystem, createActorSystem } from "../../../actors/system/actor-system.js";
import { ConflictError, limits, ReadOnlyError, ServerBusyError, tidZero, TransactionAbortedError } from "../../../core/index.js";
import { createBroker } from "../../../transport/in-process.js";
import { serverWorld, type WorldOptions } from "../../support/server-world.js";
import { watched } from "../../support/watched.js";
import { newId, textOf } from "../../support/wire-client.js";

/** A world after one commit, with a disk that holds writes from now on. */
async function heldWorld(options: WorldOptions = {}) {
  const world = await serverWorld(options);
  const client = await world.client();
  const { tid: snapshot } = await client.commit({ writes: { a: "0", b: "0" } });
  await client.register();
  client.heard.length = 0;
  world.disk.held = true;
  return { ...world, client, snapshot };
}

/** An actor system that reports the state of one of its actors after each event. */
function watching(watched: string, onState: (state: string) => void): ActorSystem {
  const system = createActorSystem({ realm: "test", transport: createBroker().connect() });
  const register = system.register.bind(system);
  system.register = (path, actor, endpoint) => {
    if (path === watched) actor.subscribe((snapshot: AnyMachineSnapshot) => onState(String(snapshot.value)));
    return register(path, actor, endpoint);
  };
  return system;
}

describe("group commit", () => {
  test("has one batch in flight; commits that come meanwhile queue and share the next", async () => {
    const { client, disk, settled } = await heldWorld();
    const first = watched(client.commit({ writes: { a: "1" } }));
    await settled();
    const others = ["c", "d", "e"].map((key) => watched(client.commit({ writes: { [key]: "1" } })));
    await settled();
    expect([disk.waiting, first.state]).toEqual([1, "waiting"]);
    disk.next().finish();
    await settled();
    expect([disk.waiting, first.state, others.map(({ state }) => state)]).toEqual([1, "done", ["waiting", "waiting", "waiting"]]);
    disk.next().finish();
    await settled();
    expect(others.map(({ state }) => state)).toEqual(["done", "done", "done"]);
    expect(client.heard.map((message) => message.type === "invalidations" && message.transactions.length)).toEqual([1, 3]);
  });

  test("says writing from the moment a commit is on its way to the disk, also one that nothing else waits for", async () => {
    const { client, disk, settled, server } = await heldWorld();
    const state = () => server.status("main").machines["group-commit"];
    expect(state()).toBe("idle");
    const lone = watched(client.commit({ writes: { a: "1" } }));
    await settled();
    expect([disk.waiting, state()]).toEqual([1, "writing"]);
    disk.next().finish();
    await settled();
    expect([lone.state, state()]).toEqual(["done", "idle"]);
  });

  test("a lone commit that the disk takes at once is no event of the machine", async () => {
    const states: string[] = [];
    const world = await serverWorld({ system: watching("server/main/group-commit", (state) => states.push(state)) });
    const client = await world.client();
    for (const atOnce of [true, false]) {
      world.disk.writesLoneAtOnce = atOnce;
      states.length = 0;
      await client.commit({ writes: { [`a${atOnce}`]: "1" } });
      await world.settled();
      expect(states).toEqual(atOnce ? [] : ["writing", "idle"]);
    }
    expect(world.server.status("main").counters).toMatchObject({ batches: 2, commits: 2 });
  });

  test("opens a batch only after it has taken all messages of one socket read", async () => {
    const { client, disk, settled } = await heldWorld();
    const commits = ["c", "d", "e"].map((key) => client.commit({ writes: { [key]: "1" } }));
    await settled();
    expect(disk.waiting).toBe(1);
    disk.next().finish();
    const done = await Promise.all(commits);
    expect(done.map(({ previous }) => previous).slice(1)).toEqual(done.map(({ tid }) => tid).slice(0, 2));
    expect(disk.waiting).toBe(0);
  });

  test("sends no tid before it is durable, neither to the committing client nor to others", async () => {
    const { client, disk, settled, snapshot, server } = await heldWorld();
    const commit = watched(client.commit({ writes: { a: "1" } }));
    await settled();
    expect([commit.state, client.invalidated, server.status("main").position.tid]).toEqual(["waiting", [], snapshot]);
    expect((await client.alive()).position.tid).toBe(snapshot);
    expect(textOf((await client.load(snapshot, "a")).revisions[0]?.value)).toBe("0");
    disk.next().finish();
    await settled();
    expect(commit.state).toBe("done");
  });

  test("publishes a batch before it answers", async () => {
    const { client, disk, settled } = await heldWorld();
    const order: string[] = [];
    client.transport.subscribe("zooid.test.storage.main.invalidations", () => order.push("published"));
    const commit = client.commit({ writes: { a: "1" } }).then(() => order.push("answered"));
    await settled();
    disk.next().finish();
    await commit;
    expect(order).toEqual(["published", "answered"]);
  });

  test("a conflict with a batch waits until the batch is durable; a conflict with the log does not wait", async () => {
    const { client, disk, settled, snapshot } = await heldWorld();
    const first = watched(client.commit({ writes: { a: "1" } }));
    const resting = watched(client.commit({ writes: { a: "2" } }));
    const atOnce = watched(client.commit({ snapshot: (snapshot - 1) as typeof snapshot, writes: { b: "2" } }));
    await settled();
    expect([first.state, resting.state, atOnce.state]).toEqual(["waiting", "waiting", "failed"]);
    expect(atOnce.error).toBeInstanceOf(ConflictError);
    disk.next().finish();
    await settled();
    expect(resting.error).toMatchObject({ facts: { key: "a", base: snapshot, current: first.value?.tid } });
  });

  test("queued commits are validated when their batch opens, against the batch before", async () => {
    const { client, disk, settled } = await heldWorld();
    const first = watched(client.commit({ writes: { a: "1" } }));
    await settled();
    const second = watched(client.commit({ writes: { a: "2" } }));
    disk.next().finish();
    await settled();
    expect([first.state, second.state, disk.waiting]).toEqual(["done", "failed", 0]);
    expect(second.error).toBeInstanceOf(ConflictError);
  });

  test.each(["the queue", "the batch", "the log"])(
    "a copy that finds its original in %s is answered like it, and commits once",
    async (where) => {
      const { client, disk, settled } = await heldWorld();
      const id = newId();
      const blocker = where === "the queue" ? watched(client.commit({ writes: { b: "1" } })) : undefined;
      await settled();
      const request = { id, reads: ["a"], writes: { a: "1" } };
      const original = watched(client.commit(request));
      if (where !== "the queue") await settled();
      if (where === "the log") {
        disk.next().finish();
        await settled();
      }
      const copy = watched(client.commit(request));
      await settled();
      while (disk.waiting > 0) {
        disk.next().finish();
        await settled();
      }
      expect(blocker?.state ?? "done").toBe("done");
      expect([original.state, copy.state]).toEqual(["done", "done"]);
      expect(copy.value).toEqual(original.value);
      expect(client.invalidated.filter(({ keys }) => keys?.includes("a"))).toHaveLength(1);
    },
  );

  test("answers a bounded number of copies of a commit in flight, and no more", async () => {
    const { client, disk, settled } = await heldWorld();
    const id = newId();
    const request = { id, writes: { a: "1" } };
    const original = watched(client.commit(request));
    await settled();
    const copies = Array.from({ length: 3 * limits.copiesAnsweredMax }, () => watched(client.commit(request)));
    const settlements = Array.from({ length: 3 * limits.copiesAnsweredMax }, () => watched(client.settle(id)));
    await settled();
    disk.next().finish();
    await settled();
    expect(original.state).toBe("done");
    for (const asked of [copies, settlements]) {
      expect(asked.filter(({ state }) => state === "done")).toHaveLength(limits.copiesAnsweredMax);
      expect(asked.filter(({ state }) => state === "waiting")).toHaveLength(2 * limits.copiesAnsweredMax);
    }
    expect(settlements[0]?.value?.committed).toEqual(original.value);
    expect(await client.commit(request)).toEqual(original.value);
  });

  test("after a write in doubt, answers commits that the log contains as committed", async () => {
    const { client, disk, clock, settled } = await heldWorld();
    const commit = watched(client.commit({ writes: { a: "1" } }));
    await settled();
    disk.next().fail(true);
    await settled();
    expect([commit.state, client.invalidated]).toEqual(["waiting", []]);
    await clock.advance(50);
    expect(commit.state).toBe("done");
    expect(client.invalidated.map(({ tid }) => tid)).toEqual([commit.value?.tid]);
  });

  test("after a write in doubt, refuses commits that the log does not contain, and no copy of them commits later", async () => {
    const { client, disk, clock, settled } = await heldWorld();
    const id = newId();
    const commit = watched(client.commit({ id, writes: { a: "1" } }));
    const resting = watched(client.commit({ writes: { a: "2" } }));
    await settled();
    disk.next().fail(false);
    await clock.advance(50);
    expect(commit.error).toBeInstanceOf(TransactionAbortedError);
    // The conflicting commit is gone.
    disk.next().finish();
    await settled();
    expect(resting.state).toBe("done");
    disk.held = false;
    await expect(client.commit({ id, writes: { a: "1" } })).rejects.toThrow(TransactionAbortedError);
    expect(client.invalidated).toHaveLength(1);
  });

  test("after a write in doubt, the chain of tids has no gap", async () => {
    const { client, disk, clock, settled, snapshot } = await heldWorld();
    const lost = watched(client.commit({ writes: { a: "1" } }));
    await settled();
    disk.next().fail(false);
    await clock.advance(50);
    expect(lost.state).toBe("failed");
    disk.held = false;
    expect((await client.commit({ writes: { b: "1" } })).previous).toBe(snapshot);
  });

  test("refuses commits for a while when writing fails again, and goes on answering loads", async () => {
    const { client, disk, clock, settled, server, snapshot } = await heldWorld();
    for (let attempt = 0; attempt < 2; attempt++) {
      const commit = watched(client.commit({ writes: { a: "1" } }));
      await settled();
      disk.next().fail(false);
      await clock.advance(50);
      expect(commit.state).toBe("failed");
    }
    expect(server.status("main")).toMatchObject({ readOnly: true, machines: { "group-commit": "readOnly" } });
    await expect(client.commit({ writes: { b: "1" } })).rejects.toThrow(ReadOnlyError);
    await expect(client.settle("never-came", snapshot)).rejects.toThrow(ReadOnlyError);
    expect(textOf((await client.load(snapshot, "a")).revisions[0]?.value)).toBe("0");
    disk.held = false;
    await clock.advance(30_000);
    await client.register();
    await client.commit({ writes: { b: "1" } });
  });

  test("two writes that fail are not two in a row when a lone commit was written between them", async () => {
    const { client, disk, clock, settled, server } = await heldWorld();
    disk.writesLoneAtOnce = true;
    for (let attempt = 0; attempt < 2; attempt++) {
      disk.held = true;
      const commit = watched(client.commit({ writes: { a: "1" } }));
      await settled();
      disk.next().fail(false);
      await clock.advance(50);
      expect(commit.state).toBe("failed");
      disk.held = false;
      await client.commit({ writes: { [`c${attempt}`]: "1" } });
    }
    expect(server.status("main")).toMatchObject({ readOnly: false, machines: { "group-commit": "idle" } });
  });

  test("while the store is opened again, loads fail as transient", async () => {
    const { client, disk, settled, clock, snapshot } = await heldWorld();
    const commit = watched(client.commit({ writes: { a: "1" } }));
    await settled();
    disk.openFails = true;
    disk.next().fail(true);
    await clock.advance(60);
    await expect(client.load(snapshot, "a")).rejects.toMatchObject({ transient: true });
    disk.openFails = false;
    await clock.advance(5_000);
    expect(commit.state).toBe("done");
    await client.load(snapshot, "a");
  });

  test("ends without an answer when the store cannot be opened again", async () => {
    const { client, disk, clock, settled, fatal, snapshot } = await heldWorld();
    const commit = watched(client.commit({ writes: { a: "1" } }));
    await settled();
    disk.openFails = true;
    disk.next().fail(true);
    await clock.advance(20_000);
    expect(fatal).toHaveLength(1);
    expect(commit.state).toBe("waiting");
    await expect(client.load(snapshot, "a")).rejects.toMatchObject({ code: "ZOOID_DISCONNECTED" });
  });

  test("bounds the commits that wait, and a copy of a refused one does not commit", async () => {
    const { client, disk, settled } = await heldWorld({ commitQueueMax: 2 });
    const id = newId();
    const taken = [];
    for (const key of ["c", "d", "e"]) {
      taken.push(watched(client.commit({ writes: { [key]: "1" } })));
      await settled();
    }
    await expect(client.commit({ id, writes: { f: "1" } })).rejects.toThrow(ServerBusyError);
    disk.held = false;
    disk.next().finish();
    await settled();
    expect(taken.map(({ state }) => state)).toEqual(["done", "done", "done"]);
    await expect(client.commit({ id, writes: { f: "1" } })).rejects.toThrow(TransactionAbortedError);
  });

  test("bounds the bytes of commits that wait", async () => {
    const { client, disk, settled } = await heldWorld({ commitsInAirBytesMax: 10_000 });
    const first = watched(client.commit({ writes: { c: "x".repeat(9_000) } }));
    await settled();
    await expect(client.commit({ writes: { d: "x".repeat(9_000) } })).rejects.toThrow(ServerBusyError);
    disk.held = false;
    disk.next().finish();
    await settled();
    expect(first.state).toBe("done");
    await client.commit({ writes: { d: "x".repeat(9_000) } });
  });

  test("leaves commits that would make a batch too large for the next one", async () => {
    const { client, disk, settled } = await heldWorld({ batchBytesMax: 5_000 });
    const commits = ["c", "d", "e"].map((key) => watched(client.commit({ writes: { [key]: "x".repeat(3_000) } })));
    await settled();
    disk.next().finish();
    await settled();
    expect(commits.map(({ state }) => state)).toEqual(["done", "done", "waiting"]);
    disk.next().finish();
    await settled();
    expect(commits.map(({ state }) => state)).toEqual(["done", "done", "done"]);
  });

  test("closing finishes the batch that is being written and refuses waiting commits", async () => {
    const { client, disk, settled, server } = await heldWorld();
    const inAir = watched(client.commit({ writes: { a: "1" } }));
    await settled();
    const waiting = watched(client.commit({ writes: { b: "1" } }));
    await settled();
    const closed = watched(server.close());
    await settled();
    expect(closed.state).toBe("waiting");
    disk.next().finish();
    await settled();
    expect([inAir.state, waiting.state, closed.state]).toEqual(["done", "failed", "done"]);
    expect(waiting.error).toBeInstanceOf(TransactionAbortedError);
    expect(client.heard.map(({ type }) => type)).toEqual(["invalidations", "goodbye"]);
  });

  test("a commit that was taken in just before the server was killed is not written", async () => {
    const { client, disk, settled, server } = await heldWorld();
    disk.held = false;
    const { writes } = disk;
    // A second message of the same read: the server is killed before the batch of the first opens.
    client.transport.subscribe("zooid.test.kill", () => server.kill());
    const commit = watched(client.commit({ writes: { a: "1" } }));
    client.transport.publish("zooid.test.kill", new Uint8Array());
    await settled();
    expect([commit.state, disk.writes]).toEqual(["waiting", writes]);
  });

  test("killing sends no answer", async () => {
    const { client, disk, settled, server } = await heldWorld();
    const commit = watched(client.commit({ writes: { a: "1" } }));
    await settled();
    server.kill();
    disk.next().finish();
    await settled();
    expect([commit.state, client.heard]).toEqual(["waiting", []]);
  });
});

describe("settling", () => {
  test("reports commits as committed, and fences for ever ids that never arrived", async () => {
    const world = await serverWorld();
    const client = await world.client();
    const id = newId();
    const committed = await client.commit({ id, writes: { a: "1" } });
    expect(await client.settle(id, committed.tid)).toEqual({ committed });
    expect(await client.settle("never-came", committed.tid)).toEqual({ committed: undefined });
    await expect(client.commit({ id: "never-came", snapshot: committed.tid, writes: { a: "2" } })).rejects.toThrow(TransactionAbortedError);
    await world.server.close();
    await world.restart();
    const again = await world.client("tester", client.clientSecret);
    await expect(again.commit({ id: "never-came", snapshot: committed.tid, writes: { a: "2" } })).rejects.toThrow(TransactionAbortedError);
    expect(await again.settle("never-came", committed.tid)).toEqual({ committed: undefined });
    expect(await again.settle(id, committed.tid)).toEqual({ committed });
  });

  test("waits for the batch in flight", async () => {
    const { client, disk, settled } = await heldWorld();
    const id = newId();
    const commit = watched(client.commit({ id, writes: { a: "1" } }));
    await settled();
    const settle = watched(client.settle(id, client.registered.position.tid));
    await settled();
    expect(settle.state).toBe("waiting");
    disk.next().finish();
    await settled();
    expect(settle.value).toEqual({ committed: commit.value });
  });

  test('does not answer "never" before the fence is durable', async () => {
    const { client, disk, settled } = await heldWorld();
    const settle = watched(client.settle("never-came", client.registered.position.tid));
    const copy = watched(client.commit({ id: "never-came", writes: { a: "1" } }));
    await settled();
    expect(settle.state).toBe("waiting");
    expect(copy.error).toBeInstanceOf(TransactionAbortedError);
    disk.next().finish();
    await settled();
    expect(settle.value).toEqual({ committed: undefined });
  });

  test("never guesses below the id floor", async () => {
    const world = await serverWorld({ storage: { outcomeAgeMs: 60_000 } });
    const client = await world.client();
    const { tid: old } = await client.commit({ writes: { a: "1" } });
    await world.clock.advance(15_000);
    await client.alive();
    await world.clock.advance(15_000);
    await client.alive();
    await world.clock.advance(15_000);
    await client.alive();
    await world.clock.advance(15_001);
    await client.commit({ snapshot: old, writes: { b: "1" } });
    await world.clock.advance(1);
    await client.commit({ snapshot: (old + 1_024) as typeof old, writes: { c: "1" } });
    await expect(client.settle("long-ago", tidZero)).rejects.toMatchObject({ code: "ZOOID_OUTCOME_UNKNOWN" });
    await expect(client.commit({ id: "long-ago", snapshot: tidZero, writes: { d: "1" } })).rejects.toMatchObject({
      code: "ZOOID_SNAPSHOT_TOO_OLD",
    });
  });
});
