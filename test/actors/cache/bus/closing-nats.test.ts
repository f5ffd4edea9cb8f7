import { describe, expect, onTestFinished, test } from "vitest";
import { type Cache, type CacheOptions, createCache } from "../../../../cache.js";
import { limits } from "../../../../core/index.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../../../support/nats-server.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { startTcpProxy } from "../../../support/tcp-proxy.js";
import { until } from "../../../support/until.js";

const makeFolder = temporaryFolders();
const closedError = expect.objectContaining({ code: "ZOOID_CLOSED" });
/** Allowance for a busy machine. */
const slackMs = 700;

async function startServer(): Promise<NatsServer> {
  const server = await startNatsServer({ config: jetStreamConfig() });
  onTestFinished(() => server.stop());
  return server;
}

async function open(options: CacheOptions): Promise<Cache> {
  const cache = await createCache(options);
  onTestFinished(() => cache.close());
  return cache;
}

const nowhere = "nats://127.0.0.1:1";

describe("an invalidation in progress when its cache is closed", () => {
  test("is published before the close if the bus is reachable", async () => {
    const { url: busUrl } = await startServer();
    const other = await open({ busUrl });
    const cache = await open({ busUrl });
    await until(() => [cache, other].every((each) => each.stats().bus?.type === "following"));
    const before = other.stats().heard;
    const published = Promise.all(["a", "b", "c"].map((tag) => cache.invalidate(tag)));
    await cache.close();
    expect(await published).toEqual(["published", "published", "published"]);
    await until(() => other.stats().heard === before + 3);
  });

  test.each(["jetstream", "nats"] as const)("ends at once with ClosedError without a broker: %s", async (busKind) => {
    const cache = await open({ busUrl: nowhere, busKind, publishTimeout: "1h" });
    const under = [cache.invalidate("a"), cache.set("k", 1), cache.delete("k"), cache.clear()];
    const outcomes = Promise.allSettled(under);
    await cache.close();
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: "rejected", reason: closedError });
  });

  test("resolves to queued once it is on disk, and the next process publishes it", async () => {
    const { url: busUrl } = await startServer();
    const other = await open({ busUrl });
    await until(() => other.stats().bus?.type === "following");
    const storageUrl = `lmdb:${await makeFolder()}`;
    const cache = await open({ busUrl: nowhere, storageUrl, publishTimeout: "1h" });
    const under = cache.invalidate("a:b");
    await cache.close();
    expect(await under).toBe("queued");
    await open({ busUrl, storageUrl });
    await until(() => other.tagVersion("a:b") > 0);
  });
});

describe("after close", () => {
  const kinds = ["alone", "alone with lmdb", "jetstream", "nats", "jetstream with lmdb", "bucket"] as const;
  test.each(kinds)("invalidate, set, delete and clear reject with ClosedError: %s", async (kind) => {
    const { url } = await startServer();
    const options: CacheOptions = {
      ...(kind.includes("lmdb") ? { storageUrl: `lmdb:${await makeFolder()}` } : {}),
      ...(kind === "bucket" ? { storageUrl: `${url}/shared` } : {}),
      ...(kind.startsWith("jetstream") ? { busUrl: url } : kind === "nats" ? { busUrl: url, busKind: "nats" } : {}),
    };
    const cache = await open(options);
    const load = cache.cacheable(async (id: string) => id, { name: "load" });
    await cache.close();
    for (const call of [cache.invalidate("a"), cache.set("k", 1), cache.delete("k"), cache.clear(), load.invalidate("x")]) {
      await expect(call).rejects.toEqual(closedError);
    }
  });
});

test.each(["jetstream", "nats", "bucket"] as const)("a cache whose link is silent closes within closeTimeoutMs: %s", async (kind) => {
  const server = await startServer();
  const link = await startTcpProxy(() => server.port);
  onTestFinished(() => link.close());
  const url = `nats://127.0.0.1:${link.port}`;
  const cache = await createCache(kind === "bucket" ? { storageUrl: `${url}/shared` } : { busUrl: url, busKind: kind });
  await until(() => cache.stats().bus?.type === "following");
  const load = cache.cacheable(async (id: string) => id, { name: "load" });
  link.stall();
  const published = cache.invalidate("a").catch((error: unknown) => error);
  await load("x");
  const closesAt = performance.now();
  await cache.close();
  expect(performance.now() - closesAt).toBeLessThan(limits.cacheCloseTimeoutMs + slackMs);
  expect(await published).toEqual(closedError);
});
