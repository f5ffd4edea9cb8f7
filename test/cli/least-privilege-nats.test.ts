import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../index.js";
import { connectNats } from "../../transport/index.js";
import type { Log } from "../../core/index.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { keptLog } from "../suites/client-cache.js";
import { until } from "../support/until.js";
import { zooid } from "./run-zooid.js";
import { built } from "../support/built.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const realm = "zooid.zooid";
const storage = `${realm}.storage.main`;
const quoted = (...subjects: readonly string[]) => subjects.map((subject) => JSON.stringify(subject)).join(", ");

/** The subjects that a storage server publishes to. */
const sent = [`${storage}.invalidations`, `${storage}.writer`, `${storage}.*.writer`];
const answers = `allow_responses: { max: 32, expires: "1m" }`;

/**
 * Users with the fewest permissions that an operator can give: storage servers, servers that lack a permission, and an
 * application.
 */
const serves = (inbox: readonly string[], publish: readonly string[] = sent, responses = answers) => `permissions {
    publish: [${quoted(...publish, `${realm}.view.server.>`, `${realm}.listed.*`)}]
    subscribe: [${quoted(`${storage}.>`, `${realm}.storages`, `${realm}.actors`, `${realm}.actor.server.>`, ...inbox)}]
    ${responses}
  }`;
const lacking = (subject: string) =>
  serves(
    ["_INBOX_server.>"],
    sent.filter((each) => each !== subject),
  );
/** A client that does not write: it may request `operations` of a server, and nothing of actors. */
const readsOnly = (operations: readonly string[]) => `permissions {
    publish: [${quoted(`${storage}.register`, ...operations.map((each) => `${storage}.*.${each}`))}]
    subscribe: [${quoted(`${storage}.invalidations`, "_INBOX_reader.>")}]
  }`;
const config = `authorization { users: [
  { user: "server", password: "s", ${serves(["_INBOX_server.>"])} }
  { user: "deaf", password: "s", ${serves([])} }
  { user: "unheard", password: "s", ${lacking(`${storage}.invalidations`)} }
  { user: "unasking", password: "s", ${lacking(`${storage}.*.writer`)} }
  { user: "mute", password: "s", ${serves(["_INBOX_server.>"], sent, "")} }
  { user: "operator", password: "o" }
  { user: "reader", password: "r", ${readsOnly(["register", "load", "list", "verify", "log", "keys", "alive", "bye", "status", "writer"])} }
  { user: "unwitting", password: "r", ${readsOnly(["register", "load", "list", "verify", "log", "keys", "alive", "bye", "status"])} }
  { user: "app", password: "a", permissions {
    publish: [${quoted(`${storage}.register`, `${storage}.*.*`, `${realm}.storages`, `${realm}.view.client.>`, `${realm}.listed.*`)}]
    subscribe: [${quoted(`${storage}.invalidations`, "_INBOX_app.>", `${realm}.actors`, `${realm}.actor.client.>`)}]
    allow_responses: true
  } }
] }`;

let nats: NatsServer;
const folders: string[] = [];
const children: ChildProcess[] = [];

beforeAll(async () => {
  nats = await startNatsServer({ config });
});
afterAll(() => nats.stop());
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

/** Arguments of `zooid serve` with a folder of its own. */
async function serveOf(user: string, ...more: readonly string[]): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "zooid-least-"));
  folders.push(folder);
  return ["serve", "--json", "--data", folder, "--servers", nats.url, "--user", user, "--password", "s", "--log-level", "silent", ...more];
}

/** Starts `zooid serve` as a process of its own. */
async function startServer(...more: readonly string[]) {
  const words = await serveOf("server", "--inbox-prefix", "_INBOX_server", ...more);
  const child = spawn(process.execPath, [built("cli/zooid.js"), ...words], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  return child;
}

/** Starts `zooid serve` as a process of its own; resolves when it is ready. */
async function serverProcess(...more: readonly string[]): Promise<ChildProcess> {
  const child = await startServer(...more);
  child.stderr.pipe(process.stderr, { end: false });
  for await (const line of createInterface({ input: child.stdout })) if (line.includes('"ready"')) return child;
  throw new Error("the server ended before it was ready");
}

/** Resolves when the broker has carried `count` questions whether another server writes, as an operator sees them. */
async function questions(count: number): Promise<void> {
  const operator = await connectNats({ servers: nats.url, user: "operator", password: "o" });
  let seen = 0;
  operator.subscribe(`${storage}.writer`, () => seen++);
  await until(() => seen >= count);
  await operator.close();
}

const app = () => connect({ servers: nats.url, user: "app", password: "a", inboxPrefix: "_INBOX_app", waitTimeoutMs: 10_000 });
const isReady = (lines: readonly string[]) => lines.some((line) => line.includes('"ready"'));

describe("with users that have only the permissions they need", () => {
  test("a server that may not receive replies does not start, and says which subject the broker refuses", async () => {
    const { lines, error } = await zooid(await serveOf("server"));
    expect(error).toMatchObject({ code: "ZOOID_NOT_AUTHORIZED", facts: { subject: expect.stringMatching(/^_INBOX\.[0-9a-f]+\.\*$/) } });
    expect(isReady(lines)).toBe(false);
  });

  test("a server that may not subscribe to one of its subjects does not start, and the error names the subject", async () => {
    const { lines, error } = await zooid([
      ...(await serveOf("app")).slice(0, -1),
      "silent",
      "--inbox-prefix",
      "_INBOX_app",
      "--password",
      "a",
    ]);
    expect(error).toMatchObject({ code: "ZOOID_NOT_AUTHORIZED", facts: { subject: `${storage}.writer` } });
    expect(isReady(lines)).toBe(false);
  });

  test.each([
    ["its heartbeats", "unheard", `${storage}.invalidations`],
    ["the question whether another server writes", "unasking", "writer"],
    ["answers", "mute", "_INBOX_server."],
  ])("a server that may not send %s does not start, and says which subject the broker refuses", async (_, user, subject) => {
    const { lines, error } = await zooid(await serveOf(user, "--inbox-prefix", "_INBOX_server"));
    expect(error).toMatchObject({ code: "ZOOID_NOT_AUTHORIZED", facts: { subject: expect.stringContaining(subject) as string } });
    expect(isReady(lines)).toBe(false);
  });

  test("a second server on another folder does not become ready, and the commits that the first acknowledged stay", async () => {
    await serverProcess();
    await using store = await app();
    const acknowledged: string[] = [];
    let isOver = false;
    const writing = (async () => {
      for (let n = 0; !isOver || n < 20; n++) {
        await store.put(`k/${n}`, n);
        acknowledged.push(`k/${n}`);
      }
    })();
    const seconds = [
      await serveOf("server", "--inbox-prefix", "_INBOX_server"),
      await serveOf("deaf"),
      await serveOf("deaf", "--take-over"),
    ];
    const ended = await Promise.all(seconds.map((words) => zooid(words)));
    isOver = true;
    await writing;
    expect(ended.map(({ error }) => error)).toMatchObject([
      { code: "ZOOID_ANOTHER_WRITER" },
      { code: "ZOOID_NOT_AUTHORIZED" },
      { code: "ZOOID_NOT_AUTHORIZED" },
    ]);
    expect(ended.map(({ lines }) => isReady(lines))).toEqual([false, false, false]);
    await using fresh = await app();
    const found = await fresh.getMany(acknowledged);
    expect(found.filter((value) => value === undefined)).toEqual([]);
  });

  test("a second server waits while the first is stopped by SIGSTOP, and ends when the first answers", async () => {
    const first = await serverProcess();
    await using store = await app();
    await store.put("k", 1);
    first.kill("SIGSTOP");
    const second = zooid(await serveOf("server", "--inbox-prefix", "_INBOX_server"));
    await questions(3);
    first.kill("SIGCONT");
    const { lines, error } = await second;
    expect(error).toMatchObject({ code: "ZOOID_ANOTHER_WRITER" });
    expect(isReady(lines)).toBe(false);
    await store.put("k", 2);
    expect(await store.get("k")).toBe(2);
  });

  test("SIGTERM ends a second server that waits while the first is stopped by SIGSTOP", async () => {
    const first = await serverProcess();
    first.kill("SIGSTOP");
    const second = await startServer();
    const [ended, printed] = [once(second, "exit"), text(second.stderr)];
    await questions(2);
    second.kill("SIGTERM");
    expect(await ended).toEqual([143, null]);
    expect(await printed).toBe("");
  });

  test("a second server with --take-over becomes ready while the first is stopped by SIGSTOP, and the first ends when it runs again", async () => {
    const first = await serverProcess();
    const ended = once(first, "exit");
    first.kill("SIGSTOP");
    const second = await serverProcess("--take-over");
    await using store = await app();
    await store.put("k", 1);
    first.kill("SIGCONT");
    expect(await ended).toEqual([1, null]);
    expect(second.exitCode).toBe(null);
    await store.put("k", 2);
    expect(await store.get("k")).toBe(2);
  });

  test("a read-only client moves from a read-only server to the writer when that returns; without permission to ask for the writer it stays and logs a warning", async () => {
    const reader = (user: string, log: Log) =>
      connect({ servers: nats.url, user, password: "r", inboxPrefix: "_INBOX_reader", readOnly: true, waitTimeoutMs: 10_000, log });
    const readOnlyServer = await serverProcess("--read-only");
    const logs = { reader: keptLog(), unwitting: keptLog() };
    await using client = await reader("reader", logs.reader.log);
    await using unwitting = await reader("unwitting", logs.unwitting.log);
    expect([client.state, unwitting.state]).toEqual(["readOnly", "readOnly"]);
    const copy = client.status().instance;
    await serverProcess();
    await using store = await app();
    await until(() => store.state === "readWrite");
    await store.put("a/1", 1);
    await until(() => client.status().instance === store.status().instance);
    const warning = "the broker does not let this client ask which server writes: it stays with the one it has";
    await until(() => logs.unwitting.lines.includes(warning));
    expect(await client.read((rd) => rd.get("a/1"), { after: store.position.tid })).toMatchObject({ value: 1 });
    for await (const [key] of client.list("a/")) expect(key).toBe("a/1");
    expect(unwitting.status().instance).toBe(copy);
    expect(await unwitting.get("a/1")).toBe(undefined);
    readOnlyServer.kill("SIGKILL");
    await until(() => unwitting.status().instance === store.status().instance);
    expect(logs.unwitting.lines.filter((line) => line === warning)).toHaveLength(1);
    expect(logs.reader.lines).not.toContain(warning);
  });

  test("every command accepts an inbox prefix; a command that may not receive replies fails at once", async () => {
    await serverProcess();
    const credentials = ["--servers", nats.url, "--user", "app", "--password", "a"];
    const withInbox = [...credentials, "--inbox-prefix", "_INBOX_app"];
    expect(await zooid(["put", "a", "1", ...withInbox])).toMatchObject({ error: undefined });
    expect(await zooid(["get", "a", ...withInbox])).toMatchObject({ lines: ["1"] });
    const startedAt = performance.now();
    for (const words of [["get", "a"], ["put", "a", "1"], ["list"]]) {
      const { error } = await zooid([...words, ...credentials]);
      expect(error).toMatchObject({ code: "ZOOID_NOT_AUTHORIZED", facts: { subject: expect.stringContaining("_INBOX.") } });
    }
    expect(performance.now() - startedAt).toBeLessThan(9_000);
  });
});

describe("SIGTERM while the broker is silent", () => {
  afterEach(() => {
    nats.resume();
  });

  test("ends a server, which waits a bounded time until the broker has its goodbye", async () => {
    const server = await serverProcess();
    const ended = once(server, "exit");
    nats.pause();
    server.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });

  test("ends a server that closes at once, when it is the second one", async () => {
    const server = await serverProcess();
    const ended = once(server, "exit");
    nats.pause();
    let isOver = false;
    void ended.then(() => (isOver = true));
    await until(() => isOver || !server.kill("SIGTERM"));
    expect(await ended).toEqual([null, "SIGTERM"]);
  });
});
