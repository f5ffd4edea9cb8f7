import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { createCache } from "../../../../cache.js";
import { limits } from "../../../../core/index.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { openCache } from "../open.js";

const temporaryFolder = temporaryFolders();

interface Filled {
  readonly most: number;
  readonly end: number;
  readonly entries: number;
  readonly bytes: number;
  readonly evictions: number;
}

const mib = 1024 * 1024;

describe("calls with ever new arguments", () => {
  test.each([
    ["small", 250_000, undefined],
    ["rows", 15_000, undefined],
    ["texts", 25_000, 16 * mib],
    ["bytes", 5_000, 16 * mib],
    ["maps", 6_500, 16 * mib],
    ["wide", 5_000, 16 * mib],
    ["tags", 10_000, 16 * mib],
  ])(
    "that return %s take roughly no more memory than maxBytes: %i calls, maxBytes %s",
    async (what, calls, maxBytes) => {
      const script = join(import.meta.dirname, "fill-memory.ts");
      const command = [
        "--expose-gc",
        "--import",
        "tsx",
        script,
        what,
        String(calls),
        ...(maxBytes === undefined ? [] : [String(maxBytes)]),
      ];
      const { stdout } = await promisify(execFile)(process.execPath, command);
      const filled = JSON.parse(stdout) as Filled;
      const bound = maxBytes ?? limits.resultBytesMax;
      expect(filled.bytes).toBeLessThanOrEqual(bound);
      expect(filled.bytes).toBeGreaterThan(0.9 * bound);
      expect(filled.evictions).toBe(calls - filled.entries);
      expect(filled.end).toBeLessThan((1.5 * bound) / mib);
      expect(filled.end).toBeGreaterThan((0.4 * bound) / mib);
      // Evicted results are collected only now and then.
      expect(filled.most).toBeLessThan((3 * bound) / mib);
    },
    120_000,
  );
});

describe("expired results are removed within seconds", () => {
  test("with their tags, and without a round of pruning", async () => {
    const { cache, clock } = await openCache({ autoPruneInterval: "30d" });
    const load = cache.cacheable(async (id: number) => `result ${id}`, {
      name: "load",
      deps: (id) => Array.from({ length: 10 }, (_, index) => `tag:${id}:t${index}`),
      ttl: "5s",
      readExtendTtl: false,
    });
    for (let id = 0; id < 1_000; id++) await load(id);
    await cache.set("other", 1, { tags: ["stays"] });
    expect(cache.stats().tags).toBeGreaterThan(11_000);
    await clock.advance(4_900);
    expect(cache.stats().entries).toBe(1_001);
    await clock.advance(3_100);
    expect(cache.stats()).toMatchObject({ entries: 1, evictions: 0 });
    // The root, the tag of the entry that stays, and the tag of its key.
    expect(cache.stats().tags).toBeLessThan(6);
    expect(cache.stats().bytes).toBeLessThan(2_000);
    expect(await cache.get("other")).toBe(1);
  });

  test("unless reads extend them, or staleIfError keeps them", async () => {
    const { cache, clock } = await openCache();
    await cache.set("slides", 1, { ttl: "5s" });
    let fails = false;
    const load = cache.cacheable(async () => (fails ? Promise.reject(new Error("no")) : 1), {
      name: "load",
      ttl: "5s",
      readExtendTtl: false,
      staleIfError: "20s",
    });
    await load();
    fails = true;
    for (let second = 0; second < 20; second++) {
      await clock.advance(1_000);
      expect(await cache.get("slides")).toBe(1);
    }
    expect(await load()).toBe(1);
    await clock.advance(10_000);
    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0 });
    await expect(load()).rejects.toThrow("no");
  });

  test("also those that an earlier process left in a folder", async () => {
    const storageUrl = `lmdb:${await temporaryFolder()}`;
    const first = await createCache({ storageUrl });
    await first.set("short", 1, { ttl: "1s" });
    await first.set("long", 1, { ttl: "1h" });
    await first.set("stays", 1);
    await first.close();
    const second = await createCache({ storageUrl });
    await expect.poll(() => second.stats().disk?.entries, { timeout: 10_000 }).toBe(2);
    expect([await second.get("short"), await second.get("long"), await second.get("stays")]).toEqual([undefined, 1, 1]);
    await second.close();
  });

  test("also when there are more than one step removes", async () => {
    const cache = await createCache({ maxBytes: Infinity });
    for (let id = 0; id < 20_000; id++) void cache.set(`k${id}`, id, { ttl: "250ms", tags: [`t${id}`] });
    expect(cache.stats().entries).toBe(20_000);
    await expect.poll(() => cache.stats().entries, { timeout: 20_000 }).toBe(0);
    // For a while the cache remembers the keys that were set last.
    await expect.poll(() => cache.stats().tags, { timeout: 20_000 }).toBeLessThan(2 * limits.tagsUnusedMax);
    await cache.close();
  });

  test("with their tags, also when entries are deleted one after the other", async () => {
    const { cache, clock } = await openCache();
    for (let id = 0; id < 5; id++) await cache.set(`k${id}`, id, { tags: [`t${id}`] });
    const before = cache.stats().tags;
    for (let id = 0; id < 5; id++) {
      await cache.delete(`k${id}`);
      await clock.advance(150);
    }
    await clock.advance(limits.expiryIntervalMs);
    expect(cache.stats().tags).toBe(before - 5);
  });
});

test("invalidated tags are forgotten a minute after their last dependent has gone", async () => {
  const { cache, clock } = await openCache();
  const load = cache.cacheable(async (id: number) => id, { name: "load", deps: (id) => `tag:${id}`, ttl: "5s" });
  for (let id = 0; id < 100; id++) {
    await load(id);
    await cache.invalidate(`tag:${id}`);
    await load(id);
  }
  await clock.advance(10_000);
  const { entries, tags } = cache.stats();
  expect(entries).toBe(0);
  expect(tags).toBeGreaterThan(100);
  await clock.advance(limits.tagsIdleMs + 5_000);
  expect(cache.stats().tags).toBe(1);
  await load(1);
  await cache.invalidate("tag");
  await load(1);
  expect(cache.stats().computations).toBe(202);
});

test("Infinity lifts the bound on bytes", async () => {
  const { cache } = await openCache({ maxBytes: Infinity });
  const large = "x".repeat(10_000_000);
  for (let id = 0; id < 8; id++) await cache.set(`k${id}`, { large: [large, id] });
  expect(cache.stats()).toMatchObject({ entries: 8, evictions: 0 });
});
