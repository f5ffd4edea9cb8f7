import { afterEach, describe, expect, test } from "vitest";
import type { ObjectClient } from "../../../actors/client/object-client.js";
import type { Operation } from "../../../actors/protocol/messages.js";
import { all, clientWorld, type ClientWorld } from "../../support/client-world.js";

const worlds: ClientWorld[] = [];

async function world(): Promise<ClientWorld> {
  const made = await clientWorld();
  worlds.push(made);
  return made;
}

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

const never = new Promise<never>(() => undefined);

describe("a time-out and a signal end a call at once, for each request that the server answers slowly", () => {
  const calls: readonly [name: string, Operation, (client: ObjectClient, signal: AbortSignal) => Promise<unknown>][] = [
    ["a read that loads", "load", (client) => client.read((tx) => tx.get("x"), { timeoutMs: 100 })],
    ["a read that lists", "list", (client) => client.read((tx) => all(tx.list("")), { timeoutMs: 100 })],
    ["a read that must be new", "alive", (client) => client.read(() => 1, { serverSync: true, timeoutMs: 100 })],
    ["a read whose function hangs", "load", (client) => client.read(() => never, { timeoutMs: 100 })],
    ["a transaction that loads", "load", (client) => client.transact((tx) => tx.get("x"), { timeoutMs: 100 })],
    ["a transaction whose function hangs", "load", (client) => client.transact(() => never, { timeoutMs: 100 })],
    ["a transaction of one's own", "load", async (client, signal) => (await client.begin({ signal })).get("x")],
    ["a listing", "list", (client, signal) => all(client.list("", { signal }))],
    ["a look at the server", "status", (client, signal) => client.serverStatus(signal)],
  ];

  test.each(calls)("%s", async (_, operation, call) => {
    const { open, run, clock } = await world();
    const { client, transport } = await open("a");
    await run((await open("b")).client.put("x", 1));
    transport.held.set(operation, new Promise((resolve) => void clock.setTimeout(resolve, 3_000)));
    const aborting = new AbortController();
    const reason = new Error("enough");
    clock.setTimeout(() => aborting.abort(reason), 100);
    const since = clock.monotonic();
    const error = await run(call(client, aborting.signal).catch((each: unknown) => each));
    expect(error === reason || error).toEqual(error === reason ? true : expect.objectContaining({ code: "ZOOID_TIMEOUT" }));
    expect(clock.monotonic() - since).toBe(100);
    expect(client.isConnected).toBe(true);
  });

  test("a function that goes on after its time-out can neither read nor write", async () => {
    const { open, run } = await world();
    const { client } = await open("a");
    let goOn: () => void = () => undefined;
    let late: Promise<unknown> | undefined;
    const transaction = client.transact(
      (tx) => (late = new Promise<void>((resolve) => (goOn = resolve)).then(() => Promise.allSettled([tx.put("x", 1), tx.get("x")]))),
      { timeoutMs: 100 },
    );
    await expect(run(transaction)).rejects.toMatchObject({ code: "ZOOID_TIMEOUT" });
    goOn();
    expect(await late).toMatchObject([{ status: "rejected" }, { status: "rejected" }]);
    expect(await run(client.get("x"))).toBeUndefined();
  });
});

test("close() of a client waits for the commit of a transaction begun with begin()", async () => {
  const { open, run, disk, settled } = await world();
  const { client } = await open("a");
  const transaction = await run(client.begin());
  await run(transaction.put("x", 1));
  disk.held = true;
  const commit = transaction.finish();
  const closed = client.close();
  await settled();
  disk.held = false;
  disk.next().finish();
  expect(await run(commit)).toBe(client.position.tid);
  await run(closed);
});
