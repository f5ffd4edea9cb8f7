import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createActorSystem } from "../../actors/index.js";
import { type Cache, createCache } from "../../cache.js";
import { connect, type Log } from "../../index.js";
import { startStorageServer } from "../../server.js";
import { silentLog, systemRandom, systemClock, TimeoutError } from "../../core/index.js";
import { openMemoryStore } from "../../testing/index.js";
import { connectNats } from "../../transport/index.js";
import { texts } from "../support/documents.js";
import { jetStreamConfig } from "../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../support/nats-server.js";
import { until } from "../support/until.js";

/** The configuration in the guide, with passwords in place of variables. */
const text = /<!-- permissions -->\n\n```text\n([^]*?)```/.exec(texts().get("docs/guide/operations.md") ?? "")?.[1] ?? "";
const config = `${jetStreamConfig()}\n${text.replaceAll(/\$\w+_PASSWORD/g, "secret")}`;

let nats: NatsServer;
/** Log records of level warning or above, but for time-outs of a busy machine: each shows a missing permission. */
const warned: string[] = [];
const noted = (facts: unknown, message?: string): void => {
  if ((facts as { readonly err?: unknown }).err instanceof TimeoutError) return;
  warned.push(`${message}: ${JSON.stringify(facts)}`);
};
const log: Log = { ...silentLog, warn: noted, error: noted, fatal: noted };
const seams = { clock: systemClock, random: systemRandom, log };
const as = (user: string) => ({ servers: nats.url, user, password: "secret", inboxPrefix: `_INBOX_${user}` });

beforeAll(async () => {
  nats = await startNatsServer({ config });
});
afterAll(async () => {
  await nats?.stop();
});

describe("with the users and permissions of the guide of operations", () => {
  test("a server serves clients, which read, write, watch, and list what runs", async () => {
    const transport = await connectNats({ ...as("server"), ...seams });
    const system = createActorSystem({ realm: "shop", transport, ...seams });
    const storages = { main: { open: () => openMemoryStore() } };
    const server = await startStorageServer({ realm: "shop", storages, transport, system, ...seams });
    const [one, other] = await Promise.all(["one", "other"].map((client) => connect({ ...as("client"), realm: "shop", client, log })));
    if (one === undefined || other === undefined) throw new Error("two clients are connected");
    const changes = one.watch("price/");
    const tid = await other.put("price/tea", 5);
    expect(await changes.next()).toEqual({ done: false, value: { type: "changed", key: "price/tea", tid } });
    expect((await one.read((snapshot) => snapshot.get("price/tea"), { after: tid })).value).toBe(5);

    const link = await connectNats({ ...as("client"), ...seams });
    const looking = createActorSystem({ realm: "shop", transport: link, ...seams });
    const found = new Set<string>();
    await until(async () => {
      for (const { path } of await looking.list("50ms")) found.add(path);
      return found.has("client/one/connection") && found.has("server/main/group-commit");
    });
    expect((await looking.remote("client/one/connection").snapshot()).value).toEqual({ attached: { linked: { connected: "readWrite" } } });

    await Promise.all([one.close(), other.close()]);
    await link.close();
    await server.close();
    await transport.close();
    expect(warned).toEqual([]);
  });

  test("a client can neither publish invalidations for the server nor receive the requests of other clients", async () => {
    const link = await connectNats({ ...as("client"), clock: systemClock, random: systemRandom });
    const refused = (subject: string) =>
      expect.objectContaining({ code: "ZOOID_NOT_AUTHORIZED", facts: expect.objectContaining({ subject }) });
    await expect(link.request("zooid.shop.storage.main.invalidations", new Uint8Array(), { timeoutMs: 5_000 })).rejects.toEqual(
      refused("zooid.shop.storage.main.invalidations"),
    );
    const received = link.subscribe("zooid.shop.storage.main.register", () => undefined);
    await link.flush();
    expect(received.refused).toEqual(refused("zooid.shop.storage.main.register"));
    await link.close();
  });

  test("nodes of a cache receive each other's invalidations, and share a bucket", async () => {
    warned.length = 0;
    const options = { ...as("node"), busUrl: nats.url, prefix: "pages", storageUrl: `${nats.url}/results`, log };
    const { servers: _, ...node } = options;
    const [a, b] = await Promise.all([createCache(node), createCache(node)]);
    await until(() => a.stats().isInTouch && b.stats().isInTouch);
    let runs = 0;
    const once = (cache: Cache) => cache.cacheable(async () => ++runs, { name: "once", deps: "shop" });
    const [atA, atB] = [once(a), once(b)];
    expect(await atA()).toBe(1);
    // The bucket has a's entry soon after.
    await until(async () => {
      const late = await createCache(node);
      await until(() => late.stats().isInTouch);
      await once(late)();
      await late.close();
      return late.stats().bucketHits > 0;
    });
    const kept = await atB();
    expect(await a.invalidate("shop")).toBe("published");
    await until(() => b.tagVersion("shop") === a.tagVersion("shop"));
    expect(await atB()).toBeGreaterThan(kept);
    await Promise.all([a.close(), b.close()]);
    expect(warned).toEqual([]);
  });
});
