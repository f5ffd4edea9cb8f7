import { stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createCache, createInvalidationHub } from "../../../../cache.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";

const temporaryFolder = temporaryFolders();

test("results in a folder survive a restart, except invalidated ones", async () => {
  const storageUrl = `lmdb:${await temporaryFolder()}`;
  let computed = 0;
  const open = async () => {
    const cache = await createCache({ storageUrl });
    const load = cache.cacheable(async (id: string) => ({ id, number: ++computed }), { name: "load", deps: (id) => [`city:${id}`] });
    const count = cache.cacheable((id: string) => id.length + ++computed, { name: "count" });
    return { cache, load, count };
  };
  const first = await open();
  expect(await first.load("DE")).toEqual({ id: "DE", number: 1 });
  expect(await first.load("FR")).toEqual({ id: "FR", number: 2 });
  await first.cache.set("own", new Date(0));
  await first.cache.set("gone", 1);
  await first.cache.delete("gone");
  expect(first.count("DE")).toBe(5);
  expect(await first.cache.invalidate("city:FR")).toBe("published");
  await first.cache.close();

  const second = await open();
  expect(await second.load("DE")).toEqual({ id: "DE", number: 1 });
  expect(await second.cache.get("own")).toEqual(new Date(0));
  expect(await second.cache.get("gone")).toBe(undefined);
  expect(await second.load("FR")).toEqual({ id: "FR", number: 4 });
  await second.cache.invalidate("city");
  await second.cache.close();

  const third = await open();
  expect(await third.load("DE")).toEqual({ id: "DE", number: 5 });
  await third.cache.close();
});

test("a result that a folder cannot hold is given all the same", async () => {
  const cache = await createCache({ storageUrl: `lmdb:${await temporaryFolder()}` });
  class Odd {
    readonly name = "odd";
  }
  const load = cache.cacheable(async () => new Odd(), { name: "load" });
  expect(await load()).toBeInstanceOf(Odd);
  await cache.close();
});

test("a deletion of a key that is too long for a tag of its own also removes it from another node's folder", async () => {
  const hub = createInvalidationHub();
  const storageUrl = `lmdb:${await temporaryFolder()}`;
  const key = "!".repeat(200);
  const a = await createCache({ bus: hub.connect() });
  const before = await createCache({ bus: hub.connect(), storageUrl });
  expect(await before.getOrSet(key, () => "old")).toBe("old");
  await before.close();
  const b = await createCache({ bus: hub.connect(), storageUrl });
  await a.delete(key);
  expect(await b.getOrSet(key, () => "new")).toBe("new");
  await b.close();
  await a.close();
});

test("lmdbMapSize bounds the bytes of results in the folder, which stats show beside those in memory", async () => {
  const folder = await temporaryFolder();
  const lmdbMapSize = 2_000_000;
  const cache = await createCache({ storageUrl: `lmdb:${folder}`, lmdbMapSize, maxEntries: 1_500 });
  const load = cache.cacheable(async (id: number) => String(id).padEnd(id % 2 === 0 ? 3_000 : 300), { name: "load" });
  let largest = 0;
  for (let id = 0; id < 6_000; id++) {
    await load(id);
    if (id % 100 === 0) await cache.invalidate("nothing");
    if (id === 3_000) await cache.clear();
    largest = Math.max(largest, cache.stats().disk?.bytes ?? Infinity);
  }
  await cache.invalidate("nothing");
  expect(largest).toBeLessThanOrEqual(lmdbMapSize);
  expect(largest).toBeGreaterThan(0.9 * lmdbMapSize);
  expect(cache.stats()).toMatchObject({ entries: 1_500 });
  expect(cache.stats().disk?.evictions).toBeGreaterThan(3_000);
  // The file also has partly filled pages, and pages of the previous batch.
  expect((await stat(join(folder, "data.mdb"))).size).toBeLessThan(3 * lmdbMapSize);
  await cache.close();
});
