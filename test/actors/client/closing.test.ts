import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, test } from "vitest";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Value } from "../../../core/index.js";
import { all, clientWorld, type ClientWorld } from "../../support/client-world.js";
import { watched } from "../../support/watched.js";

const worlds: ClientWorld[] = [];

async function world(): Promise<ClientWorld> {
  const made = await clientWorld();
  worlds.push(made);
  return made;
}

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

const closed = expect.objectContaining({ code: "ZOOID_CLOSED" });
const closeTimeoutMs = 2_000;
const hang = () => new Promise<never>(() => undefined);

describe("the end of a client", () => {
  test("waits for a transaction's function up to its time-out, then ends it with ClosedError", async () => {
    const { open, run, clock, server } = await world();
    const { client } = await open("a", { closeTimeoutMs });
    const slow = watched(client.transact((tx) => new Promise<void>((resolve) => clock.setTimeout(() => resolve(tx.put("x", 1)), 1_000))));
    const hanging = watched(client.transact((tx) => tx.put("y", 1).then(hang)));
    const foreign = watched(client.transact(() => runInNewContext("new Promise(() => undefined)") as Promise<never>));
    const since = clock.monotonic();
    await run(client.close());
    expect(clock.monotonic() - since).toBe(closeTimeoutMs);
    expect([slow.state, hanging.state, foreign.state]).toEqual(["done", "failed", "failed"]);
    expect([hanging.error, foreign.error]).toEqual([closed, closed]);
    expect(server.status("main").counters["commits"]).toBe(1);
  });

  test("takes at most 5 s by default", async () => {
    const { open, run, clock, disk } = await world();
    const { client } = await open("a");
    const hanging = watched(client.transact(hang));
    disk.held = true;
    const sent = watched(client.put("x", 1));
    await clock.until(() => disk.waiting > 0, 1_000);
    const since = clock.monotonic();
    await run(client.close());
    expect(clock.monotonic() - since).toBe(5_000);
    expect(hanging.error).toEqual(closed);
    expect(sent.error).toMatchObject({ code: "ZOOID_OUTCOME_UNKNOWN" });
  });

  test("ends reads at once", async () => {
    const { open, run, clock } = await world();
    await run((await open("b")).client.put("x", 1));
    const { client, transport } = await open("a", { closeTimeoutMs });
    for (const operation of ["load", "alive", "list"]) transport.held.set(operation, hang());
    const reads = [
      client.read(hang),
      client.read((tx) => tx.get("x")),
      client.read(() => 1, { serverSync: true }),
      client.get("x"),
      client.getMany(["x", "y"]),
      all(client.list("")),
    ].map((read) => watched<unknown>(read));
    await clock.advance(0);
    const since = clock.monotonic();
    await run(client.close());
    expect(clock.monotonic() - since).toBe(0);
    await clock.advance(0);
    for (const { error } of reads) expect(error).toEqual(closed);
  });

  test("waits for the answer to a commit that was sent", async () => {
    const { open, run, clock, disk, server } = await world();
    const { client } = await open("a", { closeTimeoutMs });
    disk.held = true;
    const sent = client.put("x", 1);
    await clock.until(() => disk.waiting > 0, 1_000);
    const closing = watched(client.close());
    await clock.advance(closeTimeoutMs - 1);
    expect(closing.state).toBe("waiting");
    disk.next().finish();
    expect(await run(sent)).toBe(server.status("main").position.tid);
    await clock.advance(0);
    expect(closing.state).toBe("done");
  });

  test("happens at its time-out with the outcome of a commit unknown, in each phase: awaited, being settled, or between attempts", async () => {
    for (const doubtMs of [0, 500, 7_000]) {
      const { open, run, clock, disk, server } = await world();
      const { client } = await open("a", { closeTimeoutMs, requestTimeoutMs: 1_000 });
      disk.held = true;
      const sent = watched(client.put("x", 1));
      const voted = await run(client.begin());
      await voted.put("y", 1);
      await clock.until(() => disk.waiting > 0, 1_000);
      if (doubtMs > 0) server.kill();
      await clock.advance(doubtMs);
      const since = clock.monotonic();
      await run(client.close());
      expect(clock.monotonic() - since).toBe(closeTimeoutMs);
      expect(sent.error).toMatchObject({ code: "ZOOID_OUTCOME_UNKNOWN" });
    }
  });

  test("leaves the outcome of an unanswered finish unknown", async () => {
    const { open, run, clock, disk } = await world();
    const { client } = await open("a", { closeTimeoutMs });
    const tx = await run(client.begin());
    await tx.put("x", 1);
    await run(tx.vote());
    disk.held = true;
    const finish = watched(tx.finish());
    await clock.until(() => disk.waiting > 0, 1_000);
    const since = clock.monotonic();
    await run(client.close());
    expect(clock.monotonic() - since).toBe(closeTimeoutMs);
    expect(finish.error).toMatchObject({ code: "ZOOID_OUTCOME_UNKNOWN" });
  });

  test("ends watchers at once, while it waits for a commit", async () => {
    const { open, run, clock, disk } = await world();
    const { client } = await open("a", { closeTimeoutMs });
    const change = watched(client.watch("").next());
    disk.held = true;
    watched(client.put("x", 1));
    await clock.until(() => disk.waiting > 0, 1_000);
    const closing = watched(client.close());
    await clock.advance(0);
    expect([change.state, closing.state]).toEqual(["done", "waiting"]);
    await run(client.close());
  });

  test("does not wait for a link that cannot be closed", async () => {
    const { open, run, clock } = await world();
    const { client } = await open("a", { closeTimeoutMs, release: hang });
    const since = clock.monotonic();
    await run(client.close());
    expect(clock.monotonic() - since).toBe(closeTimeoutMs);
  });

  test("ends an unsent commit that waits for a link or for a validator", async () => {
    const { open, run, clock, server } = await world();
    const validator: StandardSchemaV1<unknown, Value> = { "~standard": { version: 1, vendor: "test", validate: hang } };
    const { client } = await open("a", { closeTimeoutMs, schemas: { "slow/*": validator } });
    const transaction = await run(client.begin());
    watched(transaction.put("slow/x", 1));
    const validated = watched(transaction.finish());
    await clock.advance(0);
    server.kill();
    await clock.until(() => !client.isConnected, 10_000);
    const late = watched(client.transact((tx) => new Promise<void>((resolve) => clock.setTimeout(() => resolve(tx.put("x", 1)), 1_500))));
    const since = clock.monotonic();
    await run(client.close());
    expect(clock.monotonic() - since).toBe(closeTimeoutMs);
    expect([late.error, validated.error]).toEqual([closed, closed]);
  });

  test("prevents writes of transaction functions that run on after it", async () => {
    const { open, run, clock, server, disk } = await world();
    const { client } = await open("a", { closeTimeoutMs });
    disk.held = true;
    const sent = watched(client.put("x", 1));
    await clock.until(() => disk.waiting > 0, 1_000);
    let late: Promise<unknown> | undefined;
    const transaction = watched(
      client.transact((tx) => {
        const resumed = new Promise<void>((resolve) => clock.setTimeout(resolve, closeTimeoutMs + 500));
        late = resumed.then(() => Promise.allSettled([tx.put("y", 1), tx.get("y")]));
        return late;
      }),
    );
    const closing = client.close();
    await clock.advance(closeTimeoutMs + 1_000);
    expect(transaction.error).toEqual(closed);
    expect(await late).toMatchObject([{ status: "rejected" }, { status: "rejected" }]);
    disk.next().finish();
    await run(closing);
    expect(sent.error).toMatchObject({ code: "ZOOID_OUTCOME_UNKNOWN" });
    expect(server.status("main").counters["commits"]).toBe(1);
  });
});

describe("a client that is killed", () => {
  test("ends its watchers and all pending calls, and releases its cache and its link", async () => {
    const { open, run, clock, disk } = await world();
    let released = 0;
    const release = () => {
      released++;
      return Promise.resolve();
    };
    const { client, transport } = await open("a", { release });
    const waits = await run(client.begin());
    await waits.put("v", 1);
    await run(waits.vote());
    transport.held.set("load", hang());
    disk.held = true;
    const calls = [client.put("x", 1), client.get("y"), client.read(hang), client.transact(hang), waits.finish()].map((call) =>
      watched<unknown>(call),
    );
    const change = watched(client.watch("").next());
    await clock.until(() => disk.waiting > 0, 1_000);
    client.kill();
    await run(client.close());
    expect(calls.map(({ error }) => error)).toEqual([
      expect.objectContaining({ code: "ZOOID_OUTCOME_UNKNOWN" }),
      closed,
      closed,
      closed,
      expect.objectContaining({ code: "ZOOID_OUTCOME_UNKNOWN" }),
    ]);
    expect([change.value, released]).toEqual([{ done: true, value: undefined }, 1]);
  });

  test("that waits for a link stops waiting", async () => {
    const { open, run, clock, server } = await world();
    const { client } = await open("a");
    server.kill();
    await clock.until(() => !client.isConnected, 10_000);
    const calls = [client.put("x", 1), client.connected(), client.serverStatus()].map((call) => watched<unknown>(call));
    await clock.advance(0);
    client.kill();
    await run(client.close());
    expect(calls.map(({ error }) => error)).toEqual([closed, closed, closed]);
  });
});
