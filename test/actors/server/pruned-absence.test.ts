import { afterEach, describe, expect, test } from "vitest";
import { createCache } from "../../../cache.js";
import { limits, seededRandom, SnapshotTooOldError } from "../../../core/index.js";
import { type ClientWorld, clientWorld } from "../../support/client-world.js";

const worlds: ClientWorld[] = [];
const storage = { historyAgeMs: 1_000, snapshotRetentionMs: 1_000 };
const sweepMs = 3_000;

/** A server that ends a session after 2 s of silence, and prunes all history older than 1 s in a sweep every 3 s. */
async function world() {
  const made = await clientWorld({ storage, pruningIntervalMs: sweepMs, sessionTimeoutMs: 2_000 });
  worlds.push(made);
  return made;
}

/**
 * A client reads at an old snapshot of which the server no longer knows. Then `a/1` is deleted, and the deletion is
 * pruned.
 */
async function prunedBehind(hasRead: boolean) {
  const made = await world();
  const { open, run, clock, server } = made;
  const { client: writer } = await open("writer");
  const { client: reader, transport } = await open("reader");
  await run(writer.put("a/1", "old"));
  const { tid } = await run(writer.transact((tx) => tx.put("b", 1)));
  await run(reader.read((tx) => tx.get("b"), { after: tid }));
  const tx = await run(reader.begin());
  if (hasRead) expect(await run(tx.get("a/1"))).toBe("old");
  // No keep-alive arrives, so the session ends, and the server forgets the snapshot.
  let end = (): void => undefined;
  const silence = new Promise<void>((resolve) => (end = resolve));
  transport.held.set("alive", silence);
  transport.held.set("register", silence);
  await run(writer.delete("a/1"));
  await run(writer.put("b", 2));
  await clock.advance(limits.keepAliveIntervalMs);
  await run(writer.put("b", 3));
  await clock.advance(2 * sweepMs);
  expect(server.status("main").historyFloor).toBeGreaterThan(tx.snapshot);
  transport.held.clear();
  end();
  await run(reader.connected());
  await run(reader.read((read) => read.get("b"), { serverSync: true }));
  return { ...made, reader, tx };
}

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

describe("a key whose deletion was pruned", () => {
  test("is not absent for a transaction that began before it was deleted", async () => {
    const { run, reader, tx } = await prunedBehind(false);
    expect(await run(reader.get("a/1"))).toBeUndefined();
    await expect(run(tx.get("a/1"))).rejects.toThrow(SnapshotTooOldError);
  });

  test("keeps its value for a transaction that has read it", async () => {
    const { run, reader, tx } = await prunedBehind(true);
    expect(await run(reader.get("a/1"))).toBeUndefined();
    expect(await run(tx.get("a/1"))).toBe("old");
  });

  test("does not make a result valid that was computed from the key's former value", async () => {
    const { run, clock, reader, tx } = await prunedBehind(true);
    const cache = await createCache({ clock, random: seededRandom(1) });
    expect(await run(reader.get("a/1"))).toBeUndefined();
    const stale = cache.cacheable(async () => (await tx.get("a/1")) ?? "absent", { name: "stale" });
    const fresh = cache.cacheable(async () => (await reader.get("a/1")) ?? "absent", { name: "fresh" });
    expect([await run(stale()), await run(fresh())]).toEqual(["old", "absent"]);
    expect(cache.stats().entries).toBe(1);
    await cache.close();
  });
});

test("a sweep between a client's registration and its first keep-alive keeps the snapshot that the client reads", async () => {
  const { open, run, clock, server, restart } = await world();
  const { client: writer } = await open("writer");
  const { client: reader } = await open("reader");
  await run(writer.put("a/1", "old"));
  const tid = await run(writer.put("b", 1));
  await run(reader.read((tx) => tx.get("b"), { after: tid }));
  const tx = await run(reader.begin());
  await run(writer.delete("a/1"));
  await clock.advance(2_000);
  await run(writer.put("b", 2));
  await run(server.close());
  const again = await restart({ storage, pruningIntervalMs: 100, sessionTimeoutMs: 100_000, keepAliveIntervalMs: 50_000 });
  await run(reader.connected());
  await clock.advance(5_000);
  expect(reader.isConnected).toBe(true);
  expect(again.status("main").historyFloor).toBeLessThanOrEqual(tx.snapshot);
  expect(await run(tx.get("a/1"))).toBe("old");
});
