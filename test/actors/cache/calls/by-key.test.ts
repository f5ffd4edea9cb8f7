import { describe, expect, test } from "vitest";
import { bucketWorld } from "../tiers/bucket-nodes.js";
import { openCache } from "../open.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { type Cache, createCache } from "../../../../cache.js";

const folder = temporaryFolders();
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("get with the key of a call", () => {
  test("gives the function's kept result, and computes nothing", async () => {
    const { cache } = await openCache();
    let runs = 0;
    const load = cache.cacheable(async (id: string, part?: number) => ({ id, part, run: ++runs }), { name: "load" });
    expect(await cache.get(load.key("a"))).toBe(undefined);
    await load("a");
    await load("b", 2);
    expect(await cache.get(load.key("a"))).toEqual({ id: "a", run: 1 });
    expect(await cache.get(load.key("b", 2))).toEqual({ id: "b", part: 2, run: 2 });
    expect(runs).toBe(2);
    await load.invalidate("a");
    expect(await cache.get(load.key("a"))).toBe(undefined);
    expect(await load("a")).toEqual({ id: "a", part: undefined, run: 3 });
  });

  test("gives a result that an earlier process kept in a folder", async () => {
    const storageUrl = `lmdb:${await folder()}`;
    const keptBefore = async (use: (cache: Cache, load: (id: string) => Promise<string>, key: string) => Promise<void>) => {
      const cache = await createCache({ storageUrl });
      const load = cache.cacheable(async (id: string) => `${id}!`, { name: "load" });
      await use(cache, load, load.key("a"));
      await cache.close();
    };
    await keptBefore(async (_, load) => void (await load("a")));
    await keptBefore(async (cache, _, key) => expect(await cache.get(key)).toBe("a!"));
  });

  test("gives a result that another node shares in the bucket", async () => {
    const world = bucketWorld();
    const [a, b] = [world.open().cache, world.open().cache];
    const load = (node: typeof a) => node.cacheable(async (id: string) => `${id}!`, { name: "load" });
    const [atA, atB] = [load(a), load(b)];
    expect(await atA("x")).toBe("x!");
    await settled();
    expect(await b.get(atB.key("x"))).toBe("x!");
    expect(await b.get(atB.key("y"))).toBe(undefined);
  });

  test("prefers an entry that a caller set under the same text", async () => {
    const { cache } = await openCache();
    const load = cache.cacheable((id: string) => id, { name: "load" });
    load("a");
    await cache.set(load.key("a"), "of the caller");
    expect(await cache.get(load.key("a"))).toBe("of the caller");
    expect(load("a")).toBe("a");
    await cache.delete(load.key("a"));
    expect(await cache.get(load.key("a"))).toBe("a");
  });

  test("makes a computation depend on the call", async () => {
    const { cache } = await openCache();
    const load = cache.cacheable(async (id: string) => id, { name: "load" });
    const seen = cache.cacheable(async () => (await cache.get(load.key("a"))) ?? "nothing", { name: "seen" });
    expect(await seen()).toBe("nothing");
    await load("a");
    // The computation found no entry. It depends on the key, so only an invalidation of the key makes it stale, not a
    // new entry.
    await load.invalidate("a");
    await load("a");
    expect(await seen()).toBe("a");
  });
});
