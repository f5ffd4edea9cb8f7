import { afterEach, describe, expect, test } from "vitest";
import type { ObjectClient } from "../../../actors/client/object-client.js";
import * as wire from "../../../actors/protocol/codec.js";
import { startStorageServer } from "../../../actors/server/server.js";
import { everything } from "../../../storage/kv/ordered-store.js";
import { delay, limits, seededRandom, silentLog, type Tid } from "../../../core/index.js";
import { all, cacheDisk, clientWorld, fatalLog, type ClientWorld } from "../../support/client-world.js";
import { TestDisk, type WorldOptions } from "../../support/server-world.js";

const worlds: ClientWorld[] = [];

async function world(options?: WorldOptions): Promise<ClientWorld> {
  const made = await clientWorld(options);
  worlds.push(made);
  return made;
}

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

const code = (code: string) => expect.objectContaining({ code });

const fiveYearsMs = 5 * 365 * 24 * 3_600_000;

/** A copy of a server's disk, like a restored backup. */
async function copyOf({ open }: TestDisk): Promise<TestDisk> {
  const copy = new TestDisk("copy");
  const [from, to] = [await open(), await copy.open()];
  const rows = from.read((view) => Array.from(view.range(everything), ([key, value]) => ({ key, value })));
  await to.batch(rows);
  await Promise.all([from.close(), to.close()]);
  return copy;
}

const increment = (client: ObjectClient, key: string) => client.update(key, (n) => ((n as number | undefined) ?? 0) + 1);

describe("without a server", () => {
  test("cached objects are read, a listing fails as transient, and a load waits and continues at its snapshot", async () => {
    const { open, run, server, restart, clock, disk } = await world();
    const { client } = await open("a");
    await run(client.transact((tx) => Promise.all([tx.put("x", 1), tx.put("y", 2)])));
    const reader = await open("b");
    await run(reader.client.get("x"));
    const asOf = reader.client.position.tid;
    server.kill();
    disk.disk.crash();
    await clock.until(() => !reader.client.isConnected, 10_000);
    expect(await run(reader.client.read((tx) => tx.get("x")))).toMatchObject({ value: 1, connected: false, asOf });
    await expect(run(all(reader.client.list("")))).rejects.toMatchObject({ code: "ZOOID_DISCONNECTED", transient: true });
    const waiting = reader.client.read((tx) => tx.get("y"));
    await clock.advance(2_000);
    await restart();
    expect(await run(waiting)).toMatchObject({ value: 2, asOf, connected: true });
  });

  test("a load fails with DisconnectedError after waitTimeoutMs, and a read that must be fresh with StaleError", async () => {
    const { open, run, server, clock, disk } = await world();
    const { client } = await open("a", { waitTimeoutMs: 5_000 });
    server.kill();
    disk.disk.crash();
    await clock.until(() => !client.isConnected, 10_000);
    const since = clock.monotonic();
    await expect(run(client.get("x"))).rejects.toEqual(code("ZOOID_DISCONNECTED"));
    expect(clock.monotonic() - since).toBeGreaterThanOrEqual(5_000);
    await expect(run(client.read(() => 1, { maxStaleMs: 1_000 }))).rejects.toEqual(code("ZOOID_STALE"));
    expect((await run(client.read(() => 1, { maxStaleMs: 3_600_000 }))).value).toBe(1);
    await expect(run(client.put("x", 1))).rejects.toEqual(code("ZOOID_DISCONNECTED"));
  });

  test("a client with cached data opens once its first attempt has failed; a client without waits", async () => {
    const { open, run, server, restart, clock } = await world();
    const cache = cacheDisk();
    const { client } = await open("a", { cache: cache.open });
    await run(client.put("x", 1));
    await run(client.close());
    await run(server.close());
    const { client: again } = await open("a", { cache: cache.open });
    expect(again.isConnected).toBe(false);
    expect(await run(again.get("x"))).toBe(1);
    await expect(open("b", { waitTimeoutMs: 100 })).rejects.toEqual(code("ZOOID_DISCONNECTED"));
    await restart();
    await clock.until(() => again.state === "readWrite", 10_000);
  });
});

describe("a server that is replaced while the link stays up", () => {
  test("is registered with and verified again", async () => {
    const { open, run, server, restart, clock, disk } = await world();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b")];
    await run(a.put("x", 1));
    await run(b.get("x"));
    server.kill();
    disk.disk.crash();
    const replaced = await restart();
    await clock.until(() => a.status().instance === replaced.instance && b.status().instance === replaced.instance, 10_000);
    const tid = await run(a.put("x", 2));
    expect((await run(b.read((tx) => tx.get("x"), { after: tid }))).value).toBe(2);
  });

  test("with another history is refused with advice, or makes the client discard its cache, as configured", async () => {
    const { open, run, server, disk, restart, clock } = await world();
    const [refusing, discarding] = [cacheDisk(), cacheDisk()];
    const { client: a } = await open("a", { cache: refusing.open });
    const { client: b } = await open("b", { cache: discarding.open, onOtherHistory: "discard" });
    await run(a.put("before", 1));
    await clock.advance(2_000);
    const old = disk.disk.copy("old");
    await run(a.put("x", 1));
    const resets = b.watch("");
    await run(b.get("x"));
    server.kill();
    disk.disk.crash();
    await restart({ storage: { open: () => old.open() } });
    const { client: c } = await open("c");
    await run(c.put("x", 3));
    await run(c.put("y", 3));
    await clock.until(() => a.state === "refused" && b.isConnected, 20_000);
    expect(a.status().problem).toMatch(/a history that is not the server.s/);
    await expect(run(a.put("x", 9))).rejects.toEqual(code("ZOOID_OTHER_HISTORY"));
    expect(await run(a.get("x"))).toBe(1);
    expect(await run(b.get("x"))).toBe(3);
    expect(await run(resets.next())).toEqual({ done: false, value: { type: "reset" } });
  });

  test("of another history makes a transaction that began in the old history begin again", async () => {
    const { open, run, server, disk, restart, clock } = await world();
    const { client: b } = await open("b", { onOtherHistory: "discard" });
    await run(b.put("before", 1));
    const old = disk.disk.copy("old");
    await run(b.put("x", 1));
    server.kill();
    disk.disk.crash();
    await clock.until(() => !b.isConnected, 20_000);
    // The transaction reads from the cache; its commit waits for a server.
    const copying = b.transact(async (tx) => tx.put("copy", (await tx.get("x")) ?? "none"));
    await clock.advance(0);
    await restart({ storage: { open: () => old.open() } });
    const { client: c } = await open("c");
    await run(c.put("y", 1));
    await run(copying);
    expect(await run(c.read((tx) => tx.get("copy"), { serverSync: true }))).toMatchObject({ value: "none" });
  });

  describe("of another history, which has pruned the transactions that would show that,", () => {
    /**
     * `b` has a transaction open at the end of the first history. A server restored from a backup then continues
     * without that end, and prunes.
     */
    async function forked(invalidationQueueSize: number) {
      const options = { storage: { historyAgeMs: 1_000, snapshotRetentionMs: 1_000, invalidationQueueSize }, pruningIntervalMs: 1_000 };
      const { open, run, server, disk, restart, clock } = await world(options);
      const { client: a } = await open("a");
      const { client: b, transport } = await open("b");
      await run(a.put("k", "in both histories"));
      const old = disk.disk.copy("old");
      const tid = await run(a.put("k", "in the first"));
      await run(b.read((tx) => tx.get("none"), { after: tid }));
      const tx = await run(b.begin());
      a.kill();
      server.kill();
      disk.disk.crash();
      await clock.until(() => !b.isConnected, 20_000);
      let release = (): void => undefined;
      transport.held.set("register", new Promise<void>((resolve) => (release = resolve)));
      const restored = await restart({ ...options, storage: { ...options.storage, open: () => old.open() } });
      const { client: c } = await open("c");
      for (let n = 0; n < 5; n++) {
        await clock.advance(2_000);
        await run(c.put("other", n));
      }
      expect(restored.status("main").historyFloor).toBeGreaterThan(tid);
      transport.held.clear();
      release();
      return { b, tx, run, clock };
    }

    test("serves no reads of a transaction of the first history", async () => {
      const { b, tx, run, clock } = await forked(2);
      await clock.until(() => b.isConnected, 20_000);
      expect(b.status().verification).toMatchObject({ how: "discarded" });
      expect(await run(b.get("k"))).toBe("in both histories");
      await expect(run(tx.get("k"))).rejects.toEqual(code("ZOOID_SNAPSHOT_TOO_OLD"));
    });

    test("refuses a client whose position it does not have, as long as its queue reaches back to that position", async () => {
      const { b, clock } = await forked(100);
      await clock.until(() => b.state === "refused", 20_000);
      expect(b.status().problem).toMatch(/a history that is not the server.s/);
    });
  });

  test("of another history gives a read that is to hold a transaction of the old history no earlier snapshot", async () => {
    const { open, run, server, disk, restart, clock } = await world();
    const { client: b } = await open("b", { onOtherHistory: "discard" });
    await run(b.put("x", 1));
    const old = disk.disk.copy("old");
    const tid = await run(b.put("x", 2));
    server.kill();
    disk.disk.crash();
    await clock.until(() => !b.isConnected, 20_000);
    // It begins at `tid`, and has to load "y".
    const reading = b.read((tx) => tx.get("y"), { after: tid });
    await restart({ storage: { open: () => old.open() } });
    await clock.until(() => b.isConnected, 20_000);
    expect(b.position.tid).toBeLessThan(tid);
    const { client: c } = await open("c");
    const next = await run(c.put("y", "in the new history"));
    expect(await run(reading)).toMatchObject({ value: "in the new history", asOf: next });
    expect(next).toBeGreaterThan(tid);
  });

  test("of another history gets no commit of the old history, even before the cache on disk is discarded", async () => {
    const { open, run, server, disk, restart, clock } = await world();
    const cache = new TestDisk("cache");
    const { client: b } = await open("b", { onOtherHistory: "discard", cache: cache.open });
    await run(b.put("before", 1));
    const old = disk.disk.copy("old");
    await run(b.put("x", 1));
    server.kill();
    disk.disk.crash();
    await clock.until(() => !b.isConnected, 20_000);
    const copying = b.transact(async (tx) => tx.put("copy", (await tx.get("x")) ?? "none"));
    await clock.advance(0);
    cache.held = true;
    const restored = await restart({ storage: { open: () => old.open() } });
    await clock.until(() => cache.waiting > 0, 20_000);
    // The link is lost while the cache is being discarded. At the next link the cache is at the server's position.
    restored.kill();
    old.crash();
    await restart({ storage: { open: () => old.open() } });
    await clock.until(() => b.isConnected, 20_000);
    await clock.advance(1_000);
    cache.held = false;
    while (cache.waiting > 0) cache.next().finish();
    await run(copying);
    const { client: c } = await open("c");
    expect(await run(c.get("copy"))).toBe("none");
  });

  test("of another history ends a wait for a transaction that it does not have, with advice in the error", async () => {
    const { open, run, server, disk, restart, clock } = await world();
    const { client: b } = await open("b", { waitTimeoutMs: 60_000 });
    const { client: c } = await open("c");
    await run(c.put("before", 1));
    const old = disk.disk.copy("old");
    await run(c.put("x", 1));
    await clock.until(() => b.position.tid === c.position.tid, 10_000);
    const after = (c.position.tid + 1) as Tid;
    const waiting = b.read((tx) => tx.get("x"), { after });
    server.kill();
    disk.disk.crash();
    const restored = await restart({ storage: { open: () => old.open() } });
    const since = clock.monotonic();
    const refused = expect.objectContaining({ code: expect.stringMatching(/^ZOOID_(OTHER_HISTORY|SERVER_BEHIND)$/) as string });
    await expect(run(waiting)).rejects.toEqual(refused);
    await expect(run(b.read((tx) => tx.get("x"), { after }))).rejects.toEqual(refused);
    expect(clock.monotonic() - since).toBeLessThan(60_000);
    await run(restored.close());
  });

  test.each(["refuse", "discard"] as const)(
    "years behind a read-only client is not waited for: the client is refused, or discards its cache (onOtherHistory: %s)",
    async (onOtherHistory) => {
      const { open, run, server, disk, restart, clock } = await world();
      const { client: writer } = await open("writer");
      await run(writer.put("x", "kept"));
      const old = disk.disk.copy("old");
      await run(server.close());
      // A server whose clock is ahead at its start commits with tids of the future. After the restore the clock is
      // right.
      clock.shiftWall(fiveYearsMs);
      const wrong = await restart();
      await clock.until(() => writer.isConnected, 10_000);
      await run(writer.put("x", "lost"));
      writer.kill();
      const { client: reader } = await open("reader", { readOnly: true, onOtherHistory });
      expect(await run(reader.get("x"))).toBe("lost");
      wrong.kill();
      clock.shiftWall(-fiveYearsMs);
      await restart({ storage: { open: () => old.open() } });
      if (onOtherHistory === "discard") {
        await clock.until(() => reader.isConnected, 20_000);
        expect(await run(reader.get("x"))).toBe("kept");
        return;
      }
      await clock.until(() => reader.state === "refused", 20_000);
      await expect(run(reader.get("y"))).rejects.toEqual(code("ZOOID_SERVER_BEHIND"));
    },
  );
});

test.each(["refuse", "discard"] as const)(
  "a client waits for a read-only server that is behind it (onOtherHistory: %s)",
  async (onOtherHistory) => {
    const { open, run, server, disk, restart, clock } = await world();
    const { client } = await open("a", { onOtherHistory });
    await run(client.put("x", "old"));
    const old = disk.disk.copy("old");
    const before = client.position.tid;
    const tid = await run(client.put("x", "new"));
    server.kill();
    disk.disk.crash();
    const reader = await restart({ readOnly: true, storage: { open: () => old.open() } });
    await clock.advance(20_000);
    expect([client.isConnected, client.position.tid]).toEqual([false, tid]);
    expect(await run(client.get("x"))).toBe("new");
    await expect(run(client.get("y"))).rejects.toMatchObject({
      code: "ZOOID_DISCONNECTED",
      cause: { code: "ZOOID_BEHIND", facts: { snapshot: tid, last: before } },
    });
    await run(reader.close());
    await restart();
    await clock.until(() => client.isConnected, 20_000);
    expect(await run(client.get("x"))).toBe("new");
  },
);

describe("verification", () => {
  test("replays missed invalidations into the cache of a closed or killed client", async () => {
    const { open, run } = await world();
    const cache = cacheDisk();
    const { client: a } = await open("a");
    for (const end of ["close", "kill"] as const) {
      const { client: b } = await open("b", { cache: cache.open });
      await run(a.put("k", end));
      expect(await run(b.get("k"))).toBe(end);
      if (end === "close") await run(b.close());
      else {
        b.kill();
        cache.crash();
      }
      await run(a.put("k", "changed"));
      const { client: again } = await open("b", { cache: cache.open });
      expect(again.status().verification).toMatchObject({ how: "replayed" });
      expect(await run(again.get("k"))).toBe("changed");
      await run(again.close());
    }
  });

  test("discards a cache that missed more invalidations than the server keeps", async () => {
    const { open, run, clock } = await world({ storage: { invalidationQueueSize: 2, invalidationAgeMs: 1_000 } });
    const cache = cacheDisk();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b", { cache: cache.open })];
    await run(a.put("k", 0));
    await run(b.get("k"));
    await run(b.close());
    for (let n = 1; n <= 4; n++) {
      await clock.advance(1_000);
      await run(a.put("k", n));
    }
    const { client: again } = await open("b", { cache: cache.open });
    expect(again.status().verification).toMatchObject({ how: "discarded" });
    expect(await run(again.get("k"))).toBe(4);
  });

  test("a storage that no server serves is awaited, and the error names the served storages", async () => {
    const { open, clock } = await world();
    const since = clock.monotonic();
    await expect(open("a", { storage: "none", waitTimeoutMs: 5_000 })).rejects.toMatchObject({
      code: "ZOOID_DISCONNECTED",
      message: `not connected to in-process: no server serves storage "none" now; a server there serves "main"`,
      cause: { code: "ZOOID_UNKNOWN_STORAGE" },
    });
    expect(clock.monotonic() - since).toBe(5_000);
  });
});

describe("invalidations", () => {
  test("that are lost are fetched when the next one arrives; until then reads continue as of the last one applied", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b, transport }] = [await open("a"), await open("b")];
    await run(a.put("x", 1));
    await run(b.get("x"));
    const before = b.position.tid;
    transport.takes = () => false;
    await run(a.put("x", 2));
    expect(await run(b.read((tx) => tx.get("x")))).toMatchObject({ value: 1, asOf: before });
    transport.takes = () => true;
    const tid = await run(a.put("y", 1));
    expect((await run(b.read((tx) => tx.get("x"), { after: tid }))).value).toBe(2);
    expect(transport.count("log")).toBe(1);
  });

  test("are complete after the next heartbeat when the last one was lost", async () => {
    const { open, run, clock } = await world();
    const [{ client: a }, { client: b, transport }] = [await open("a"), await open("b")];
    await run(a.put("x", 1));
    await run(b.get("x"));
    transport.takes = ({ payload }) => wire.broadcast.read(payload).type === "heartbeat";
    await run(a.put("x", 2));
    await clock.advance(1_000);
    expect(await run(b.get("x"))).toBe(2);
  });

  test("the answer to an own commit does not move the position past a gap, and the next snapshot waits for the missing ones", async () => {
    const { open, run, clock } = await world();
    const [{ client: a }, { client: b, transport }] = [await open("a"), await open("b")];
    await run(a.put("x", 1));
    await run(b.get("x"));
    const before = b.position.tid;
    transport.takes = () => false;
    let goOn = () => {};
    transport.held.set("log", new Promise((resolve) => (goOn = resolve)));
    await run(a.put("x", 2));
    const tid = await run(b.put("own", 1));
    expect(b.position.tid).toBe(before);
    const reading = b.read((tx) => tx.getMany(["x", "own"]));
    const getting = b.get("own");
    await clock.advance(500);
    goOn();
    expect(await run(reading)).toMatchObject({ value: [2, 1], asOf: tid });
    expect(await run(getting)).toBe(1);
  });

  test("too large for one message are read in parts, and applied when all parts have arrived", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b, transport }] = [await open("a"), await open("b")];
    const keys = Array.from({ length: limits.invalidationKeysMax + 1 }, (_, index) => `key/${index}`);
    const last = `key/${limits.invalidationKeysMax}`;
    const first = await run(a.transact((tx) => Promise.all(keys.map((key) => tx.put(key, 1)))));
    await run(b.read((tx) => tx.get(last), { after: first.tid }));
    const second = await run(a.transact((tx) => Promise.all(keys.map((key) => tx.put(key, 2)))));
    const read = await run(b.read((tx) => tx.get(last), { after: second.tid }));
    expect(read.value).toBe(2);
    expect(transport.count("keys")).toBeGreaterThan(0);
  });

  test("serverSync reads all commits made before the call", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b, transport }] = [await open("a"), await open("b")];
    await run(b.get("x"));
    transport.takes = () => false;
    const tid = await run(a.put("x", 1));
    expect(await run(b.read((tx) => tx.get("x"), { serverSync: true }))).toMatchObject({ value: 1, asOf: tid });
  });
});

describe("a commit whose answer was lost", () => {
  test("is settled by its id, and applied once", async () => {
    const { open, run } = await world();
    const { client, transport } = await open("a");
    await run(increment(client, "n"));
    transport.deaf.add("commit");
    const { value } = await run(increment(client, "n"));
    expect(value).toBe(2);
    expect(transport.count("settle")).toBe(1);
    transport.deaf.clear();
    expect(await run(client.get("n"))).toBe(2);
    await run(increment(client, "n"));
    expect(await run(client.get("n"))).toBe(3);
  });

  test("is settled across a restart of the server", async () => {
    const { open, run, disk, server, restart, clock } = await world();
    const { client, transport } = await open("a");
    await run(increment(client, "n"));
    disk.held = true;
    const committing = increment(client, "n");
    await clock.until(() => disk.waiting > 0, 1_000);
    disk.held = false;
    server.kill();
    disk.disk.crash();
    await restart();
    await run(committing);
    expect(transport.count("settle")).toBeGreaterThan(0);
    expect(await run(client.get("n"))).toBe(2);
  });

  test("has an unknown outcome when no server answers in time", async () => {
    const { open, run, disk, server, clock } = await world();
    const { client } = await open("a", { waitTimeoutMs: 5_000 });
    disk.held = true;
    const committing = client.put("x", 1);
    await clock.until(() => disk.waiting > 0, 1_000);
    server.kill();
    disk.disk.crash();
    await expect(run(committing)).rejects.toEqual(code("ZOOID_OUTCOME_UNKNOWN"));
  });
});

describe("a coordinator of a transaction", () => {
  test("votes, then finishes; transactions on the same objects wait until then", async () => {
    const { open, run, clock } = await world();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b")];
    const tx = await run(a.begin());
    await tx.put("x", 1);
    await run(tx.vote());
    let isThrough = false;
    const other = b.put("x", 2).then(() => (isThrough = true));
    await clock.advance(500);
    expect(isThrough).toBe(false);
    await expect(tx.put("y", 1)).rejects.toEqual(code("ZOOID_CLOSED"));
    const tid = await run(tx.finish());
    await run(other);
    expect(await run(a.read((each) => each.get("x"), { serverSync: true }))).toMatchObject({ value: 2 });
    expect(tid).toBeLessThan(a.position.tid);
  });

  test("aborts by leaving its block, and others go on", async () => {
    const { open, run } = await world();
    const { client } = await open("a");
    await run(
      (async () => {
        await using tx = await client.begin();
        await tx.put("x", 1);
        await tx.vote();
      })(),
    );
    expect(await run(client.get("x"))).toBeUndefined();
    await run(client.put("x", 2));
  });

  test("gets a conflict at its vote, and can finish without a vote", async () => {
    const { open, run } = await world();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b")];
    await run(a.put("x", 0));
    const losing = await run(a.begin());
    await run(losing.get("x"));
    await losing.put("y", 1);
    await run(b.put("x", 1));
    await expect(run(losing.vote())).rejects.toEqual(code("ZOOID_CONFLICT"));
    const whole = await run(a.begin());
    await whole.put("y", 2);
    expect(await run(whole.finish())).toBe(a.position.tid);
  });

  test("that hung until the time-out gets an error at its finish, and the loss is logged as fatal", async () => {
    const log = fatalLog();
    const { open, run, clock } = await world({ transactionTimeoutMs: 1_000 });
    const { client } = await open("a", { log });
    const tx = await run(client.begin());
    await tx.put("x", 1);
    await run(tx.vote());
    await clock.advance(1_500);
    await expect(run(tx.finish())).rejects.toMatchObject({ transient: true });
    expect(log.fatals).toMatchObject([{ facts: { keys: ["x"], keyCount: 1, transaction: tx.id } }]);
    expect(await run(client.get("x"))).toBeUndefined();
  });
});

describe("closing", () => {
  test("waits for pending commits and says goodbye", async () => {
    const { open, run, disk, server, clock } = await world();
    const { client } = await open("a");
    disk.held = true;
    const committing = client.put("x", 1);
    await clock.until(() => disk.waiting > 0, 1_000);
    const closing = client.close();
    disk.held = false;
    disk.next().finish();
    const tid: Tid = await run(committing);
    await run(closing);
    await clock.advance(10);
    expect(server.status("main").position.tid).toBe(tid);
    expect(server.status("main").sessions).toEqual([]);
  });

  test("aborts voted and unfinished transactions, so that others need not wait for the time-out", async () => {
    const { open, run, clock } = await world();
    const [{ client: a }, { client: b }] = [await open("a"), await open("b")];
    const tx = await run(a.begin());
    await tx.put("x", 1);
    await run(tx.vote());
    const since = clock.monotonic();
    await run(a.close());
    await run(b.put("x", 2));
    expect(clock.monotonic() - since).toBeLessThan(limits.transactionTimeoutMs);
    expect(await run(b.get("x"))).toBe(2);
    await expect(run(tx.finish())).rejects.toEqual(code("ZOOID_TRANSACTION_ABORTED"));
  });

  test("each keep-alive reports the oldest open snapshot to the server", async () => {
    const { open, run, server, clock } = await world();
    const { client } = await open("a");
    await run(client.put("x", 1));
    const snapshot = client.position.tid;
    const reading = client.read(() => delay(clock, 12_000));
    await run(client.put("x", 2));
    await clock.advance(11_000);
    expect(server.status("main").sessions).toMatchObject([{ client: "a", oldestSnapshot: snapshot }]);
    await run(reading);
    await clock.advance(6_000);
    expect(server.status("main").sessions).toMatchObject([{ oldestSnapshot: undefined }]);
  });
});

test("a server with a long heartbeat interval is taken for lost after two and a half intervals, not before", async () => {
  const { open, run, clock, server } = await world({ heartbeatIntervalMs: 20_000 });
  const { client } = await open("a");
  await run(client.put("x", 1));
  const states: string[] = [];
  client.onState((state) => states.push(state));
  await clock.advance(120_000);
  expect(states).toEqual([]);
  server.kill();
  const since = clock.monotonic();
  await clock.until(() => !client.isConnected, 60_000);
  expect(clock.monotonic() - since).toBeLessThanOrEqual(50_000);
});

test.each([false, true])(
  "a read-only server disturbs no client of the writer, and serves when the writer is gone (read-only client: %s)",
  async (readOnly) => {
    const { open, run, clock, broker, server, disk, restart } = await world();
    await run((await open("b")).client.put("x", 1));
    await server.close();
    const copy = await copyOf(disk);
    const writer = await restart();
    const { client } = await open("a", { readOnly });
    await run(client.get("x"));
    const beside = await clock.settle(
      startStorageServer({
        realm: "test",
        log: silentLog,
        readOnly: true,
        storages: { main: { open: copy.open } },
        transport: broker.connect(),
        clock,
        random: seededRandom(7),
      }),
      10_000,
    );
    const states: string[] = [];
    client.onState((state) => states.push(state));
    await clock.advance(20_000);
    expect(states).toEqual([]);
    expect(beside.status("main").sessions).toEqual([]);
    writer.kill();
    await clock.until(() => client.isConnected && client.status().instance === beside.instance, 20_000);
    expect(client.state).toBe("readOnly");
  },
);
