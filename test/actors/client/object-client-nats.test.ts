import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, type ObjectClient } from "../../../index.js";
import { openLmdbStore, startStorageServer } from "../../../server.js";
import { silentLog, systemRandom, systemClock } from "../../../core/index.js";
import { connectNats } from "../../../transport/index.js";
import { type NatsServer, startNatsServer } from "../../support/nats-server.js";

const code = (code: string) => expect.objectContaining({ code });

let nats: NatsServer;
let folder: string;
const closing: (() => Promise<void>)[] = [];

beforeEach(async () => {
  nats = await startNatsServer();
  folder = await mkdtemp(join(tmpdir(), "zooid-client-"));
});

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await nats.stop();
  await rm(folder, { recursive: true, force: true });
});

async function serve() {
  const seams = { clock: systemClock, random: systemRandom, log: silentLog };
  const transport = await connectNats({ servers: nats.url });
  const open = () => openLmdbStore({ folder: join(folder, "server") });
  const server = await startStorageServer({ realm: "zooid", storages: { main: { open } }, transport, ...seams });
  const close = async () => {
    await server.close();
    await transport.close();
  };
  closing.push(close);
  return { close };
}

/** Resolves when the client enters a state for which `holds` returns true. */
function until(client: ObjectClient, holds: (client: ObjectClient) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!holds(client)) return;
      forget();
      resolve();
    };
    const forget = client.onState(look);
    look();
  });
}

describe("connect", () => {
  test("opens a client with its cache in a folder, which reads from it without a server and replays with one", async () => {
    const server = await serve();
    const options = { servers: nats.url, client: "a", cache: { folder: join(folder, "cache") } };
    await using other = await connect({ servers: nats.url });
    {
      await using store = await connect(options);
      await store.put("x", { n: 1 });
      expect(await store.get("x")).toEqual({ n: 1 });
      await expect(connect(options)).rejects.toEqual(code("ZOOID_IN_USE"));
    }
    await other.put("x", { n: 2 });
    {
      await using store = await connect(options);
      expect(store.status().verification).toMatchObject({ how: "replayed", transactions: 1 });
      expect(await store.get("x")).toEqual({ n: 2 });
      await server.close();
      await until(store, ({ isConnected }) => !isConnected);
      expect(await store.read((tx) => tx.get("x"))).toMatchObject({ value: { n: 2 }, connected: false, loads: 0 });
    }
    {
      await using store = await connect(options);
      expect(store.isConnected).toBe(false);
      expect(await store.get("x")).toEqual({ n: 2 });
      await serve();
      await store.connected();
      await store.put("x", { n: 3 });
    }
  });

  test("accepts the address of its broker as the only argument", async () => {
    await serve();
    await using store = await connect(nats.url);
    await store.put("x", 1);
    expect(store.status()).toMatchObject({ address: nats.url.replace("nats://", ""), state: "readWrite" });
  });

  test("fails at once when waiting cannot help, and waits otherwise", async () => {
    await serve();
    const servers = nats.url;
    await expect(connect({ servers, storage: "a.b" })).rejects.toMatchObject({ facts: { option: "storage" } });
    await expect(connect({ servers, cach: "transient" } as never)).rejects.toMatchObject({ facts: { option: "cach" } });
    await expect(connect({ servers, cache: {} as never })).rejects.toMatchObject({ facts: { option: "cache" } });
    await expect(connect({ servers: [1] as never })).rejects.toMatchObject({ facts: { option: "servers" } });
    await expect(connect({ servers, storage: "none", waitTimeoutMs: 50 })).rejects.toMatchObject({
      code: "ZOOID_DISCONNECTED",
      message: expect.stringMatching(
        /no server serves storage "none" now; a server there serves "main"; start a storage server with: npx zooid serve /,
      ) as string,
    });
    await nats.stop();
    await expect(connect({ servers, waitTimeoutMs: 50 })).rejects.toEqual(code("ZOOID_DISCONNECTED"));
  });
});
