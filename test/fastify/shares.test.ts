import type { FastifyInstance } from "fastify";
import { describe, expect, test } from "vitest";
import { limits } from "../../core/index.js";
import { serve } from "./app.js";

describe("a route's share of the cache", () => {
  test("is bounded for any requests: its own least recently used pages are evicted, and no others", async () => {
    const { app, cache } = await serve((app) => {
      app.get("/flooded", { config: { cache: { maxEntries: 20 } } }, () => "x".repeat(5_000));
      app.get("/other/:id", { config: { cache: true } }, () => "other");
    });
    const isHit = async (url: string): Promise<boolean> => (await app.inject(url)).headers["cache-status"] === "zooid; hit";
    const others = Array.from({ length: 30 }, (_, id) => `/other/${id}`);
    for (const url of others) await app.inject(url);
    await app.inject("/flooded?page=1");
    for (let number = 0; number < 200; number++) {
      await app.inject(`/flooded?utm=${number}`);
      expect(await isHit("/flooded?page=1"), "a page that is used stays").toBe(true);
      expect(cache.stats().entries).toBeLessThanOrEqual(others.length + 20);
    }
    expect(cache.stats().entries).toBe(others.length + 20);
    for (const url of others) expect(await isHit(url)).toBe(true);
  });

  test("is bounded in bytes too, and a larger page is not kept", async () => {
    let runs = 0;
    const { app } = await serve((app) => {
      app.get("/:size", { config: { cache: { maxBytes: 20_000 } } }, (request) => {
        runs++;
        return "x".repeat(Number((request.params as { readonly size: string }).size));
      });
    });
    for (const size of [6_000, 6_001, 6_002, 6_001, 6_003, 30_000, 6_001, 30_000]) await app.inject(`/${size}`);
    expect(runs).toBe(6);
    await app.inject("/6000");
    expect(runs).toBe(7);
  });

  test("has a default", async () => {
    let runs = 0;
    const body = "x".repeat(limits.pageBytesMax - 1);
    const { app, cache } = await serve((app) =>
      app.get("/", { config: { cache: true } }, () => {
        runs++;
        return body;
      }),
    );
    for (let number = 0; number < 40; number++) await app.inject(`/?utm=${number}`);
    expect(runs).toBe(40);
    expect(cache.stats().entries).toBeLessThan(limits.routePagesBytesMax / limits.pageBytesMax);
  });
});

describe("parameters that the schema of a route refuses or removes", () => {
  const properties = { page: { type: "integer", default: 1 }, tag: { type: "array", items: { type: "string" } } };
  const strict = { type: "object", properties, additionalProperties: false };
  const counting = async (route: object, more?: (app: FastifyInstance) => void) => {
    let runs = 0;
    const { get } = await serve((app) => {
      more?.(app);
      app.get("/", { config: { cache: true }, ...route }, () => String(++runs));
    });
    return async (...queries: readonly string[]) => {
      const bodies: string[] = [];
      for (const query of queries) bodies.push((await get(`/${query}`)).body);
      return bodies;
    };
  };

  test("do not distinguish pages; the others do, in any order, with the values that the handler gets", async () => {
    const bodies = await counting({ schema: { querystring: strict } });
    expect(
      await bodies(
        "",
        "?utm=1",
        "?page=1",
        "?page=01&utm=2",
        "?page=2",
        "?tag=a&tag=b",
        "?tag=b&tag=a",
        "?tag=a&page=2",
        "?page=2&x&tag=a",
      ),
    ).toEqual(["1", "1", "1", "1", "2", "3", "4", "5", "5"]);
  });

  test.each<[string, object]>([
    ["a schema that allows others", { schema: { querystring: { ...strict, additionalProperties: undefined } } }],
    ["a schema with patterns", { schema: { querystring: { ...strict, patternProperties: { "^x": {} } } } }],
    ["attachValidation", { schema: { querystring: strict }, attachValidation: true }],
    ["`query` of the route", { schema: { querystring: strict }, config: { cache: { query: "asSent" } } }],
    ["no schema", {}],
    ["a validator that does not hold the schema", { schema: { querystring: strict }, validatorCompiler: () => () => true }],
  ])("distinguish pages with %s", async (_name, route) => {
    const bodies = await counting(route);
    expect(await bodies("", "?x=1", "?page=1", "?x=1")).toEqual(["1", "2", "3", "2"]);
  });

  test("distinguish pages by every value that the handler can distinguish: null, Infinity, and values that JSON lacks", async () => {
    const numbers = { n: { type: "number", nullable: true } };
    const parsed = await counting({ schema: { querystring: { ...strict, properties: numbers } } });
    expect(await parsed("", "?n=", "?n=1e999", "?n=-1e999", "?n=1", "?n=1.0", "?n=1e999")).toEqual(["1", "2", "3", "4", "5", "5", "3"]);
    const toBigint = () => (query: { readonly page?: string }) => ({ value: { page: BigInt(query.page ?? 0) } });
    const bigints = await counting({ schema: { querystring: strict }, validatorCompiler: toBigint });
    expect(await bigints("?page=1", "?page=2", "?page=1", "?page=01")).toEqual(["1", "2", "1", "1"]);
  });
});
