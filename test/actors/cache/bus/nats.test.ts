import { describe, expect, onTestFinished, test } from "vitest";
import { type Cache, createCache } from "../../../../cache.js";
import { startNatsServer } from "../../../support/nats-server.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { until } from "../../../support/until.js";

async function open(busUrl: string, busKind: "jetstream" | "nats"): Promise<Cache> {
  const cache = await createCache({ busUrl, busKind });
  onTestFinished(() => cache.close());
  await until(() => cache.stats().bus?.type === "following");
  return cache;
}

describe.each(["jetstream", "nats"] as const)("nodes with the bus %s", (busKind) => {
  test("serve no result that another node has invalidated, set or deleted", async () => {
    await using server = await startNatsServer({ config: jetStreamConfig() });
    const one = await open(server.url, busKind);
    const other = await open(server.url, busKind);
    let computed = 0;
    const load = other.cacheable(async () => ++computed, { name: "load", deps: ["a:b"] });
    await load();
    expect(await load()).toBe(computed);
    const before = computed;
    expect(await one.invalidate("a")).toBe("published");
    await until(async () => (await load()) > before);
    await other.set("x", 1);
    expect(await one.set("y", 2)).toBe("published");
    expect(await one.set("x", 2)).toBe("published");
    await until(async () => (await other.get("x")) === undefined);
    expect(await one.get("y")).toBe(2);
  });
});

test("without a broker a cache opens, computes, and answers invalidations within publishTimeout", async () => {
  const cache = await createCache({ busUrl: "nats://127.0.0.1:1", publishTimeout: "20ms" });
  onTestFinished(() => cache.close());
  let computed = 0;
  const load = cache.cacheable(async () => ++computed, { name: "load" });
  expect([await load(), await load()]).toEqual([1, 2]);
  expect(await cache.invalidate("a")).toBe("queued");
});
