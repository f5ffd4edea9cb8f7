/**
 * A missing part is reported at once, with the commands that start it. When parts start in any order, each continues as
 * soon as all run.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createCache } from "../../cache.js";
import { deferred } from "../../core/deferred.js";
import { type Log, silentLog, systemClock, systemRandom } from "../../core/index.js";
import { connect } from "../../index.js";
import { openLmdbStore, startStorageServer } from "../../server.js";
import { connectNats } from "../../transport/nats/nats.js";
import { zooid } from "../cli/run-zooid.js";
import { jetStreamConfig } from "../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { until } from "../support/until.js";

/** Far below waitTimeoutMs, and longer than some requests take on a busy machine. */
const soonMs = 10_000;
const closing: (() => Promise<unknown>)[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "zooid-missing-"));
});

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await rm(folder, { recursive: true, force: true });
});

async function broker(options: Parameters<typeof startNatsServer>[0] = {}): Promise<NatsServer> {
  const nats = await startNatsServer(options);
  closing.push(() => nats.stop());
  return nats;
}

async function serve(servers: string, { realm = "zooid", ...who }: { realm?: string; user?: string; password?: string } = {}) {
  const transport = await connectNats({ servers, ...who });
  const open = () => openLmdbStore({ folder: join(folder, "server") });
  const seams = { clock: systemClock, random: systemRandom, log: silentLog };
  const server = await startStorageServer({ realm, storages: { main: { open } }, transport, ...seams });
  closing.push(() => server.close().then(() => transport.close()));
  return server;
}

/** A port on which nothing listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A log, and a promise of its first warning with this text. */
function awaiting(message: string): { readonly log: Log; readonly warned: Promise<Error> } {
  const { promise, resolve } = deferred<Error>();
  const warn = (facts: object, text: string) => {
    if (text === message && "err" in facts) resolve(facts.err as Error);
  };
  return { log: { ...silentLog, warn }, warned: promise };
}

/** The error of `work`, which must fail soon. */
async function soonFailed(work: Promise<unknown>): Promise<unknown> {
  const since = performance.now();
  const error: unknown = await work.then(
    () => "it did not fail",
    (reason: unknown) => reason,
  );
  expect(performance.now() - since).toBeLessThan(soonMs);
  return error;
}

const missing = (what: string, message: RegExp) => ({
  code: "ZOOID_DISCONNECTED",
  transient: true,
  missing: what,
  message: expect.stringMatching(message) as string,
});

const waits = "a client waits for its storage server";

describe("with nothing running", () => {
  let port: number;
  let servers: string;
  let noBroker: object;

  beforeEach(async () => {
    port = await freePort();
    servers = `nats://127.0.0.1:${port}`;
    const [start, serving] = [`nats-server --jetstream --port ${port}`, `npx zooid serve --data ./data --servers ${servers}`];
    const text = `not connected to 127.0.0.1:${port}: connection refused; no broker is there: start one with: ${start}; and a storage server with: ${serving}`;
    noBroker = missing("broker", new RegExp(`^${text}$`));
  });

  test("connect that does not wait names both commands", async () => {
    expect(await soonFailed(connect({ servers, connectTimeoutMs: 0 }))).toMatchObject(noBroker);
  });

  test("connect logs it at once, continues to wait, and connects when both have been started", async () => {
    const { log, warned } = awaiting(waits);
    const connecting = connect({ servers, log, waitTimeoutMs: Infinity });
    expect(await soonFailed(warned.then((error) => Promise.reject(error)))).toMatchObject(noBroker);
    await broker({ port });
    await serve(servers);
    await using store = await connecting;
    await store.put("x", 1);
    expect(await store.get("x")).toBe(1);
  });

  test("connect without a log emits a warning of the process", async () => {
    const { promise: warned, resolve } = deferred<Error>();
    const take = (warning: Error) => {
      if (warning.name === "ZooidWarning") resolve(warning);
    };
    process.on("warning", take);
    const connecting = connect({ servers, waitTimeoutMs: 5_000 }).catch((error: unknown) => error);
    const warning = await warned;
    process.off("warning", take);
    expect(warning).toMatchObject({
      code: "ZOOID_DISCONNECTED",
      message: expect.stringMatching(/^a client waits for its storage server: not connected to .*npx zooid serve/) as string,
    });
    expect(await connecting).toMatchObject(noBroker);
  });

  test("a command reports it at once", async () => {
    const asking = zooid(["get", "a", "--servers", servers]).then(({ error }) => Promise.reject(error as Error));
    expect(await soonFailed(asking)).toMatchObject(noBroker);
  });

  test("a storage server waits, and says which command starts the broker", async () => {
    const words = [
      "--import",
      "tsx",
      "cli/zooid.ts",
      "serve",
      "--data",
      join(folder, "data"),
      "--servers",
      servers,
      "--log-level",
      "silent",
    ];
    const child = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "pipe"] });
    closing.push(async () => child.kill("SIGKILL"));
    const [said] = (await once(child.stderr.setEncoding("utf8"), "data")) as [string];
    const start = `nats-server --jetstream --port ${port}`;
    expect(said).toBe(
      `zooid serve: waiting for a broker: not connected to 127.0.0.1:${port}: connection refused; no broker is there: start one with: ${start}\n`,
    );
  });

  test("a cache reports it in the log at once and in its stats, computes meanwhile, and follows when the broker has been started", async () => {
    const text = `not connected to 127.0.0.1:${port}: connection refused; no broker is there: start one with: nats-server --jetstream --port ${port}`;
    const { log, warned } = awaiting("a cache waits for its invalidation bus, and keeps nothing meanwhile");
    await using cache = await createCache({ busUrl: servers, log });
    expect(await cache.getOrSet("k", () => 1)).toBe(1);
    expect((await warned).message).toBe(text);
    expect(cache.stats().busTrouble).toBe(text);
    await broker({ port, config: jetStreamConfig() });
    await until(() => cache.stats().bus?.type === "following");
    expect(cache.stats().busTrouble).toBeUndefined();
  });
});

describe("with a broker", () => {
  test("a missing storage server is named, with the command that starts it", async () => {
    const { url: servers } = await broker();
    const error = missing(
      "server",
      /^not connected to \S+: no storage server answers at this broker; start a storage server with: npx zooid serve /,
    );
    expect(await soonFailed(connect({ servers, connectTimeoutMs: 0 }))).toMatchObject(error);
    expect((await zooid(["get", "a", "--servers", servers])).error).toMatchObject(error);
    const { log, warned } = awaiting(waits);
    const connecting = connect({ servers, log });
    expect(await warned).toMatchObject(error);
    await serve(servers);
    await (await connecting).close();
  });

  test("a realm without a server is named, with a realm that has one", async () => {
    const { url: servers } = await broker();
    await serve(servers);
    const error = missing(
      "realm",
      /: no storage server answers in realm "shop"; one in realm "zooid" serves "main"; start a storage server with: .* --realm shop$/,
    );
    expect(await soonFailed(connect({ servers, realm: "shop", connectTimeoutMs: 0 }))).toMatchObject(error);
    expect((await zooid(["put", "a", "1", "--servers", servers, "--realm", "shop"])).error).toMatchObject(error);
    const { log, warned } = awaiting(waits);
    const connecting = connect({ servers, realm: "shop", log, waitTimeoutMs: 2_000 });
    expect(await soonFailed(connecting)).toMatchObject(error);
    expect(await warned).toMatchObject(error);
  });

  test("a storage that no server serves is named, with the served storages", async () => {
    const { url: servers } = await broker();
    await serve(servers);
    const error = missing("storage", /: no server serves storage "cities" now; a server there serves "main"; .* --storages cities$/);
    expect(await soonFailed(connect({ servers, storage: "cities", connectTimeoutMs: 0 }))).toMatchObject(error);
    expect((await zooid(["list", "--servers", servers, "--storage", "cities"])).error).toMatchObject(error);
  });

  test("for a user without permissions in other realms the error names only its own realm", async () => {
    const permissions = 'permissions { publish: ["zooid.shop.>"], subscribe: ["zooid.shop.>", "_INBOX.>"] }';
    const users = `authorization { users: [{ user: all, password: p }, { user: app, password: p, ${permissions} }] }`;
    const { url: servers } = await broker({ config: users });
    await serve(servers, { user: "all", password: "p" });
    const asked = { servers, user: "app", password: "p", realm: "shop", connectTimeoutMs: 0 };
    expect(await soonFailed(connect(asked))).toMatchObject(missing("server", /: no storage server answers in realm "shop"; start /));
  });

  test("a client whose cache holds data opens without its server, even with a wait time of 0", async () => {
    const { url: servers } = await broker();
    const server = await serve(servers);
    const options = { servers, client: "a", cache: { folder: join(folder, "cache") } };
    {
      await using store = await connect(options);
      await store.put("x", 1);
    }
    await server.close();
    await using store = await connect({ ...options, connectTimeoutMs: 0 });
    expect([store.isConnected, await store.get("x")]).toEqual([false, 1]);
    await until(() => store.status().problem !== undefined);
    expect(store.status().problem).toMatch(/no storage server answers at this broker/);
  });
});

describe("a broker without JetStream", () => {
  test("is reported by a cache in the log and in its stats, within its first two seconds", async () => {
    const { url: busUrl, port } = await broker();
    const { log, warned } = awaiting("a cache waits for its invalidation bus, and keeps nothing meanwhile");
    await using cache = await createCache({ busUrl, log });
    const text = `the broker at 127.0.0.1:${port} has no JetStream: turn it on (nats-server --jetstream), or use busKind: "nats"`;
    expect(await warned).toMatchObject({ code: "ZOOID_NO_JET_STREAM", message: text });
    expect(cache.stats().busTrouble).toBe(text);
    expect(await cache.getOrSet("k", () => 1)).toBe(1);
  });

  test("is reported by a cache for its bucket", async () => {
    const { url } = await broker();
    const { log, warned } = awaiting("a cache waits for its invalidation bus, and keeps nothing meanwhile");
    await using cache = await createCache({ storageUrl: `${url}/results`, log });
    expect(await warned).toMatchObject({ code: "ZOOID_NO_JET_STREAM" });
    expect(cache.stats().isInTouch).toBe(false);
  });
});
