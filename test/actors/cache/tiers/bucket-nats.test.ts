import { describe, expect, onTestFinished, test } from "vitest";
import { type Cache, type CacheOptions, createCache, SyncTierError } from "../../../../cache.js";
import { InvalidOptionError, limits, systemRandom, systemClock } from "../../../../core/index.js";
import { sharedAgeMsMax } from "../../../../actors/cache/shared-tier.js";
import type { Bucket } from "../../../../transport/bucket.js";
import { createJetStreamBucket } from "../../../../transport/jetstream/bucket.js";
import { connectNats } from "../../../../transport/nats/nats.js";
import { type NatsServer, startNatsServer } from "../../../support/nats-server.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { startTcpProxy } from "../../../support/tcp-proxy.js";
import { gate } from "../open.js";
import { until } from "../../../support/until.js";

async function startBroker(): Promise<NatsServer> {
  const server = await startNatsServer({ config: jetStreamConfig() });
  onTestFinished(() => server.stop());
  return server;
}

async function open(port: number, options: CacheOptions = {}): Promise<Cache> {
  const cache = await createCache({ storageUrl: `nats://127.0.0.1:${port}/shared`, ...options });
  onTestFinished(() => cache.close());
  await until(() => cache.stats().bus?.type === "following");
  return cache;
}

/** A node whose link to the broker can be cut. */
async function openBehindProxy(server: NatsServer, options: CacheOptions = {}) {
  const link = await startTcpProxy(() => server.port);
  onTestFinished(() => link.close());
  return { link, cache: await open(link.port, options) };
}

/** A cached function of a node, and a count of its computations. */
function loader(cache: Cache, value = "value") {
  let computed = 0;
  const load = cache.cacheable(async (id: string) => `${id} ${value}${++computed}`, { name: "load", deps: (id) => [`a:${id}`] });
  return { load, computed: () => computed };
}

/** Calls `look` with the bucket, over a connection of its own. */
async function inBucket<T>(server: NatsServer, look: (bucket: Bucket) => Promise<T>): Promise<T> {
  const transport = await connectNats({ servers: server.url });
  const seams = { transport, clock: systemClock, random: systemRandom };
  const bucket = createJetStreamBucket({ ...seams, bucket: "shared", prefix: "zooid", ageMs: sharedAgeMsMax(undefined), timeoutMs: 5_000 });
  const seen = await look(bucket);
  await bucket.close();
  await transport.close();
  return seen;
}

/** Resolves when the bucket holds `text` for `key`, so that writes in the background have arrived. */
async function holds(server: NatsServer, key: string, text: string): Promise<void> {
  await inBucket(server, (bucket) =>
    until(async () => {
      const entry = await bucket.get(key);
      return entry !== undefined && Buffer.from(entry.payload).includes(text);
    }),
  );
}

/** Whether another node, which has no entry of its own, finds `key` in the bucket. */
async function isShared(server: NatsServer, key: string): Promise<boolean> {
  const cache = await open(server.port);
  const found = await cache.get(key);
  await cache.close();
  return found !== undefined;
}

describe("nodes that share a bucket", () => {
  test("compute once for all of them, and invalidate together", async () => {
    const server = await startBroker();
    const [one, other] = [await open(server.port), await open(server.port)];
    const [here, there] = [loader(one), loader(other)];
    expect(await here.load("x")).toBe("x value1");
    await holds(server, here.load.key("x"), "x value1");
    expect(await there.load("x")).toBe("x value1");
    expect(there.computed()).toBe(0);
    expect(other.stats()).toMatchObject({ bucketHits: 1 });
    await other.invalidate("a");
    await until(() => one.tagVersion("a") === other.tagVersion("a"));
    expect(await here.load("x")).toBe("x value2");
  });

  test("find entries by their keys; a deletion and a set at one node apply at all nodes", async () => {
    const server = await startBroker();
    const [one, other] = [await open(server.port), await open(server.port)];
    const long = "long/".repeat(100);
    for (const key of ["k", long]) {
      await one.set(key, "first", { tags: ["a"] });
      expect(await one.get(key)).toBe("first");
      await until(async () => (await other.get(key)) === "first");
      await other.set(key, "second");
      await until(async () => (await one.get(key)) === "second");
      await one.delete(key);
      await until(async () => (await other.get(key)) === undefined);
      expect(await one.get(key)).toBeUndefined();
      expect(await isShared(server, key)).toBe(false);
    }
    await one.set("k", "third");
    await until(async () => (await other.get("k")) === "third");
    await other.clear();
    await until(async () => (await one.get("k")) === undefined);
    expect(await isShared(server, "k")).toBe(false);
  });

  test("keep no result that was invalidated while it was computed, by its own node or by another; the next node to compute it keeps it for all", async () => {
    const server = await startBroker();
    const [one, other] = [await open(server.port), await open(server.port)];
    for (const invalidating of [one, other]) {
      const slow = gate<string>();
      const version = invalidating === one ? 1 : 2;
      const began = gate();
      const compute = async () => {
        began.open();
        return slow.promise;
      };
      const load = one.cacheable(compute, { name: "slow", version, deps: ["a:b"] });
      const before = load();
      await began.promise;
      await invalidating.invalidate("a");
      await until(() => one.tagVersion("a:b") === other.tagVersion("a:b"));
      slow.open("old");
      expect(await before).toBe("old");
      const again = other.cacheable(async () => "new", { name: "slow", version, deps: ["a:b"] });
      expect(await again()).toBe("new");
      await holds(server, load.key(), "new");
      expect(await load()).toBe("new");
      expect(await again()).toBe("new");
    }
  });

  test("B4: whose link is cut take no result of another node that they have invalidated themselves, then or after their return", async () => {
    const server = await startBroker();
    const one = await open(server.port);
    const { cache: other, link } = await openBehindProxy(server, { publishTimeout: "50ms" });
    const [here, there] = [loader(one, "old"), loader(other, "new")];
    await here.load("x");
    await holds(server, here.load.key("x"), "x old1");
    expect(await there.load("x")).toBe("x old1");
    link.cut();
    await until(() => other.stats().bus?.type !== "following");
    expect(await other.invalidate("a")).toBe("queued");
    expect(await there.load("x")).toBe("x new1");
    link.mend();
    const seen = new Set<string>();
    await until(async () => {
      seen.add(await there.load("x"));
      return other.stats().outbox === 0;
    });
    seen.add(await there.load("x"));
    expect([...seen].filter((value) => value.includes("old"))).toEqual([]);
    await until(() => one.tagVersion("a") === other.tagVersion("a"));
    expect(await here.load("x")).not.toBe("x old1");
  });

  test("B11: that start anew take earlier results once the bus has confirmed that they are still valid", async () => {
    const server = await startBroker();
    const first = await open(server.port);
    const { load } = loader(first, "old");
    for (const id of ["x", "y", "z"]) await load(id);
    await first.set("kept", 1);
    await first.set("deleted", 1);
    for (const id of ["x", "y", "z"]) await holds(server, load.key(id), `${id} old`);
    for (const key of ["kept", "deleted"]) await holds(server, `""("${key}")`, "");
    const probe = await open(server.port);
    await probe.invalidate(["a:y", "unrelated"]);
    await probe.delete("deleted");
    await Promise.all([first.close(), probe.close()]);
    const again = await open(server.port);
    const { load: loadAgain } = loader(again, "new");
    expect([await loadAgain("x"), await loadAgain("y"), await loadAgain("z")]).toEqual(["x old1", "y new1", "z old3"]);
    expect([await again.get("kept"), await again.get("deleted")]).toEqual([1, undefined]);
    expect(again.stats()).toMatchObject({ bucketHits: 3 });
  });

  test("go on with the results of a broker that was killed, and begin anew on a broker that was emptied", async () => {
    const server = await startBroker();
    const [one, other] = [await open(server.port, { maxStaleSecs: "2s" }), await open(server.port)];
    const here = loader(one, "old");
    await here.load("x");
    await holds(server, here.load.key("x"), "x old1");
    expect(await loader(other).load("x")).toBe("x old1");
    await server.restart();
    await until(() => one.stats().bus?.type === "following" && other.stats().bus?.type === "following");
    const third = await open(server.port);
    expect(await loader(third, "new").load("x")).toBe("x old1");
    const epochOf = (cache: Cache) => {
      const { bus } = cache.stats();
      return bus?.type === "following" ? bus.epoch : undefined;
    };
    const before = epochOf(third);
    await server.restart(jetStreamConfig("other"));
    // All nodes must follow another history. They may follow again before the test looks.
    await until(() => [one, other, third].every((cache) => ![undefined, before].includes(epochOf(cache))));
    const fresh = await open(server.port);
    const { load, computed } = loader(fresh, "fresh");
    expect([await load("x"), computed()]).toEqual(["x fresh1", 1]);
    await holds(server, load.key("x"), "x fresh1");
    expect(await loader(other, "other").load("x")).toBe("x fresh1");
  });

  test("B13: whose clocks differ from the broker's by hours agree with it on times to live", async () => {
    const server = await startBroker();
    const hours = 2 * 3_600_000;
    const skewed = (ms: number) => ({ clock: { ...systemClock, now: () => systemClock.now() + ms } });
    const writers = [await open(server.port, skewed(hours)), await open(server.port, skewed(-hours))];
    const readers = [await open(server.port, skewed(hours)), await open(server.port), await open(server.port, skewed(-hours))];
    for (const [index, writer] of writers.entries()) {
      const key = `k${index}`;
      // On a busy machine a write may be skipped, or the entry may expire before all readers have looked.
      await until(async () => {
        await writer.set(key, "value", { ttl: "2s", readExtendTtl: false });
        return (await Promise.all(readers.map((reader) => reader.get(key)))).every((found) => found === "value");
      });
      const begun = performance.now();
      await until(async () => (await readers[0]?.get(key)) === undefined);
      expect(performance.now() - begun).toBeLessThan(10_000);
      expect(await isShared(server, key)).toBe(false);
    }
  });

  test("sweep expired entries from it, where the broker does not remove them itself", async () => {
    const server = await startBroker();
    const [one, other] = [await open(server.port), await open(server.port)];
    const expiring = ["a", "b", "long/".repeat(100)];
    for (const key of expiring) await one.set(key, key, { ttl: "1s", readExtendTtl: false });
    await one.set("lives", 1, { ttl: "1h" });
    await one.set("stays", 1);
    await inBucket(server, async (bucket) => {
      await until(async () => (await bucket.list(1, 10)).length === 5);
      let entries = 0;
      while ((await bucket.list(1, 10)).length > 2) entries += (await other.prune()).entries;
      expect(entries).toBe((await bucket.keepsExpired()) ? expiring.length : 0);
      const left = await bucket.list(1, 10);
      expect(left.length).toBe(2);
      const [lives, stays] = left;
      expect(stays?.ttlMs).toBeUndefined();
      // The remaining lifetime, less the time that the invalidation took.
      expect(lives?.ttlMs).toBeGreaterThan(3_500_000);
      expect(lives?.ttlMs).toBeLessThanOrEqual(3_600_000);
    });
    expect([await other.get("lives"), other.stats().bucketFailures]).toEqual([1, 0]);
  });

  test("of two prefixes share nothing, and one bucket is enough for both", async () => {
    const server = await startBroker();
    const [one, other] = [await open(server.port, { prefix: "one" }), await open(server.port, { prefix: "other" })];
    await one.set("k", "one");
    await other.set("k", "other");
    await until(() => isShared(server, "k").then((found) => !found));
    const again = await open(server.port, { prefix: "one" });
    await until(async () => (await again.get("k")) === "one");
    await other.clear();
    expect(await again.get("k")).toBe("one");
  });

  test("that compute one key at the same time leave one result, of the latest version", async () => {
    const server = await startBroker();
    const nodes = await Promise.all(Array.from({ length: 4 }, () => open(server.port)));
    for (let round = 0; round < 20; round++) {
      const asked = nodes.map((cache, index) => loader(cache, `${index} of ${round}: `).load("x"));
      if (round % 2 === 1) await nodes[round % nodes.length]?.invalidate("a:x");
      await Promise.all(asked);
      await nodes[0]?.invalidate("a:x");
      const version = nodes[0]?.tagVersion("a:x");
      await until(() => nodes.every((cache) => cache.tagVersion("a:x") === version));
    }
    const last = await Promise.all(nodes.map((cache, index) => loader(cache, `${index} at last: `).load("x")));
    for (const value of last) expect(value).toContain("at last");
  });
});

describe("without its broker", () => {
  test("a cache opens, computes, and answers within small bounds; it shares once the broker runs", async () => {
    const server = await startBroker();
    await server.kill();
    const cache = await createCache({ storageUrl: `nats://127.0.0.1:${server.port}/shared`, publishTimeout: "20ms" });
    onTestFinished(() => cache.close());
    const { load } = loader(cache);
    const begun = performance.now();
    expect(await load("x")).toBe("x value1");
    expect(await cache.get("k")).toBeUndefined();
    expect(await cache.set("k", 1)).toBe("queued");
    expect(await cache.invalidate("a")).toBe("queued");
    expect(performance.now() - begun).toBeLessThan(5_000);
    await server.restart();
    await until(() => cache.stats().bus?.type === "following" && cache.stats().outbox === 0);
    await load("y");
    await holds(server, load.key("y"), "y value");
    const other = await open(server.port);
    expect(await loader(other, "other").load("y")).toContain("y value");
  });

  test("which hangs, each call takes no longer than the bound, and few calls take that long", async () => {
    const server = await startBroker();
    const cache = await open(server.port);
    const { load } = loader(cache);
    await load("x");
    server.pause();
    const begun = performance.now();
    for (let n = 0; n < 50; n++) {
      const called = performance.now();
      await load(`x${n}`);
      expect(performance.now() - called).toBeLessThan(limits.bucketTimeoutMs + 5_000);
    }
    // Far less than 50 time-outs would take.
    expect(performance.now() - begun).toBeLessThan(10_000);
    server.resume();
    expect(cache.stats().bucketFailures).toBeGreaterThan(0);
  });
});

describe("a bucket as a tier", () => {
  test("B14: refuses a sync function", async () => {
    const server = await startBroker();
    const cache = await open(server.port);
    const sync = cache.cacheable((n: number) => n, { name: "sync" });
    expect(() => sync(1)).toThrow(SyncTierError);
  });

  test.each([
    [{ storageUrl: "nats://127.0.0.1:4222" }, "storageUrl"],
    [{ storageUrl: "nats://127.0.0.1:4222/a/b" }, "storageUrl"],
    [{ storageUrl: "nats://127.0.0.1:4222/a.b" }, "storageUrl"],
    [{ storageUrl: "nats://127.0.0.1:4222/shared", busKind: "nats" }, "busKind"],
    [{ storageUrl: "nats://127.0.0.1:4222/shared", busUrl: "ws://127.0.0.1:1" }, "busKind"],
    [{ storageUrl: "nats://127.0.0.1:4222/shared", bucketMaxBytes: -1 }, "bucketMaxBytes"],
  ] as const)("refuses %o", async (options, option) => {
    await expect(createCache(options)).rejects.toThrow(InvalidOptionError);
    await expect(createCache(options)).rejects.toMatchObject({ facts: { option } });
  });

  test("is reached with the credentials of the cache, and can have its bus elsewhere", async () => {
    const config = `authorization { user: "zooid", password: "secret" }\n${jetStreamConfig()}`;
    const server = await startNatsServer({ config });
    onTestFinished(() => server.stop());
    const buses = await startBroker();
    const who = { user: "zooid", password: "secret", busUrl: buses.url };
    const [one, other] = [await open(server.port, who), await open(server.port, who)];
    // On a busy machine, a write to the bucket may time out.
    await until(async () => {
      await one.set("k", "value");
      return (await other.get("k")) === "value";
    });
    const transport = await connectNats({ servers: server.url, user: "zooid", password: "secret" });
    onTestFinished(() => transport.close());
    const answer = await transport.request("$JS.API.STREAM.NAMES", new Uint8Array(0), { timeoutMs: 5_000 });
    expect(JSON.parse(Buffer.from(answer).toString())).toMatchObject({ streams: ["KV_shared"] });
  });
});
