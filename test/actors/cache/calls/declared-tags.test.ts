import { describe, expect, test } from "vitest";
import { type Cache, type CacheOptions, createCache, createInvalidationHub } from "../../../../cache.js";
import { asTag, coversTags, rootTag } from "../../../../core/index.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { bucketWorld } from "../tiers/bucket-nodes.js";
import { gate, openCache } from "../open.js";

const temporaryFolder = temporaryFolders();
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** One version of a function. Its results name the version and count its runs. */
function version(cache: Cache, name: string, deps: string | readonly string[] | ((id: string) => string), added: readonly string[] = []) {
  let runs = 0;
  return cache.cacheable(
    async (id: string) => {
      cache.addDeps(added);
      return `${name} ${id} ${++runs}`;
    },
    { name: "load", deps },
  );
}

/**
 * The ways in which results outlive the version of the function that computed them: each opens the next process or
 * node.
 */
const setups: readonly (readonly [string, () => Promise<() => Promise<Cache>>])[] = [
  [
    "a folder",
    async () => {
      const options: CacheOptions = { storageUrl: `lmdb:${await temporaryFolder()}`, bus: undefined };
      let last: Cache | undefined;
      return async () => {
        await last?.close();
        last = await createCache(options);
        return last;
      };
    },
  ],
  [
    "a bucket",
    async () => {
      const { open } = bucketWorld();
      return async () => {
        await settled();
        return open().cache;
      };
    },
  ],
];

describe.each(setups)("a result in %s", (_, makeSetup) => {
  test("of an older version that did not declare a tag is not used by a version that does", async () => {
    const next = await makeSetup();
    const old = version(await next(), "old", "labels");
    expect(await old("a")).toBe("old a 1");
    const cache = await next();
    const now = version(cache, "new", ["labels", "data:sets"]);
    expect([await now("a"), await now("a")]).toEqual(["new a 1", "new a 1"]);
    await cache.invalidate("data");
    expect(await now("a")).toBe("new a 2");
    await cache.close();
  });

  test("is checked against the tags for its own arguments, and a tag below a declared tag covers it", async () => {
    const next = await makeSetup();
    const old = version(await next(), "old", (id) => `cities:${id}`);
    expect([await old("a"), await old("b")]).toEqual(["old a 1", "old b 2"]);
    const cache = await next();
    const now = version(cache, "new", (id) => (id === "a" ? "cities" : "towns"));
    expect([await now("a"), await now("b")]).toEqual(["old a 1", "new b 1"]);
    await cache.close();
  });

  test("of an older version is used by a version that declares fewer tags, or none", async () => {
    const next = await makeSetup();
    const old = version(await next(), "old", ["labels", "sets"], ["added"]);
    expect(await old("a")).toBe("old a 1");
    const cache = await next();
    expect(await version(cache, "new", "sets")("a")).toBe("old a 1");
    const last = await next();
    const bare = last.cacheable(async (_id: string) => "bare", { name: "load" });
    expect(await bare("a")).toBe("old a 1");
    await last.invalidate("added");
    expect(await bare("a")).toBe("bare");
    await last.close();
  });

  test("for which two versions declare different tags depends on the tags of both, so that they do not compute it in turns", async () => {
    const next = await makeSetup();
    expect(await version(await next(), "one", "a")("x")).toBe("one x 1");
    expect(await version(await next(), "two", "b")("x")).toBe("two x 1");
    expect(await version(await next(), "one", "a")("x")).toBe("two x 1");
    const cache = await next();
    const two = version(cache, "two", "b");
    await two("x");
    expect(cache.stats().computations).toBe(0);
    await cache.invalidate("a");
    await two("x");
    expect(cache.stats().computations).toBe(1);
    // The result computed since then depends only on the tags of its own version.
    await cache.invalidate("a");
    await two("x");
    expect(cache.stats().computations).toBe(1);
    await cache.close();
  });
});

test("a function that is cached again with other tags, in one process, does not use the results of the first one", async () => {
  const { cache } = await openCache();
  const one = version(cache, "f", "a");
  const two = version(cache, "f", "b");
  expect([await one("x"), await one("x"), await two("x"), await two("x"), await one("x")]).toEqual([
    "f x 1",
    "f x 1",
    "f x 1",
    "f x 1",
    "f x 1",
  ]);
  expect(cache.stats().computations).toBe(2);
  await cache.invalidate("b");
  expect(await one("x")).toBe("f x 2");
});

describe("getOrSet with other tags", () => {
  test("computes anew, and the result depends on the tags of both calls", async () => {
    const { cache } = await openCache();
    let runs = 0;
    const get = (tags?: string | readonly string[]) => cache.getOrSet("k", () => ++runs, tags === undefined ? {} : { tags });
    expect([await get("a"), await get("a"), await get(), await get(["a"])]).toEqual([1, 1, 1, 1]);
    expect([await get(["a", "b"]), await get("b"), await get("a")]).toEqual([2, 2, 2]);
    await cache.invalidate("b");
    expect(await get("a")).toBe(3);
    await cache.invalidate("b");
    expect(await get("a")).toBe(3);
    await cache.set("k", 10, { tags: "a:b" });
    expect([await get("a"), await get("a:b"), await get("a:c")]).toEqual([10, 10, 4]);
  });

  test("does so after a restart, too", async () => {
    const storageUrl = `lmdb:${await temporaryFolder()}`;
    const first = await createCache({ storageUrl });
    await first.getOrSet("k", () => 1, { tags: "a" });
    await first.close();
    const second = await createCache({ storageUrl });
    expect(await second.getOrSet("k", () => 2, { tags: ["a", "b"] })).toBe(2);
    await second.invalidate("b");
    expect(await second.get("k")).toBeUndefined();
    await second.close();
  });
});

test.each(setups)(
  "%s: the declared tags of a call are evaluated when its result is found or computed, and not at each hit",
  async (_, makeSetup) => {
    const next = await makeSetup();
    const first = await next();
    await version(first, "old", (id) => `cities:${id}`)("a");
    const cache = await next();
    let evaluations = 0;
    const load = version(cache, "new", (id) => {
      evaluations++;
      return `cities:${id}`;
    });
    expect([await load("a"), await load("a")]).toEqual(["old a 1", "old a 1"]);
    const whenFound = evaluations;
    expect(whenFound).toBeGreaterThan(0);
    for (let hits = 0; hits < 100; hits++) expect(await load("a")).toBe("old a 1");
    expect(evaluations).toBe(whenFound);
    expect([await load("b"), await load("b")]).toEqual(["new b 1", "new b 1"]);
    const whenComputed = evaluations;
    for (let hits = 0; hits < 100; hits++) expect(await load("b")).toBe("new b 1");
    expect(evaluations).toBe(whenComputed);
    await cache.close();
  },
);

test("an outer result depends on the declared tags of a nested hit, too", async () => {
  const hub = createInvalidationHub();
  const { cache } = await openCache({ bus: hub.connect() });
  const one = version(cache, "f", "a");
  const two = version(cache, "f", "b");
  await one("x");
  const outer = cache.cacheable(async () => `outer ${await two("x")}`, { name: "outer" });
  expect(await outer()).toBe("outer f x 1");
  await cache.invalidate("b");
  expect(await outer()).toBe("outer f x 2");
});

test("tags cover every tag that is among them or above one of them", () => {
  const tags = (...all: string[]) => all.map(asTag);
  expect(coversTags(tags("a:b", "c"), tags("a", "c", "a:b"))).toBe(true);
  expect(coversTags(tags("a:b"), tags("a:b:c"))).toBe(false);
  expect(coversTags(tags("ab"), tags("a"))).toBe(false);
  expect(coversTags([], [rootTag])).toBe(true);
  expect(coversTags([rootTag], tags("a"))).toBe(false);
});

test("a caller that declares another tag gets no result of a computation that began before that tag was invalidated", async () => {
  const { cache } = await openCache();
  const computed = gate<string>();
  const first = cache.getOrSet("k", () => computed.promise, { tags: ["one"] });
  await cache.invalidate("two");
  const second = cache.getOrSet("k", () => "new", { tags: ["two"] });
  computed.open("old");
  expect(await Promise.all([first, second])).toEqual(["old", "new"]);
  expect(await cache.get("k")).toBe("new");
});

test("a result shared by callers with different tags depends on the tags of all of them", async () => {
  const { cache } = await openCache();
  const computed = gate<string>();
  const calls = ["one", "two"].map((tags) => cache.getOrSet("k", () => computed.promise, { tags }));
  computed.open("shared");
  await Promise.all(calls);
  await cache.invalidate("two");
  expect(await cache.get("k")).toBe(undefined);
});

test("an invalid declared tag is given to onInvalidTag, even when a result of an older version is kept", async () => {
  const storageUrl = `lmdb:${await temporaryFolder()}`;
  const before = await createCache({ storageUrl });
  await version(before, "old", "cities")("new-york");
  await before.close();
  const after = await createCache({ storageUrl });
  const reported: string[] = [];
  const load = after.cacheable(async (id: string) => `new ${id}`, {
    name: "load",
    deps: (id) => `cities:${id}`,
    onInvalidTag: ({ code }) => void reported.push(code),
  });
  expect(await load("new-york")).toBe("new new-york");
  expect(reported).toEqual(["ZOOID_INVALID_TAG"]);
  await after.close();
});
