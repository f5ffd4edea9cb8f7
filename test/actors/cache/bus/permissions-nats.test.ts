import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cache, createCache } from "../../../../cache.js";
import { type Bus, connectNats, type HeadedTransport } from "../../../../transport/index.js";
import { encodeMessage, type Log, silentLog } from "../../../../core/index.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../../../support/nats-server.js";
import { busPace, HeardBus } from "../../../../testing/suites/bus.js";
import { until } from "../../../support/until.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";

const config = `${jetStreamConfig()}
authorization { users = [
  { user: node, password: secret }
  { user: shop, password: secret, permissions: {
    publish: ["zooid.p.inv.tag.shop.>", "zooid.p.invalidations.tag.shop.>"], subscribe: ["_INBOX.>", "zooid.>"] } }
  { user: partly, password: secret, permissions: { publish: { deny: ["zooid.p.inv.tag.orders.>", "zooid.p.inv.tag.orders",
    "zooid.p.invalidations.tag.orders.>", "zooid.p.invalidations.tag.orders"] } } }
  { user: silent, password: secret, permissions: { publish: { deny: ["zooid.p.inv.>", "zooid.p.invalidations.>"] } } }
  { user: deaf, password: secret, permissions: { subscribe: { deny: ["zooid.p.upd.>", "zooid.p.invalidations.>"] } } }
] }`;

let server: NatsServer;
const ends: (() => Promise<void>)[] = [];

beforeEach(async () => {
  server = await startNatsServer({ config });
});
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
  await server.stop();
});

async function link(user: string): Promise<HeadedTransport> {
  const transport = await connectNats({ servers: server.url, user, password: "secret" });
  ends.push(() => transport.close());
  return transport;
}

async function follow(make: (transport: HeadedTransport) => Bus): Promise<HeardBus> {
  const bus = make(await link("node"));
  const heard = new HeardBus(bus);
  ends.push(() => bus.close());
  await bus.follow(undefined);
  return heard;
}

describe("a user that may publish below one tag only", () => {
  test("can invalidate only tags below it over JetStream, with any payload", async () => {
    const heard = await follow((transport) => createJetStreamBus({ transport, prefix: "p", ...busPace }));
    const state = heard.bus.state;
    const epoch = state.type === "following" ? state.epoch : "";
    const shop = await link("shop");
    const huge = 2 ** 53 - 2;
    const words = [
      [1, "invalidate", epoch, 1, "a", ""],
      [1, "invalidate", epoch, huge, "b", "orders"],
      [1, "invalidate", epoch, huge, "c", "shop:x"],
      [1, "beat", epoch, huge],
      [1, "epoch", "mine"],
      [2, "clear"],
    ];
    const headers = { "Nats-Sequence": String(huge), "Nats-Time-Stamp": "2100-01-01T00:00:00Z" };
    for (const word of words) {
      await shop.request("zooid.p.inv.tag.shop.x", encodeMessage(word), { timeoutMs: 5_000 });
      await shop.request("zooid.p.inv.tag.shop.x", encodeMessage(word), { timeoutMs: 5_000, headers });
    }
    await heard.bus.publish("after", "after");
    await heard.until(({ tags }) => tags.includes("after"));
    expect(new Set(heard.tags)).toEqual(new Set(["shop:x", "after"]));
    expect(heard.count("reset")).toBe(1);
    expect(heard.count("cut")).toBe(0);
  });

  test("can invalidate only tags below it over plain NATS, and hides no invalidation of another publisher", async () => {
    const make = (transport: HeadedTransport) => createPlainBus({ transport, prefix: "p", ...busPace });
    const [heard, other] = [await follow(make), await follow(make)];
    await other.bus.publish("first", "first");
    await heard.until(({ tags }) => tags.includes("first"));
    const shop = await link("shop");
    let publisher = "";
    shop.subscribe("zooid.p.invalidations.>", ({ subject, payload }) => {
      // The publisher that the messages below imitate.
      if (subject.endsWith(".tag.seen")) publisher = Buffer.from(payload).toString("latin1");
    });
    await shop.flush();
    await other.bus.publish("seen", "seen");
    await heard.until(({ tags }) => tags.includes("seen"));
    await until(() => publisher !== "");
    const id = /[0-9a-f]{16}/.exec(publisher)?.[0] ?? "";
    expect(id).not.toBe("");
    const huge = 2 ** 53 - 2;
    for (const from of ["another", id]) {
      for (const number of [3, 7, huge]) shop.publish("zooid.p.invalidations.tag.shop.x", encodeMessage([2, from, number, "x"]));
    }
    for (const word of [[2, id, 2, ""], [3, id, huge, ""], [3, "beat"], ["x"]])
      shop.publish("zooid.p.invalidations.tag.shop.y", encodeMessage(word));
    await shop.flush();
    await other.bus.publish("orders", "orders");
    await heard.until(({ tags }) => tags.includes("orders"));
    const since = heard.bus.heardAt;
    await heard.until(() => heard.bus.heardAt > since + 3 * busPace.heartbeatIntervalMs);
    expect(new Set(heard.tags)).toEqual(new Set(["first", "seen", "shop:x", "shop:y", "orders"]));
    expect([heard.count("reset"), other.count("reset")]).toEqual([2, 1].map(() => expect.any(Number)));
    expect(heard.count("reset") + other.count("reset")).toBeLessThanOrEqual(3);
  });
});

describe.each(["jetstream", "nats"] as const)("a node over %s", (busKind) => {
  async function open(user: string): Promise<Cache> {
    const cache = await createCache({ busUrl: server.url, busKind, prefix: "p", user, password: "secret", endpoint: false });
    ends.push(() => cache.close());
    return cache;
  }
  const denied = expect.objectContaining({ code: "ZOOID_NOT_AUTHORIZED" });

  test("that may not publish under a tag sees it in the error of invalidate and in stats, and publishes other tags", async () => {
    const [cache, other] = [await open("partly"), await open("node")];
    await until(() => [cache, other].every((each) => each.stats().bus?.type === "following"));
    const load = cache.cacheable(async () => ({}), { name: "load", deps: ["orders:x"] });
    const before = await load();
    await expect(cache.invalidate("orders:x")).rejects.toEqual(denied);
    expect(cache.stats()).toMatchObject({ outbox: 0, busTrouble: expect.stringContaining("orders") });
    // The invalidation counts at its own node.
    expect(await load()).not.toBe(before);
    expect(await cache.invalidate("shop:x")).toBe("published");
    expect(cache.stats().busTrouble).toBe(undefined);
    await until(() => other.tagVersion("shop:x") > 0);
  });

  test.each(["silent", "deaf"])("that may not use the bus at all sees it in the error of invalidate and in stats: %s", async (user) => {
    const cache = await open(user);
    await until(() => cache.stats().busTrouble !== undefined);
    expect(cache.stats().busTrouble).toContain("not authorized");
    await expect(cache.invalidate("a")).rejects.toEqual(denied);
    expect(cache.stats().bus?.type).not.toBe("following");
  });
});

test("a node whose broker has no JetStream says so in its log, once for each change, and in its stats", async () => {
  const warned: string[] = [];
  const warn = (facts: unknown, message: string) => {
    if (message.includes("bus is in trouble")) warned.push(String((facts as { err?: unknown }).err));
  };
  const log: Log = { ...silentLog, warn };
  const plain = await startNatsServer();
  ends.push(() => plain.stop());
  const cache = await createCache({ busUrl: plain.url, log, publishTimeout: "10ms" });
  ends.push(() => cache.close());
  await until(() => cache.stats().busTrouble !== undefined);
  expect(cache.stats().busTrouble).toContain("has no JetStream");
  for (let n = 0; n < 20; n++) expect(await cache.invalidate("a")).toBe("queued");
  expect(warned).toContainEqual(expect.stringContaining("has no JetStream"));
  // On a busy machine an attempt may time out in between, which is a different error: equal warnings never follow.
  expect(warned.filter((error, index) => error === warned[index - 1])).toEqual([]);
});
