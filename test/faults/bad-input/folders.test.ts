/** Folders that a storage server cannot use: it does not start, answers no request, and leaves them unchanged. */
import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { storageSubjects } from "../../../actors/protocol/messages.js";
import { connect } from "../../../index.js";
import { openObjectClient } from "../../../actors/client/object-client.js";
import { openLmdbStore, startStorageServer, type StorageServer } from "../../../server.js";
import { type Broker, createBroker } from "../../../transport/in-process.js";
import { silentLog, systemRandom, systemClock } from "../../../core/index.js";
import { temporaryFolders } from "../../support/temporary-folder.js";

const run = promisify(execFile);
const makeFolder = temporaryFolders();
const mounted: string[] = [];
const servers: StorageServer[] = [];
let broker: Broker;
let folder: string;

beforeEach(async () => {
  broker = createBroker();
  folder = await makeFolder();
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  for (const each of mounted.splice(0)) await run("umount", [each]);
});

const seams = { clock: systemClock, random: systemRandom, log: silentLog };

async function serve(data: string, realm = "test"): Promise<StorageServer> {
  const storages = { main: { open: () => openLmdbStore({ folder: data }) } };
  const server = await startStorageServer({ ...seams, realm, storages, transport: broker.connect() });
  servers.push(server);
  return server;
}

async function refused(data: string, realm: string, code: string): Promise<void> {
  await expect(serve(data, realm)).rejects.toMatchObject({ code, transient: false, facts: { folder: data } });
  const asking = broker.connect().request(storageSubjects(realm, "main").register, new Uint8Array(), { timeoutMs: 1_000 });
  await expect(asking, "no server answers").rejects.toMatchObject({ code: "ZOOID_DISCONNECTED" });
}

/**
 * Makes `path` a folder in which nothing can be written. Root ignores the mode of a folder, so a read-only file system
 * is mounted; other users cannot mount, and for them the mode is enough.
 */
async function unwritable(path: string): Promise<void> {
  await mkdir(path);
  try {
    await run("mount", ["-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", path]);
    mounted.push(path);
  } catch {
    await chmod(path, 0o500);
  }
}

describe("a storage server does not start", () => {
  test("in the folder of another server, which goes on", async () => {
    const first = await serve(folder);
    const client = await openObjectClient({
      ...seams,
      realm: "test",
      storage: "main",
      client: "a",
      cache: undefined,
      transport: broker.connect(),
    });
    const tid = await client.put("kept", 1);
    await refused(folder, "other", "ZOOID_IN_USE");
    expect(first.status("main").position.tid).toBe(tid);
    expect(await client.put("kept", 2)).toBeGreaterThan(tid);
    await client.close();
    await first.close();
    await serve(folder, "other");
  });

  test("in a folder that cannot be written", async () => {
    const path = join(folder, "locked");
    await unwritable(path);
    await refused(path, "test", "ZOOID_STORE");
    await refused(join(path, "inside"), "test", "ZOOID_STORE");
    expect(await readdir(path)).toEqual([]);
  });

  test("where a file has the path of the folder", async () => {
    const file = join(folder, "file");
    await writeFile(file, "mine");
    await refused(file, "test", "ZOOID_STORE");
    await refused(join(file, "inside"), "test", "ZOOID_STORE");
    expect(await readFile(file, "utf8")).toBe("mine");
  });

  test("with data that is not Zooid's", async () => {
    const data = join(folder, "data.mdb");
    const bytes = Buffer.alloc(16_384, "not a database ");
    await writeFile(data, bytes);
    await refused(folder, "test", "ZOOID_STORE");
    expect((await readFile(data)).equals(bytes)).toBe(true);
  });

  test("with the data of another storage", async () => {
    const storages = { other: { open: () => openLmdbStore({ folder }) } };
    const other = await startStorageServer({ ...seams, realm: "test", storages, transport: broker.connect() });
    await other.close();
    await refused(folder, "test", "ZOOID_STORE");
    await (await startStorageServer({ ...seams, realm: "test", storages, transport: broker.connect() })).close();
  });
});

describe("a client does not open its cache", () => {
  const opening = (cache: string) =>
    openObjectClient({
      ...seams,
      realm: "test",
      storage: "main",
      client: "a",
      cache: () => openLmdbStore({ folder: cache, durable: false, bootId: "boot" }),
      transport: broker.connect(),
    });

  test("in the folder of another client, which goes on", async () => {
    await serve(join(folder, "server"));
    const cache = join(folder, "cache");
    const first = await opening(cache);
    await first.put("kept", 1);
    await expect(opening(cache)).rejects.toMatchObject({ code: "ZOOID_IN_USE", facts: { folder: cache } });
    expect(await first.get("kept")).toBe(1);
    await first.close();
    await (await opening(cache)).close();
  });

  test("in the folder of a server, which stays unchanged", async () => {
    const data = join(folder, "server");
    await (await serve(data)).close();
    await expect(opening(data)).rejects.toMatchObject({ code: "ZOOID_STORE", facts: { folder: data } });
    await serve(data);
  });

  test("in a folder that cannot be written", async () => {
    const cache = join(folder, "locked");
    await unwritable(cache);
    await expect(opening(cache)).rejects.toMatchObject({ code: "ZOOID_STORE", facts: { folder: cache } });
    expect(await readdir(cache)).toEqual([]);
  });

  test.each(["", 7, {}, { folder: "" }, { folder: 7 }, "folder"])("that is named %j", async (cache) => {
    await expect(connect({ servers: "nats://127.0.0.1:1", cache: cache as "transient" })).rejects.toMatchObject({
      code: "ZOOID_INVALID_OPTION",
      facts: { option: "cache" },
    });
  });
});
