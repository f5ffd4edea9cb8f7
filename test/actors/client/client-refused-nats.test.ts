/** Errors of a client whose broker refuses it, and how a client closes when the broker does not answer. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, type ConnectOptions } from "../../../index.js";
import { openLmdbStore, startStorageServer } from "../../../server.js";
import { silentLog, systemRandom, systemClock } from "../../../core/index.js";
import { connectNats } from "../../../transport/index.js";
import { type NatsServer, startNatsServer } from "../../support/nats-server.js";
import { startTcpProxy } from "../../support/tcp-proxy.js";
import { watched } from "../../support/watched.js";

const storage = "zooid.zooid.storage.main";
const closing: (() => Promise<unknown>)[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "zooid-refused-"));
});

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await rm(folder, { recursive: true, force: true });
});

async function broker(config?: string): Promise<NatsServer> {
  const nats = await startNatsServer(config === undefined ? {} : { config });
  closing.push(() => nats.stop());
  return nats;
}

async function serve(nats: NatsServer, user?: { readonly user: string; readonly password: string }) {
  const transport = await connectNats({ servers: nats.url, ...user });
  const seams = { clock: systemClock, random: systemRandom, log: silentLog };
  const open = () => openLmdbStore({ folder: join(folder, "server") });
  const server = await startStorageServer({ realm: "zooid", storages: { main: { open } }, transport, ...seams });
  closing.push(() => server.close().then(() => transport.close()));
  return server;
}

/** The error of a client that does not connect with these options, and the time until it came. */
async function refusal(options: ConnectOptions): Promise<{ readonly error: unknown; readonly ms: number }> {
  const since = performance.now();
  const error: unknown = await connect(options).then(
    (client) => client.close(),
    (reason: unknown) => reason,
  );
  return { error, ms: performance.now() - since };
}

/** Well below waitTimeoutMs, and longer than a handshake takes on a busy machine. */
const soonMs = 10_000;

describe("a client whose broker does not allow what it needs", () => {
  const users = (subscribe: readonly string[]) =>
    `authorization { users: [{ user: all, password: p }, { user: app, password: p, permissions { publish: ">", subscribe: ${JSON.stringify(subscribe)} } }] }`;
  const app = { user: "app", password: "p" };

  test.each([
    ["replies", [`${storage}.invalidations`], /^_INBOX\.[0-9a-f]+\.\*$/],
    ["invalidations", ["_INBOX.>"], /^zooid\.zooid\.storage\.main\.invalidations$/],
  ])("fails at once with an error that names the subject of %s, which it may not receive", async (_, subscribe, subject) => {
    const nats = await broker(users([...subscribe, "zooid.zooid.actors"]));
    const server = await serve(nats, { user: "all", password: "p" });
    const { error, ms } = await refusal({ servers: nats.url, ...app });
    expect(error).toMatchObject({ code: "ZOOID_NOT_AUTHORIZED", facts: { subject: expect.stringMatching(subject) as string } });
    expect(ms).toBeLessThan(soonMs);
    expect(server.status("main").sessions).toEqual([]);
  });
});

describe("the end of a client", () => {
  test("frees its folder and its link when it is killed", async () => {
    const nats = await broker();
    const server = await serve(nats);
    const options = { servers: nats.url, client: "a", cache: { folder: join(folder, "cache") } };
    const client = await connect(options);
    await client.put("x", 1);
    client.kill();
    await client.close();
    await using again = await connect(options);
    expect(await again.get("x")).toBe(1);
    expect(server.status("main").sessions).toMatchObject([{ client: "a" }, { client: "a" }]);
  });

  test.each(["in memory", "in a folder"])("lets its process end when it is killed, with a cache %s", async (where) => {
    const nats = await broker();
    await serve(nats);
    const program = join(import.meta.dirname, "killed-client.ts");
    const words = ["--import", "tsx", program, nats.url, ...(where === "in memory" ? [] : [join(folder, "killed")])];
    const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"] });
    closing.push(async () => child.kill("SIGKILL"));
    const [ended, printed, failures] = [once(child, "close"), text(child.stdout), text(child.stderr)];
    expect(await ended).toEqual([0, null]);
    expect([JSON.parse(await printed), await failures]).toEqual([[true, "ZOOID_CLOSED"], ""]);
  });

  test("takes at most closeTimeoutMs with a silent link and a pending commit, whose outcome is then unknown", async () => {
    const nats = await broker();
    await serve(nats);
    const proxy = await startTcpProxy(() => nats.port);
    closing.push(() => proxy.close());
    const client = await connect({
      servers: `nats://127.0.0.1:${proxy.port}`,
      closeTimeoutMs: 500,
      cache: { folder: join(folder, "cache") },
    });
    await client.put("x", 1);
    proxy.stall();
    const commit = watched(client.put("x", 2));
    const change = watched(client.watch("").next());
    const since = performance.now();
    await client.close();
    expect(performance.now() - since).toBeLessThan(2_000);
    expect(commit.error).toMatchObject({ code: "ZOOID_OUTCOME_UNKNOWN" });
    expect(change.value).toEqual({ done: true, value: undefined });
  });
});
