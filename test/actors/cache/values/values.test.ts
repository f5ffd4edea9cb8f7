import http from "node:http";
import { describe, expect, test } from "vitest";
import { createCache } from "../../../../cache.js";
import { InvalidValueError } from "../../../../core/index.js";
import type { ValueMode } from "../../../../storage/results/kept-value.js";
import { roughBytes } from "../../../../storage/results/rough-bytes.js";
import { decodeRecord, encodeRecord } from "../../../../storage/results/value-record.js";
import { bucketWorld } from "../tiers/bucket-nodes.js";
import { openCache } from "../open.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";

const temporaryFolder = temporaryFolders();
const settled = () => new Promise((resolve) => setImmediate(resolve));

class Pool {
  readonly free: number[] = [1];
  take(): number | undefined {
    return this.free.pop();
  }
}

describe.each(["frozen", "shared"] as const)("a value that is not plain data, %s", (values) => {
  test.each([
    ["an instance of a class", () => new Pool()],
    ["a function", () => () => 1],
    ["a proxy", () => new Proxy({ a: 1 }, {})],
    ["a proxy of a list", () => new Proxy([1], {})],
    ["an error", () => Object.assign(new Error("no"), { code: "NO" })],
    ["an instance of a class of maps", () => new (class Ours extends Map {})()],
    ["a class", () => Pool],
    ["a boxed number", () => Object(1) as object],
    ["an object with the prototype of a date", () => Object.create(Date.prototype) as object],
    ["a generator", () => (function* () {})()],
    ["a URL", () => new URL("http://a")],
    ["memory that threads share", () => new SharedArrayBuffer(8)],
    ["a view of it", () => new Uint8Array(new SharedArrayBuffer(8))],
    [
      "arguments",
      function () {
        // oxlint-disable-next-line prefer-rest-params
        return arguments;
      },
    ],
  ])("is the same reference for all callers, and not touched: %s", async (_, make) => {
    const { cache } = await openCache({ values });
    const part = make();
    const load = cache.cacheable(async (_id: number) => ({ part, list: [part] }), { name: "load" });
    const find = cache.cacheable((_id: number) => part, { name: "find" });
    for (let call = 0; call < 2; call++) {
      const loaded = await load(1);
      expect(loaded.part === part && loaded.list[0] === part).toBe(true);
      expect(find(1) === part).toBe(true);
    }
    await cache.set("k", part);
    expect((await cache.get("k")) === part).toBe(true);
    expect(cache.stats()).toMatchObject({ keepFailures: 0, entries: 3 });
    expect(Object.isExtensible(part)).toBe(true);
  });

  test("does not freeze objects that it refers to: neither the global HTTP agent nor a pool that a result refers to", async () => {
    const { cache } = await openCache({ values });
    const pool = new Pool();
    const load = cache.cacheable(async () => ({ agent: http.globalAgent, pool, status: 200 }), { name: "load" });
    for (let call = 0; call < 2; call++) expect((await load()).agent).toBe(http.globalAgent);
    expect(pool.take()).toBe(1);
    expect(Object.isFrozen(http.globalAgent)).toBe(false);
    expect(Object.isExtensible((http.globalAgent as unknown as { readonly sockets: object }).sockets)).toBe(true);
  });

  test("is kept in no folder and in no bucket", async () => {
    const storageUrl = `lmdb:${await temporaryFolder()}`;
    const first = await createCache({ storageUrl, values });
    const pool = new Pool();
    await first.set("k", "old");
    await first.set("k", { pool });
    expect(await first.get("k")).toMatchObject({ pool });
    await first.close();
    const second = await createCache({ storageUrl, values });
    expect(await second.get("k")).toBeUndefined();
    await second.close();

    const { open } = bucketWorld();
    const [one, other] = [open({ values }), open({ values })];
    await one.cache.getOrSet("k", () => ({ pool }));
    await settled();
    expect(await one.cache.get<{ pool: Pool }>("k")).toMatchObject({ pool });
    expect(await other.cache.get("k")).toBeUndefined();
  });
});

describe("a value that is not plain data, cloned", () => {
  test.each([
    ["an instance of a class", { a: [1, { pool: new Pool() }] }, "at .a[1].pool is an instance of Pool"],
    ["a function", { run: () => 1 }, "at .run is a function"],
    ["a proxy", new Proxy({}, {}), "is a proxy"],
    ["an error", new Map([["e", new TypeError("no")]]), "at .value is an instance of TypeError"],
  ])("fails the call, and set, with a typed error: %s", async (_, value, reason) => {
    const { cache } = await openCache({ values: "cloned" });
    const load = cache.cacheable(async () => value, { name: "load" });
    const find = cache.cacheable(() => value, { name: "find" });
    await expect(Promise.allSettled([load(), load()])).resolves.toMatchObject([
      { reason: { code: "ZOOID_INVALID_VALUE" } },
      { reason: { code: "ZOOID_INVALID_VALUE" } },
    ]);
    await expect(load()).rejects.toThrow(reason);
    expect(() => find()).toThrow(InvalidValueError);
    await expect(cache.set("k", value)).rejects.toThrow(reason);
    await expect(cache.getOrSet("k", () => value)).rejects.toThrow(reason);
    expect(cache.stats().entries).toBe(0);
  });
});

test("frozen, the first caller gets the same frozen copy as all others, and the given value stays unchanged", async () => {
  const { cache } = await openCache();
  const own = { count: 0, parts: [{ n: 1 }] };
  const load = cache.cacheable(async () => own, { name: "load" });
  const first = await load();
  expect(first).not.toBe(own);
  expect(Object.isFrozen(first) && Object.isFrozen(first.parts[0])).toBe(true);
  expect(await load()).toBe(first);
  const mine = { count: 0 };
  await cache.set("k", mine);
  own.count++;
  own.parts.push({ n: 2 });
  mine.count++;
  expect([await load(), await cache.get("k")]).toEqual([{ count: 0, parts: [{ n: 1 }] }, { count: 0 }]);
});

test("frozen, the first caller gets a copy of dates and bytes as well", async () => {
  const { cache } = await openCache();
  const own = { at: new Date(1), bytes: Buffer.from("a") };
  const load = cache.cacheable(async () => own, { name: "load" });
  const first = await load();
  expect(Object.isFrozen(first) && first.at !== own.at && Buffer.isBuffer(first.bytes)).toBe(true);
  first.at.setTime(2);
  expect([own.at.getTime(), (await load()).at.getTime()]).toEqual([1, 1]);
});

test("frozen, a deeply frozen value is kept as it is, and a circle or a revoked proxy does no harm", async () => {
  const { cache } = await openCache();
  const inner = cache.cacheable(async () => ({ list: [1, { a: 1 }] }), { name: "inner" });
  const outer = cache.cacheable(async () => Object.freeze({ inner: await inner() }), { name: "outer" });
  expect((await outer()).inner).toBe(await inner());
  const shallow = Object.freeze({ part: { n: 1 } });
  await cache.set("shallow", shallow);
  shallow.part.n = 2;
  expect(await cache.get("shallow")).toEqual({ part: { n: 1 } });
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  await cache.set("revoked", { proxy });
  expect((await cache.get<{ proxy: object }>("revoked"))?.proxy === proxy).toBe(true);
  const circle: { self?: object } = {};
  circle.self = circle;
  await cache.set("circle", Object.freeze(circle));
  const got = await cache.get<typeof circle>("circle");
  expect(got?.self).toBe(got);
});

test.each(["frozen", "cloned"] as const)("a small Buffer is kept without its pool, %s", async (values) => {
  const { cache } = await openCache({ values });
  const load = cache.cacheable(async (id: number) => ({ body: Buffer.from(`${id % 10}`) }), { name: "load" });
  for (let call = 0; call < 2; call++) {
    const { body } = await load(1);
    expect(Buffer.isBuffer(body) && body.toString() === "1").toBe(true);
    expect(body.buffer.byteLength).toBe(1);
  }
  const view = new Float64Array(new Float64Array([1, 2, 3]).buffer, 8, 1);
  await cache.set("view", view);
  expect((await cache.get<Float64Array>("view"))?.buffer.byteLength).toBe(8);
});

test("5,000 results of two bytes take no megabytes of memory behind them", async () => {
  const { cache } = await openCache({ values: "cloned" });
  const before = process.memoryUsage().arrayBuffers;
  const load = cache.cacheable(async (_id: number) => ({ body: Buffer.from("ab") }), { name: "load" });
  for (let id = 0; id < 5_000; id++) await load(id);
  expect(cache.stats().entries).toBe(5_000);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5_000_000);
});

test.each<ValueMode>(["frozen", "shared", "cloned"])("a value nested too deep is given and not kept, or refused: %s", async (values) => {
  const { cache } = await openCache({ values });
  let deep: unknown = [];
  for (let level = 0; level < 100_000; level++) deep = [deep];
  const load = cache.cacheable(async () => deep, { name: "load" });
  if (values === "cloned") await expect(load()).rejects.toThrow("nested too deep");
  else expect((await load()) === deep).toBe(true);
});

test("a value with shared parts costs as much as its parts", async () => {
  const storageUrl = `lmdb:${await temporaryFolder()}`;
  const cache = await createCache({ storageUrl });
  let value: unknown = ["leaf"];
  for (let level = 0; level < 60; level++) value = [value, value];
  await cache.set("k", value);
  const got = await cache.get<readonly unknown[]>("k");
  expect(got?.[0]).toBe(got?.[1]);
  await cache.close();
});

describe("bytes that hold no value", () => {
  test("are refused", () => {
    const good = Buffer.from(encodeRecord([new Map([[{ a: -0 }, Buffer.from("x")]]), undefined, /a/g, new Date(Number.NaN)]));
    for (let at = 0; at < good.length; at++) {
      for (const byte of [0x00, 0x0e, 0x7f, 0x90, 0x91, 0xc0, 0xc1, 0xc4, 0xcb, 0xdd, 0xff]) {
        const bad = Buffer.from(good);
        bad[at] = byte;
        try {
          decodeRecord(bad, "frozen");
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidValueError);
        }
      }
      if (at > 0) expect(() => decodeRecord(good.subarray(0, at), "frozen")).toThrow(InvalidValueError);
    }
  });
});

test("the size of a value includes the memory behind views, the tables of maps, and wide characters", () => {
  const measured = (value: unknown) => roughBytes(value);
  expect(measured("x".repeat(1_000))).toBeGreaterThan(1_000);
  expect(measured("ж".repeat(1_000))).toBeGreaterThan(2_000);
  expect(measured(new Uint8Array(new ArrayBuffer(10_000), 0, 1))).toBeGreaterThan(10_000);
  expect(measured(new Map(Array.from({ length: 1_000 }, (_, index) => [index, index])))).toBeGreaterThan(40_000);
  expect(measured({ pool: new Pool() })).toBeLessThan(1_000);
  expect(measured(http)).toBeLessThan(10_000_000);
});
