import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Bus, connectNats, createJetStreamBus, createPlainBus, type HeadedTransport } from "../../transport/index.js";
import { encodeMessage } from "../../words/index.js";
import { jetStreamConfig } from "../nats-buses.js";
import { type NatsServer, startNatsServer } from "../nats-server.js";
import { busPace, HeardBus } from "../suites/bus.js";
import { until } from "../until.js";

const config = `${jetStreamConfig()}
authorization { users = [
  { user: node, password: secret }
  { user: shop, password: secret, permissions: {
    publish: ["zooid.p.inv.tag.shop.>", "zooid.p.invalidations.tag.shop.>"], subscribe: ["_INBOX.>", "zooid.>"] } }
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
  test("invalidates what is below it over JetStream, and nothing else, whatever it writes", async () => {
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

  test("invalidates what is below it over plain NATS, and nothing else, and hides no invalidation of another", async () => {
    const make = (transport: HeadedTransport) => createPlainBus({ transport, prefix: "p", ...busPace });
    const [heard, other] = [await follow(make), await follow(make)];
    await other.bus.publish("first", "first");
    await heard.until(({ tags }) => tags.includes("first"));
    const shop = await link("shop");
    let publisher = "";
    shop.subscribe("zooid.p.invalidations.>", ({ subject, payload }) => {
      // The node that is to be spoken for.
      if (subject.endsWith(".tag.seen")) publisher = Buffer.from(payload).toString("latin1");
    });
    await shop.flush();
    await other.bus.publish("seen", "seen");
    await heard.until(({ tags }) => tags.includes("seen"));
    await until(() => publisher !== "");
    const id = /[0-9a-f]{16}/.exec(publisher)?.[0] ?? "";
    expect(id).not.toBe("");
    const huge = 2 ** 53 - 2;
    for (const from of ["somebody", id]) {
      for (const number of [3, 7, huge])
        shop.publish("zooid.p.invalidations.tag.shop.x", encodeMessage([1, "invalidate", from, number, "x", ""]));
    }
    for (const word of [[1, "beat", id, huge, "", ""], [1, "bye", id, 2, "", ""], [2, "beat"], ["x"]])
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
