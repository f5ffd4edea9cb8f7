import { describe, expect, test } from "vitest";
import { InvalidTagError } from "../../../../cache.js";
import { openCache } from "../open.js";

const bad = "new-york";

describe("an invalid tag", () => {
  test.each(["deps", "addDeps"] as const)("of %s fails the call, which is not kept", async (by) => {
    const { cache } = await openCache();
    const find = cache.cacheable(
      async (id: string) => {
        if (by === "addDeps") cache.addDeps(`cities:${id}`);
        return id;
      },
      { name: "find", deps: (id) => (by === "deps" ? `cities:${id}` : "cities") },
    );
    const call = async () => find(bad);
    await expect(call()).rejects.toThrow(InvalidTagError);
    expect(await find("DE")).toBe("DE");
    expect(cache.stats().entries).toBe(1);
  });

  test.each(["deps", "addDeps"] as const)("of %s is given to onInvalidTag, and the result is given and not kept", async (by) => {
    const { cache } = await openCache();
    const reported: unknown[] = [];
    let runs = 0;
    const find = cache.cacheable(
      async (id: string) => {
        runs++;
        if (by === "addDeps") cache.addDeps(["fine", `cities:${id}`]);
        return id;
      },
      { name: "find", deps: (id) => (by === "deps" ? `cities:${id}` : "cities"), onInvalidTag: (...args) => reported.push(args) },
    );
    expect([await find(bad), await find(bad), await find("DE"), await find("DE")]).toEqual([bad, bad, "DE", "DE"]);
    expect(runs).toBe(3);
    expect(reported).toEqual([
      [expect.any(InvalidTagError), bad],
      [expect.any(InvalidTagError), bad],
    ]);
    expect(cache.stats()).toMatchObject({ entries: 1, keepFailures: 0 });
  });

  test("of a function that stays synchronous is given to onInvalidTag too", async () => {
    const { cache } = await openCache();
    const reported: unknown[] = [];
    const find = cache.cacheable(
      (id: string) => {
        cache.addDeps(id);
        return id;
      },
      { name: "find", onInvalidTag: (error) => reported.push(error) },
    );
    expect(find(bad)).toBe(bad);
    expect(reported).toHaveLength(1);
    expect(cache.stats().entries).toBe(0);
  });

  test("of a nested call is the outer function's, and neither result is kept", async () => {
    const { cache } = await openCache();
    const reported: unknown[] = [];
    let inners = 0;
    const inner = cache.cacheable(
      async (id: string) => {
        inners++;
        await Promise.resolve();
        cache.addDeps(`cities:${id}`);
        return id;
      },
      { name: "inner", deps: (id) => `deps:${id}` },
    );
    const outer = cache.cacheable(async (id: string) => `outer ${await inner(id)}`, {
      name: "outer",
      onInvalidTag: (_, id) => reported.push(id),
    });
    expect([await outer(bad), await outer(bad)]).toEqual([`outer ${bad}`, `outer ${bad}`]);
    expect(inners).toBe(2);
    // Two for each run: the tag of `deps`, and that of `addDeps`.
    expect(reported).toEqual([bad, bad, bad, bad]);
    expect(cache.stats().entries).toBe(0);
    await expect(async () => inner(bad)).rejects.toThrow(InvalidTagError);
  });
});
