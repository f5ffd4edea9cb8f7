/** Options that no function knows: each is refused, and the error suggests the most similar option. */
import Fastify from "fastify";
import { describe, expect, test } from "vitest";
import { createCache, type CacheOptions } from "../cache.js";
import { routeCaching } from "../fastify.js";
import { connect } from "../index.js";
import { silentLog, systemClock, systemRandom } from "../core/index.js";
import { openLmdbStore, startStorageServer } from "../server.js";
import { createActorSystem } from "../actors/index.js";
import { openObjectClient } from "../testing/index.js";
import { createBroker } from "../transport/index.js";
import { didYouMean } from "../core/similar-name.js";

const servers = "nats://127.0.0.1:4222";

async function cacheableWith(options: object): Promise<unknown> {
  await using cache = await createCache();
  return cache.cacheable(async () => 1, { name: "one", ...options });
}

async function keptWith(options: object): Promise<unknown> {
  await using cache = await createCache();
  return await cache.set("key", 1, options);
}

function served(options: object, ofStorage: object): Promise<unknown> {
  const seams = { clock: systemClock, random: systemRandom, log: silentLog, transport: createBroker().connect() };
  const open = () => openLmdbStore({ folder: "never opened" });
  return startStorageServer({ realm: "zooid", storages: { main: { open, ...ofStorage } }, ...seams, ...options });
}

async function routed(plugin: object, route: object): Promise<unknown> {
  const app = Fastify();
  await app.register(routeCaching, { cache: await createCache(), ...plugin });
  return app.get("/", { config: { cache: route } }, () => "page");
}

describe("an unknown option is refused, and the error suggests the most similar one", () => {
  test.each<[string, string, string, () => Promise<unknown>]>([
    ["connect", "server", "servers", () => connect({ server: servers } as never)],
    ["connect", "waitTimeoutMS", "waitTimeoutMs", () => connect({ servers, waitTimeoutMS: 1 } as never)],
    ["connect", "tls.certfile", "certFile", () => connect({ servers, tls: { certfile: "a" } } as never)],
    ["createCache", "storageURL", "storageUrl", () => createCache({ storageURL: "memory:" } as CacheOptions)],
    ["cacheable", "dep", "deps", () => cacheableWith({ dep: "a" })],
    ["set", "tag", "tags", () => keptWith({ tag: "a" })],
    ["startStorageServer", "readonly", "readOnly", () => served({ readonly: true }, {})],
    ["startStorageServer", "storages.main.historyAge", "historyAgeMs", () => served({}, { historyAge: 1 })],
    ["routeCaching", "namspace", "namespace", () => routed({ namspace: "a" }, {})],
    ["a route of routeCaching", "querry", "query", () => routed({}, { querry: "sorted" })],
  ])("by %s: %s", async (_, option, meant, call) => {
    await expect(Promise.resolve().then(call)).rejects.toMatchObject({
      code: "ZOOID_INVALID_OPTION",
      message: `option ${option} is not known: did you mean ${meant}?`,
    });
  });

  test("and suggests none when no option is similar", async () => {
    await expect(connect({ servers, colour: "red" } as never)).rejects.toThrow(/^option colour is not known$/);
  });
});

describe("a missing or invalid argument is refused, and the error names it", () => {
  const main = { open: () => openLmdbStore({ folder: "never opened" }) };
  const transport = () => createBroker().connect();
  test.each<[string, string, () => unknown]>([
    ["startStorageServer", "transport", () => startStorageServer({ realm: "a", storages: { main } } as never)],
    ["startStorageServer", "transport", () => startStorageServer({ realm: "a", storages: { main }, transport: 3 } as never)],
    ["startStorageServer", "realm", () => startStorageServer({ storages: { main }, transport: transport() } as never)],
    ["startStorageServer", "realm", () => startStorageServer({ realm: "a.b", storages: { main }, transport: transport() })],
    ["startStorageServer", "storages", () => startStorageServer({ realm: "a", transport: transport() } as never)],
    [
      "startStorageServer",
      "log",
      () => startStorageServer({ realm: "a", storages: { main }, transport: transport(), log: console.log as never }),
    ],
    ["createActorSystem", "transport", () => createActorSystem({ realm: "a" } as never)],
    ["createActorSystem", "realm", () => createActorSystem({ realm: "a b", transport: transport() })],
    ["createActorSystem", "clock", () => createActorSystem({ realm: "a", transport: transport(), clock: Date as never })],
    ["openObjectClient", "transport", () => openObjectClient({ realm: "a", storage: "main", client: "c" } as never)],
    [
      "openObjectClient",
      "random",
      () => openObjectClient({ realm: "a", storage: "main", client: "c", transport: transport(), random: {} as never }),
    ],
  ])("%s refuses a wrong %s", async (_, option, call) => {
    await expect(Promise.resolve().then(call)).rejects.toMatchObject({ code: "ZOOID_INVALID_OPTION", option });
  });
});

describe("connect without options", () => {
  test.each([[undefined], [null], [{}]])("%j says that servers is missing, and how to give it", async (options) => {
    await expect(connect(options as never)).rejects.toMatchObject({
      code: "ZOOID_INVALID_OPTION",
      message: 'option servers is missing: connect("nats://127.0.0.1:4222"), or connect({ servers: "nats://127.0.0.1:4222" })',
    });
  });
});

describe("a similar name", () => {
  test.each([
    ["serverz", "servers"],
    ["sevrers", "servers"],
    ["REALM", "realm"],
    ["wait", "waitTimeoutMs"],
    ["relm", "realm"],
  ])("of %s is %s", (typed, meant) => {
    expect(didYouMean(typed, ["realm", "servers", "waitTimeoutMs"])).toBe(`: did you mean ${meant}?`);
  });

  test.each([["x"], ["storage"], ["wai"], [""], ["servers".repeat(100)]])("does not exist for %j", (typed) => {
    expect(didYouMean(typed, ["realm", "servers", "waitTimeoutMs"])).toBe("");
  });
});
