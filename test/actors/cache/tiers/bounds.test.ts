import { describe, expect, test } from "vitest";
import { InvalidTagError } from "../../../../cache.js";
import { InvalidOptionError, limits } from "../../../../core/index.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { gate, openCache } from "../open.js";

const folder = temporaryFolders();

describe("a cache has bounds", () => {
  test("on the tags of one result: past it the result is given and not kept, and neither are the results of its callers", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const inner = cache.cacheable(
      async (tags: number) => {
        for (let tag = 0; tag < tags; tag++) cache.addDeps(`t:${tag}`);
        return ++computed;
      },
      { name: "inner", deps: ["t"] },
    );
    let pages = 0;
    const outer = cache.cacheable(
      async (tags: number) => {
        await inner(tags);
        return ++pages;
      },
      { name: "outer", deps: ["t"] },
    );
    const fits = limits.entryTagsMax - 1;
    expect([await inner(fits), await inner(fits)]).toEqual([1, 1]);
    expect([await inner(fits + 1), await inner(fits + 1)]).toEqual([2, 3]);
    expect([await outer(fits + 1), await outer(fits + 1)]).toEqual([1, 2]);
  });

  test("on flights: past it a call computes by itself, and its result is kept as well", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const all = gate();
    const load = cache.cacheable(
      async (id: number) => {
        computed++;
        await all.promise;
        return id;
      },
      { name: "load" },
    );
    const flying = Array.from({ length: limits.flightsMax }, (_, id) => load(id));
    expect(cache.stats().flights).toBe(limits.flightsMax);
    const joined = load(0);
    const beyond = [load(-1), load(-1)];
    expect(computed).toBe(limits.flightsMax + 2);
    all.open();
    expect(await Promise.all([joined, ...beyond])).toEqual([0, -1, -1]);
    expect((await Promise.all(flying)).length).toBe(limits.flightsMax);
    expect(cache.stats().flights).toBe(0);
    const before = computed;
    expect(await load(-1)).toBe(-1);
    expect(computed).toBe(before);
  });

  test("on entries and bytes: the least recently used are evicted first", async () => {
    const { cache } = await openCache({ maxEntries: 3 });
    let computed = 0;
    const load = cache.cacheable((id: number) => [id, ++computed], { name: "load" });
    for (const id of [1, 2, 3]) load(id);
    load(1);
    load(4);
    expect(cache.stats()).toMatchObject({ entries: 3, evictions: 1 });
    expect([load(1), load(3), load(4)]).toEqual([
      [1, 1],
      [3, 3],
      [4, 4],
    ]);
    expect(load(2)).toEqual([2, 5]);
    const { cache: small } = await openCache({ maxBytes: 10_000 });
    const text = small.cacheable((id: number) => String(id).repeat(1_000), { name: "text" });
    for (let id = 1; id <= 9; id++) text(id);
    const { bytes, entries } = small.stats();
    expect(bytes).toBeLessThanOrEqual(10_000);
    expect(entries).toBeGreaterThan(2);
    expect(entries).toBeLessThan(9);
  });

  test.each([false, true])(
    "on the results of one function, in memory and in a folder (%s): its least recently used are evicted, and no others",
    async (hasFolder) => {
      const { cache } = await openCache(hasFolder ? { storageUrl: `lmdb://${await folder()}` } : {});
      const runs: string[] = [];
      const make = (name: string, options: { readonly maxEntries?: number; readonly maxBytes?: number }) =>
        cache.cacheable(
          async (id: number) => {
            runs.push(`${name}${id}`);
            return "x".repeat(1_000);
          },
          { name, ...options },
        );
      const [a, b, c] = [make("a", { maxEntries: 2 }), make("b", { maxBytes: 3_000 }), make("c", {})];
      for (const id of [1, 2, 3]) await c(id);
      for (const load of [a, b]) for (const id of [1, 2, 1, 3, 1, 2, 1]) await load(id);
      for (const id of [1, 2, 3]) await c(id);
      expect(runs).toEqual(["c1", "c2", "c3", "a1", "a2", "a3", "a2", "b1", "b2", "b3", "b2"]);
      expect([cache.stats().entries, cache.stats().disk?.entries]).toEqual([7, hasFolder ? 7 : undefined]);
      expect(() => cache.cacheable(async () => 1, { name: "wrong", maxEntries: -1 })).toThrow(InvalidOptionError);
    },
  );

  test("on tags: a tag that is too long, too deep or has other letters is refused, and changes nothing", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const load = cache.cacheable(() => ++computed, { name: "load", deps: ["a"] });
    load();
    const wrong = [
      "a".repeat(limits.tagLengthMax + 1),
      Array.from({ length: limits.tagLevelsMax + 1 }, () => "a").join(":"),
      "a b",
      "a:",
      ":a",
      "é",
    ];
    for (const tag of wrong) {
      await expect(cache.invalidate(tag), tag).rejects.toThrow(InvalidTagError);
      await expect(cache.invalidate(["a", tag]), tag).rejects.toThrow(InvalidTagError);
      expect(() => cache.cacheable(() => 1, { name: "other", deps: [tag] }), tag).toThrow(InvalidTagError);
    }
    expect(load()).toBe(1);
  });

  test("on durations: a number of seconds above a year is taken for milliseconds, and refused", async () => {
    for (const option of ["defaultTtl", "flightTimeout", "maxStaleSecs", "publishTimeout", "autoPruneSecs"] as const) {
      await expect(openCache({ [option]: limits.durationSecsMax + 1 }), option).rejects.toThrow(InvalidOptionError);
      await expect(openCache({ [option]: -1 }), option).rejects.toThrow(InvalidOptionError);
      await expect(openCache({ [option]: Number.NaN }), option).rejects.toThrow(InvalidOptionError);
    }
  });
});
