import Fastify from "fastify";
import { expect, onTestFinished, test } from "vitest";
import { routeCaching, type RouteCachingOptions } from "../../fastify.js";
import { openCache } from "../actors/cache/open.js";

/** Registers the plug-in and one route. */
async function register(plugin: object, route?: object): Promise<void> {
  const { cache } = await openCache();
  const app = Fastify();
  onTestFinished(() => app.close());
  await app.register(routeCaching, { cache, ...plugin } as RouteCachingOptions);
  app.get("/", { config: { cache: route ?? true } }, () => "");
  await app.ready();
}

test.each<[option: string, value: unknown]>([
  ["ttl", -1],
  ["ttl", "5 minutes"],
  ["ttl", 86_400_000],
  ["tags", ["not a tag"]],
  ["vary", ["*"]],
  ["vary", "accept"],
  ["vary", ["a b"]],
  ["query", "none"],
  ["key", "id"],
  ["credentials", "allow"],
  ["requestDirectives", "no"],
  ["statuses", [100]],
  ["statuses", 200],
  ["statuses", ["200"]],
  ["bodyBytesMax", -1],
  ["bodyBytesMax", "1MB"],
  ["maxEntries", -1],
  ["maxBytes", "1MB"],
  ["cacheControl", "max-age=1\r\nSet-Cookie: a=1"],
  ["unknown", 1],
])("%s: %j is refused when it is registered, for a route and for all", async (option, value) => {
  const code = option === "tags" ? "ZOOID_INVALID_TAG" : "ZOOID_INVALID_OPTION";
  await expect(register({}, { [option]: value })).rejects.toMatchObject({ code });
  await expect(register({ [option]: value })).rejects.toMatchObject({ code });
});

test("a route added before the plug-in was loaded, because its registration was not awaited, is not cached, and is logged once", async () => {
  const { cache } = await openCache();
  const lines: string[] = [];
  const app = Fastify({ logger: { level: "warn", stream: { write: (line: string) => void lines.push(line) } } });
  onTestFinished(() => app.close());
  void app.register(routeCaching, { cache });
  let runs = 0;
  app.get("/early", { config: { cache: true } }, () => `${++runs}`);
  app.get("/plain", () => "");
  await app.ready();
  for (const url of ["/early", "/early", "/plain"]) await app.inject(url);
  expect(runs).toBe(2);
  expect(lines).toEqual([expect.stringContaining("await its registration")]);
  expect(lines[0]).toContain('"url":"/early"');
});

test("a route added after the plug-in was loaded is not logged, nor a route of a scope", async () => {
  const { cache } = await openCache();
  const lines: string[] = [];
  const app = Fastify({ logger: { level: "warn", stream: { write: (line: string) => void lines.push(line) } } });
  onTestFinished(() => app.close());
  await app.register(routeCaching, { cache });
  app.get("/", { config: { cache: true } }, () => "");
  await app.register(async (scope) => scope.get("/", { config: { cache: true } }, () => ""), { prefix: "/scope" });
  for (const url of ["/", "/scope", "/scope/"]) await app.inject({ method: "HEAD", url });
  for (const url of ["/", "/scope", "/scope/"]) await app.inject(url);
  expect(lines).toEqual([]);
});

test("a name for Cache-Status that is not a token is refused", async () => {
  await expect(register({ cacheStatus: "a b" })).rejects.toMatchObject({ code: "ZOOID_INVALID_OPTION" });
});

test("options that a route omits or leaves undefined are those of the plug-in; false turns caching off for a route", async () => {
  const { cache } = await openCache();
  const app = Fastify();
  onTestFinished(() => app.close());
  await app.register(routeCaching, { cache, ttl: 60, vary: ["accept"], cacheStatus: "z" });
  app.get("/own", { config: { cache: { ttl: 5, vary: undefined } } }, () => "");
  app.get("/plain", { config: { cache: true } }, () => "");
  app.get("/off", { config: { cache: false } }, () => "");
  app.get("/none", () => "");
  await app.register(async (child) => {
    child.get("/child", { config: { cache: true } }, () => "");
  });
  const fields = async (url: string) => {
    const { headers } = await app.inject(url);
    return [headers["cache-control"], headers["vary"], headers["cache-status"]];
  };
  expect(await fields("/own")).toEqual(["max-age=5", "accept", "z; fwd=miss; stored"]);
  expect(await fields("/plain")).toEqual(["max-age=60", "accept", "z; fwd=miss; stored"]);
  expect(await fields("/child")).toEqual(["max-age=60", "accept", "z; fwd=miss; stored"]);
  expect(await fields("/off")).toEqual([undefined, undefined, undefined]);
  expect(await fields("/none")).toEqual([undefined, undefined, undefined]);
});

test("before the module's cache is configured, a cached route fails and says why", async () => {
  const app = Fastify();
  onTestFinished(() => app.close());
  await app.register(routeCaching);
  app.get("/", { config: { cache: true } }, () => "");
  expect((await app.inject("/")).json()).toMatchObject({ statusCode: 500, code: "ZOOID_NOT_CONFIGURED" });
});
