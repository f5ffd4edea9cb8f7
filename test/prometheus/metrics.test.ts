import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "prom-client";
import { describe, expect, onTestFinished, test } from "vitest";
import * as zooid from "../../cache.js";
import { createCache, createInvalidationHub } from "../../cache.js";
import { cacheMetrics } from "../../prometheus.js";
import { systemClock } from "../../core/index.js";
import { gate, openCache } from "../actors/cache/open.js";
import { root } from "../support/source.js";
import { temporaryFolders } from "../support/temporary-folder.js";

const temporaryFolder = temporaryFolders();

/** Samples of a registry, by `name{labels}` as Prometheus reads them. */
async function samples(register: Registry): Promise<ReadonlyMap<string, number>> {
  const lines = (await register.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

describe("metrics of a cache", () => {
  test("count hits, misses, computations, failures, joined calls, and entries", async () => {
    const { cache, clock } = await openCache({ maxEntries: 2 });
    const register = new Registry();
    cacheMetrics(cache, { register });
    const opened = gate<string>();
    const slow = cache.cacheable(() => opened.promise, { name: "slow", deps: ["slow"] });
    const both = [slow(), slow()];
    expect((await samples(register)).get("zooid_cache_flights")).toBe(1);
    await clock.advance(300);
    opened.open("value");
    await Promise.all(both);
    await slow();
    const failing = cache.cacheable(() => Promise.reject(new Error("no")), { name: "failing" });
    await expect(failing()).rejects.toThrow("no");
    const throwing = cache.cacheable(
      () => {
        throw new Error("no");
      },
      { name: "throwing" },
    );
    expect(throwing).toThrow("no");
    for (const key of ["a", "b", "c"]) await cache.set(key, 1);
    const found = await samples(register);
    const expected = {
      zooid_cache_hits_total: 1,
      zooid_cache_misses_total: 4,
      zooid_cache_computations_total: 3,
      zooid_cache_computation_failures_total: 2,
      zooid_cache_joined_calls_total: 1,
      zooid_cache_flights: 0,
      zooid_cache_invalidations_sent_total: 3,
      zooid_cache_invalidations_heard_total: 0,
      'zooid_cache_evictions_total{tier="memory"}': 2,
      'zooid_cache_entries{tier="memory"}': 2,
      zooid_cache_in_touch: 1,
      'zooid_cache_computation_duration_seconds_bucket{le="0.25"}': 2,
      'zooid_cache_computation_duration_seconds_bucket{le="0.5"}': 3,
      zooid_cache_computation_duration_seconds_count: 3,
      zooid_cache_computation_duration_seconds_sum: 0.3,
      zoocache_cache_hits_total: 1,
      zoocache_cache_misses_total: 4,
      'zoocache_cache_errors_total{error_type="exception"}': 2,
      zoocache_cache_invalidations_total: 3,
      zoocache_cache_set_duration_seconds_count: 4,
      zoocache_cache_get_duration_seconds_count: 0,
      zoocache_cache_tti_overflows_total: 0,
      zoocache_cache_silent_errors_total: 0,
      zoocache_singleflight_timeouts_total: 0,
    };
    expect(Object.fromEntries(Object.keys(expected).map((name) => [name, found.get(name)]))).toEqual(expected);
    for (const absent of ["zooid_cache_bus_heard_seconds", 'zooid_cache_bus_state{state="cut"}', 'zooid_cache_entries{tier="lmdb"}'])
      expect([...found.keys()]).not.toContain(absent);
  });

  test("never decrease, and are read anew each time", async () => {
    const { cache } = await openCache();
    const register = new Registry();
    cacheMetrics(cache, { register });
    await cache.set("a", 1);
    for (const hits of [1, 2, 3]) {
      await cache.get("a");
      expect((await samples(register)).get("zooid_cache_hits_total")).toBe(hits);
      expect((await samples(register)).get("zooid_cache_hits_total")).toBe(hits);
    }
  });

  test("show the state of the bus, of the invalidations heard, and of a folder", async () => {
    const hub = createInvalidationHub({ clock: systemClock });
    const folder = await temporaryFolder();
    const a = await createCache({ bus: hub.connect(), storageUrl: `lmdb:${folder}` });
    const b = await createCache({ bus: hub.connect() });
    onTestFinished(async () => {
      await a.close();
      await b.close();
    });
    const register = new Registry();
    cacheMetrics(a, { register, labels: { node: "a" } });
    cacheMetrics(b, { register, labels: { node: "b" } });
    await b.invalidate(["x", "y"]);
    await a.set("k", 1);
    const found = await samples(register);
    expect(found.get('zooid_cache_invalidations_heard_total{node="a"}')).toBe(2);
    expect(found.get('zooid_cache_invalidations_heard_total{node="b"}')).toBe(1);
    expect(found.get('zooid_cache_invalidations_sent_total{node="b"}')).toBe(2);
    expect(found.get('zooid_cache_entries{node="a",tier="lmdb"}')).toBe(1);
    expect(found.get('zooid_cache_bus_state{node="a",state="following"}')).toBe(1);
    expect(found.get('zooid_cache_bus_state{node="a",state="cut"}')).toBe(0);
    expect(found.get('zooid_cache_bus_heard_seconds{node="a"}')).toBeGreaterThanOrEqual(0);
    expect(found.get('zooid_cache_outbox_size{node="a"}')).toBe(0);
  });

  test("time look-ups on request, and stop when they are ended", async () => {
    const { cache } = await openCache();
    await cache.set("a", 1);
    const register = new Registry();
    const end = cacheMetrics(cache, { register, timesLookUps: true });
    await cache.get("a");
    await cache.get("b");
    const count = "zoocache_cache_get_duration_seconds_count";
    expect((await samples(register)).get(count)).toBe(2);
    end();
    expect(await register.metrics()).toBe("\n");
    await cache.get("a");
    cacheMetrics(cache, { register });
    await cache.get("a");
    expect((await samples(register)).get(count)).toBe(0);
  });

  test("have the requested prefixes and labels; ZooCache's names can be left out", async () => {
    const { cache } = await openCache();
    const register = new Registry();
    cacheMetrics(cache, { register, prefix: "shop_", zoocachePrefix: false, labels: { app: "shop" } });
    const names = [...(await samples(register)).keys()];
    expect(names).toContain('shop_cache_hits_total{app="shop"}');
    expect(names.filter((name) => !name.startsWith("shop_cache_"))).toEqual([]);
  });

  test("of the module need it to be configured; a request before that leaves nothing in the registry", async () => {
    const register = new Registry();
    expect(() => cacheMetrics(zooid, { register })).toThrow(zooid.NotConfiguredError);
    expect(register.getMetricsAsArray()).toEqual([]);
    await zooid.configure();
    onTestFinished(() => zooid.close());
    onTestFinished(cacheMetrics(zooid, { register }));
  });

  test("of several caches in one registry need labels that distinguish them", async () => {
    const [one, other] = [await openCache(), await openCache()];
    const register = new Registry();
    cacheMetrics(one.cache, { register, labels: { cache: "one" } });
    const refused = (cache: typeof one.cache, labels: Record<string, string>) => () => cacheMetrics(cache, { register, labels });
    expect(refused(other.cache, { cache: "one" })).toThrow("is the same as that of another cache");
    expect(refused(other.cache, { app: "two" })).toThrow("has other names than those of the caches in this registry: cache");
    expect(refused(other.cache, {})).toThrow("has other names");
    expect(refused(one.cache, { cache: "again" })).toThrow("cache is in this registry already");
    expect(refused(other.cache, { tier: "x" })).toThrow("is no name of a label");
    expect(refused(other.cache, { "not-a-name": "x" })).toThrow("is no name of a label");
    const end = cacheMetrics(other.cache, { register, labels: { cache: "other" } });
    expect((await samples(register)).has('zooid_cache_hits_total{cache="other"}')).toBe(true);
    end();
    expect((await samples(register)).has('zooid_cache_hits_total{cache="other"}')).toBe(false);
    expect((await samples(register)).has('zooid_cache_hits_total{cache="one"}')).toBe(true);
  });

  test("with a name that another metric has are refused, and leave nothing in the registry", async () => {
    const { cache } = await openCache();
    const { Gauge } = await import("prom-client");
    const register = new Registry();
    register.registerMetric(new Gauge({ name: "zooid_cache_tags", help: "another's", registers: [] }));
    expect(() => cacheMetrics(cache, { register })).toThrow("zooid_cache_tags");
    expect([...(await samples(register)).keys()]).toEqual(["zooid_cache_tags"]);
  });

  test("an observer that throws does not disturb calls", async () => {
    const { cache } = await openCache();
    const stop = cache.observe({
      computed: () => {
        throw new Error("observer");
      },
    });
    expect(await cache.cacheable(async () => 1, { name: "one" })()).toBe(1);
    stop();
  });
});

test("a module whose cache is closed has no samples, and those of other caches stay", async () => {
  const module = await import("../../cache.js");
  const register = new Registry();
  const { cache } = await openCache();
  cacheMetrics(cache, { register, labels: { cache: "other" } });
  await module.configure();
  cacheMetrics(module, { register, labels: { cache: "module" } });
  expect([...(await samples(register)).keys()]).toContain('zooid_cache_hits_total{cache="module"}');
  await module.close();
  const names = [...(await samples(register)).keys()];
  expect(names).toContain('zooid_cache_hits_total{cache="other"}');
  expect(names).not.toContain('zooid_cache_hits_total{cache="module"}');
});

test("the reference has every metric, with its type and help text (npm run docs)", async () => {
  const { cache } = await openCache();
  const register = new Registry();
  cacheMetrics(cache, { register });
  const reference = readFileSync(join(root, "docs/reference/metrics.md"), "utf8");
  const table = /<!-- metrics -->([^]*?)<!-- \/metrics -->/.exec(reference)?.[1] ?? "";
  const rows = [...table.matchAll(/^\| `(\w+)` +\| (\w+) +\| (.*?) +\|$/gm)].map(([, name, type, help]) => ({ name, type, help }));
  const registered = await register.getMetricsAsJSON();
  expect(rows).toEqual(registered.map(({ name, type, help }) => ({ name, type, help })));
});
