import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Cache, type CacheOptions, createCache } from "../../../../cache.js";
import { connectNats } from "../../../../transport/index.js";
import { InUseError } from "../../../../core/index.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../../../support/nats-server.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { HeardBus } from "../../../../testing/suites/bus.js";
import { startTcpProxy } from "../../../support/tcp-proxy.js";
import { until } from "../../../support/until.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";

const makeFolder = temporaryFolders();

interface Node {
  readonly cache: Cache;
  /** Its results begin with the name under which this node was opened. */
  readonly load: (id: string) => Promise<string>;
}

function nodeOf(cache: Cache, answer: string): Node {
  onTestFinished(() => cache.close());
  const load = cache.cacheable(async (id: string) => `${answer} ${id}`, { name: "load", deps: (id) => [`city:${id}`] });
  return { cache, load };
}

async function open(answer: string, options: CacheOptions): Promise<Node> {
  const node = nodeOf(await createCache({ publishTimeout: "20s", ...options }), answer);
  await until(() => node.cache.stats().bus?.type === "following");
  return node;
}

async function startServer(): Promise<NatsServer> {
  const server = await startNatsServer({ config: jetStreamConfig() });
  onTestFinished(() => server.stop());
  return server;
}

/** The results of `node` for Oslo, Rome and Lima. */
const cities = ({ load }: Node) => Promise.all(["oslo", "rome", "lima"].map((id) => load(id)));

describe("a folder with JetStream, after a restart", () => {
  test("has its results, except those that this node or another one invalidated before or meanwhile", async () => {
    const { url: busUrl } = await startServer();
    const storageUrl = `lmdb:${await makeFolder()}`;
    const other = await open("other", { busUrl });
    const before = await open("old", { busUrl, storageUrl });
    expect(await cities(before)).toEqual(["old oslo", "old rome", "old lima"]);
    expect(await before.cache.invalidate("city:oslo")).toBe("published");
    const version = before.cache.tagVersion("city:oslo");
    await before.cache.close();
    expect(await other.cache.invalidate("city:rome")).toBe("published");

    const after = await open("new", { busUrl, storageUrl });
    expect(await cities(after)).toEqual(["new oslo", "new rome", "old lima"]);
    expect(version).toBeGreaterThan(0);
    expect(after.cache.tagVersion("city:oslo")).toBe(version);
    await after.cache.close();
    const third = await open("third", { busUrl, storageUrl });
    expect(await cities(third)).toEqual(["new oslo", "new rome", "old lima"]);
    expect(await other.cache.clear()).toBe("published");
    await until(async () => (await third.load("lima")) === "third lima");
  });

  test("serves no result of it before it has the missed invalidations", async () => {
    const server = await startServer();
    const link = await startTcpProxy(() => server.port);
    onTestFinished(() => link.close());
    const there = { busUrl: `nats://127.0.0.1:${link.port}`, storageUrl: `lmdb:${await makeFolder()}` };
    const other = await open("other", { busUrl: server.url });
    const before = await open("old", there);
    await cities(before);
    await before.cache.close();
    await other.cache.invalidate("city:rome");
    link.cut();
    const after = nodeOf(await createCache(there), "new");
    expect(await cities(after)).toEqual(["new oslo", "new rome", "new lima"]);
    link.mend();
    await until(() => after.cache.stats().isInTouch);
    expect(await cities(after)).toEqual(["old oslo", "new rome", "old lima"]);
  });

  test("serves and computes without a broker if the folder is empty", async () => {
    const { cache, load } = nodeOf(await createCache({ busUrl: "nats://127.0.0.1:1", storageUrl: `lmdb:${await makeFolder()}` }), "new");
    expect([await load("oslo"), cache.stats().isInTouch]).toEqual(["new oslo", false]);
  });

  test("publishes an invalidation again if it was killed before the acknowledgement", { timeout: 60_000 }, async () => {
    const server = await startServer();
    const link = await startTcpProxy(() => server.port);
    onTestFinished(() => link.close());
    const busUrl = `nats://127.0.0.1:${link.port}`;
    const folder = await makeFolder();
    const other = await open("other", { busUrl: server.url });
    await cities(other);
    const child = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "folder-node.ts"), folder, busUrl, "old"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => (await lines.next()).value as string;
    const ask = (deed: string) => {
      child.stdin.write(`${deed}\n`);
      return next();
    };
    expect(await next()).toBe("following");
    for (const id of ["oslo", "rome", "lima"]) expect(await ask(`load ${id}`)).toBe(`old ${id}`);
    expect(await ask("invalidate city:oslo")).toBe("published");
    link.stall();
    expect(await ask("invalidate city:rome")).toBe("queued");
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    link.mend();
    link.cut();

    const after = nodeOf(await createCache({ busUrl, storageUrl: `lmdb:${folder}` }), "new");
    expect(after.cache.stats().outbox).toBe(1);
    expect(await other.load("rome")).toBe("other rome");
    expect(await after.load("rome")).toBe("new rome");
    link.mend();
    await until(() => after.cache.stats().outbox === 0);
    expect(await cities(after)).toEqual(["new oslo", "new rome", "old lima"]);
    await until(async () => (await other.cache.invalidate("nothing")) === "published");
    const tagVersion = other.cache.tagVersion("city:rome");
    expect(tagVersion).toBeGreaterThan(other.cache.tagVersion("city:oslo"));
    expect(after.cache.tagVersion("city:rome")).toBe(tagVersion);
  });
});

describe("a folder with JetStream is emptied", () => {
  /** Opens a node, closes it, lets `meanwhile` happen, and returns the results that the node then has. */
  async function afterwards(server: NatsServer, meanwhile: () => Promise<void>): Promise<readonly string[]> {
    const there = { busUrl: server.url, storageUrl: `lmdb:${await makeFolder()}` };
    const before = await open("old", there);
    await cities(before);
    expect(await before.cache.invalidate("nothing")).toBe("published");
    await before.cache.close();
    await meanwhile();
    return cities(await open("new", there));
  }
  const emptied = ["new oslo", "new rome", "new lima"];

  test("when the stream was emptied, even if the new stream has a higher sequence than the old one", async () => {
    const server = await startServer();
    const found = await afterwards(server, async () => {
      await server.restart(jetStreamConfig("another"));
      const other = await open("other", { busUrl: server.url });
      for (let n = 0; n < 50; n++) await other.cache.invalidate(`city:n${n}`);
      await other.cache.close();
    });
    expect(found).toEqual(emptied);
  });

  test("when the stream was restored from an older copy", async () => {
    const server = await startServer();
    const early = await open("early", { busUrl: server.url });
    await early.cache.invalidate("before");
    await early.cache.close();
    await server.kill("SIGTERM");
    await cp(join(server.folder, "data"), join(server.folder, "copy"), { recursive: true });
    await server.restart();
    const found = await afterwards(server, async () => {
      await server.kill("SIGTERM");
      await rm(join(server.folder, "data"), { recursive: true });
      await cp(join(server.folder, "copy"), join(server.folder, "data"), { recursive: true });
      await server.restart();
    });
    expect(found).toEqual(emptied);
  });

  test("when it was closed for longer than the stream remembers", async () => {
    const server = await startServer();
    const storageUrl = `lmdb:${await makeFolder()}`;
    const openShort = async (answer: string, options: CacheOptions = {}) => {
      const transport = await connectNats({ servers: server.url });
      onTestFinished(() => transport.close());
      const bus = createJetStreamBus({ transport, prefix: "zooid", historyMs: 4_500, heartbeatIntervalMs: 60, heartbeatTimeoutMs: 200 });
      return { bus, node: await open(answer, { bus, ...options }) };
    };
    const { node: before } = await openShort("old", { storageUrl });
    await cities(before);
    await before.cache.close();
    const { bus, node: other } = await openShort("other");
    await other.cache.invalidate("city:rome");
    const beganAt = bus.heardAt;
    // Heartbeats go on meanwhile, so the stream itself is not silent.
    await until(() => bus.heardAt > beganAt + 5_000);
    const { node: soon } = await openShort("soon", { storageUrl });
    expect(await cities(soon)).toEqual(["soon oslo", "soon rome", "soon lima"]);
  });

  test("when it is used without that bus, and when it is used with it again", async () => {
    const { url: busUrl } = await startServer();
    const storageUrl = `lmdb:${await makeFolder()}`;
    const opened: [answer: string, options: CacheOptions][] = [
      ["one", { busUrl }],
      ["two", {}],
      ["three", {}],
      ["four", { busUrl }],
    ];
    const found: string[] = [];
    for (const [answer, options] of opened) {
      const { cache, load } = await open(answer, { storageUrl, ...options });
      found.push(await load("oslo"));
      await cache.invalidate("nothing");
      await cache.close();
    }
    expect(found).toEqual(["one oslo", "two oslo", "two oslo", "four oslo"]);
  });
});

test("a folder with plain NATS is emptied at each start, and its unpublished invalidations are published", async () => {
  const server = await startServer();
  const link = await startTcpProxy(() => server.port);
  onTestFinished(() => link.close());
  const there = { busUrl: `nats://127.0.0.1:${link.port}`, busKind: "nats", storageUrl: `lmdb:${await makeFolder()}` } as const;
  const transport = await connectNats({ servers: server.url });
  onTestFinished(() => transport.close());
  const listening = createPlainBus({ transport, prefix: "zooid" });
  onTestFinished(() => listening.close());
  const heard = new HeardBus(listening);
  await listening.follow(undefined);
  const before = await open("old", { ...there, publishTimeout: "100ms" });
  await cities(before);
  link.cut();
  expect(await before.cache.invalidate("city:rome")).toBe("queued");
  await before.cache.close();
  link.mend();
  const after = await open("new", there);
  expect(await cities(after)).toEqual(["new oslo", "new rome", "new lima"]);
  await heard.until(({ tags }) => tags.includes("city:rome"));
});

test("a folder has one owner at a time", async () => {
  const { url: busUrl } = await startServer();
  const storageUrl = `lmdb:${await makeFolder()}`;
  const { cache } = await open("one", { busUrl, storageUrl });
  await expect(createCache({ busUrl, storageUrl })).rejects.toThrow(InUseError);
  await cache.close();
  await open("two", { busUrl, storageUrl });
});
