import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createCache } from "../../../../cache.js";
import type { ValueMode } from "../../../../storage/results/kept-value.js";
import { bucketWorld } from "../tiers/bucket-nodes.js";
import { openCache } from "../open.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { expectSame, partsOf, type Recipe, unwritable, writable } from "./any-value.js";

const temporaryFolder = temporaryFolders();
const modes: readonly ValueMode[] = ["frozen", "shared", "cloned"];
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Fails if any part of `value` was frozen. Recipes make no frozen parts. */
function expectUntouched(value: unknown): void {
  const seen = new Set<unknown>();
  const look = (at: unknown): void => {
    if (typeof at !== "object" || at === null || seen.has(at)) return;
    seen.add(at);
    if (!Object.isExtensible(at)) throw new Error("a part of the given value was frozen");
    if (ArrayBuffer.isView(at)) return;
    if (at instanceof Map || at instanceof Set) for (const each of partsOf(at)) look(each);
    for (const name of Reflect.ownKeys(at)) look(Reflect.get(at, name));
  };
  look(value);
}

describe.each(modes)("any value, %s", (values) => {
  test("is the same when it is computed, found, set and got, and the given value is not changed", async () => {
    const { cache } = await openCache({ values });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(writable, unwritable), async (recipe) => {
        const run = String(runs++);
        const [later, once] = [recipe(), recipe()];
        const load = cache.cacheable(async (_run: string) => later, { name: "load" });
        const find = cache.cacheable((_run: string) => once, { name: "find" });
        for (let call = 0; call < 3; call++) {
          expectSame(await load(run), recipe());
          expectSame(find(run), recipe());
        }
        await cache.set(run, later);
        expectSame(await cache.get(run), recipe());
        if (values === "shared") expect(await load(run)).toBe(later);
        expectUntouched(later);
        expectUntouched(once);
        expect(cache.stats().keepFailures).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test("is the same in a folder that is opened again, and stays in memory if a folder cannot hold it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(writable, fc.constant(true)), { minLength: 25, maxLength: 25 }), unwritable, async (all, odd) => {
        const storageUrl = `lmdb:${await temporaryFolder()}`;
        const recipes: readonly (readonly [Recipe, boolean])[] = [...all, [odd, false]];
        const first = await createCache({ storageUrl, values });
        for (const [index, [recipe]] of recipes.entries()) await first.getOrSet(`k${index}`, recipe);
        for (const [index, [recipe]] of recipes.entries()) expectSame(await first.get(`k${index}`), recipe());
        await first.close();
        const second = await createCache({ storageUrl, values });
        for (const [index, [recipe, isThere]] of recipes.entries()) {
          for (let call = 0; call < 2; call++) {
            const found = await second.getOrSet(`k${index}`, () => (isThere ? expect.fail("it is there") : recipe()));
            expectSame(found, recipe());
          }
        }
        await second.close();
      }),
      { numRuns: 8 },
    );
  });

  test("is the same at another node that finds it in the bucket, and is not shared if the bucket cannot hold it", async () => {
    const { open } = bucketWorld();
    const [one, other] = [open({ values }), open({ values })];
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(writable, unwritable, async (recipe, odd) => {
        const key = String(runs++);
        await one.cache.getOrSet(key, recipe);
        await one.cache.getOrSet(`odd ${key}`, odd);
        await settled();
        await settled();
        for (let call = 0; call < 2; call++) expectSame(await other.cache.getOrSet(key, () => expect.fail("it is shared")), recipe());
        expect(await other.cache.get(`odd ${key}`)).toBeUndefined();
        expectSame(await one.cache.get(`odd ${key}`), odd());
      }),
      { numRuns: 150 },
    );
  });
});

test("callers cannot change values in the cache: frozen parts are frozen, and all other parts are copies", async () => {
  const { cache } = await openCache();
  await fc.assert(
    fc.asyncProperty(fc.oneof(writable, unwritable), async (recipe) => {
      await cache.set("k", recipe());
      spoil(await cache.get("k"));
      expectSame(await cache.get("k"), recipe());
    }),
    { numRuns: 300 },
  );
});

/** Changes everything in `value` that can be changed. */
function spoil(value: unknown): void {
  const seen = new Set<unknown>();
  const look = (at: unknown): void => {
    if (typeof at !== "object" || at === null || seen.has(at)) return;
    seen.add(at);
    if (ArrayBuffer.isView(at)) {
      new Uint8Array(at.buffer, at.byteOffset, at.byteLength).fill(7);
      return;
    }
    if (at instanceof ArrayBuffer) new Uint8Array(at).fill(7);
    if (at instanceof Map || at instanceof Set) for (const each of partsOf(at)) look(each);
    for (const name of Reflect.ownKeys(at)) look(Reflect.get(at, name));
    if (at instanceof Date) at.setTime(7);
    if (at instanceof Map || at instanceof Set) at.clear();
    Reflect.set(at, "spoilt", true);
    for (const name of Reflect.ownKeys(at)) if (name !== "length") Reflect.deleteProperty(at, name);
  };
  look(value);
}
