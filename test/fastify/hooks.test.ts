import { gunzipSync } from "node:zlib";
import compress from "@fastify/compress";
import cors from "@fastify/cors";
import etag from "@fastify/etag";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { describe, expect, test } from "vitest";
import { routeCaching } from "../../fastify.js";
import { gate, openCache } from "../actors/cache/open.js";
import { serve } from "./app.js";
import Fastify from "fastify";

const languageOf = ({ headers }: FastifyRequest): string => (headers["accept-language"] === "fr" ? "Bonjour" : "Hallo");
const inFrench = { "accept-language": "fr" };

/** A route behind hooks. It greets in the language of the request, and counts its runs. */
async function greeting(hooks: (app: FastifyInstance) => unknown, options: Parameters<typeof serve>[1] = {}) {
  const runs = { count: 0 };
  const served = await serve((app) => {
    hooks(app);
    app.get("/", { config: { cache: true } }, (request) => {
      runs.count++;
      return languageOf(request);
    });
  }, options);
  return { ...served, runs };
}

describe("header fields that hooks set before the handler runs distinguish pages", () => {
  test.each<[string, (app: FastifyInstance) => unknown]>([
    ["onRequest", (app) => app.addHook("onRequest", async (_request, reply) => void reply.header("Vary", "Accept-Language"))],
    ["preHandler", (app) => app.addHook("preHandler", async (_request, reply) => void reply.header("vary", ["accept", "ACCEPT-LANGUAGE"]))],
    ["the raw response", (app) => app.addHook("onRequest", async (_request, { raw }) => void raw.setHeader("Vary", "accept-language"))],
  ])("a Vary set by %s gives each language its own page", async (_name, hooks) => {
    const { get, runs } = await greeting(hooks);
    expect([(await get("/")).body, (await get("/", inFrench)).body]).toEqual(["Hallo", "Bonjour"]);
    expect([(await get("/")).body, (await get("/", inFrench)).body]).toEqual(["Hallo", "Bonjour"]);
    expect(runs.count).toBe(2);
  });

  test("a hook that makes some responses private separates them from the other pages", async () => {
    let runs = 0;
    const { get } = await serve((app) => {
      app.addHook("onRequest", async ({ headers }, reply) => {
        if (headers["x-user"] !== undefined) reply.header("cache-control", "private");
      });
      app.get("/", { config: { cache: true } }, ({ headers }) => `${String(headers["x-user"])} ${++runs}`);
    });
    const asking = async (user?: string) => (await get("/", user === undefined ? {} : { "x-user": user })).body;
    expect([await asking("a"), await asking(), await asking(), await asking("a"), await asking("b")]).toEqual([
      "a 1",
      "undefined 2",
      "undefined 2",
      "a 3",
      "b 4",
    ]);
  });

  test("a request for which a hook sets a cookie or Vary: * bypasses the cache", async () => {
    for (const [field, value] of [
      ["set-cookie", "new=1"],
      ["vary", "*"],
    ] as const) {
      let runs = 0;
      const { get } = await serve((app) => {
        app.addHook("onRequest", async ({ headers }, reply) => {
          if (headers["x-new"] !== undefined) reply.header(field, value);
        });
        app.get("/", { config: { cache: true } }, () => String(++runs));
      });
      const found = [await get("/"), await get("/"), await get("/", { "x-new": "1" }), await get("/")];
      expect(found.map(({ body }) => body)).toEqual(["1", "1", "2", "1"]);
    }
  });
});

describe("the response as it is sent decides whether it is kept", () => {
  test.each<[string, (reply: FastifyReply) => unknown]>([
    ["Vary by what was not chosen", (reply) => reply.header("vary", "accept-language")],
    ["Vary: *", (reply) => reply.header("vary", "*")],
    ["Cache-Control: no-store", (reply) => reply.header("cache-control", "no-store")],
    ["Cache-Control: private", (reply) => reply.header("cache-control", "private")],
    ["Cache-Control: max-age=0", (reply) => reply.header("cache-control", "max-age=0")],
    ["an Expires that is over", (reply) => reply.header("expires", "0")],
    ["a cookie of the raw response", ({ raw }) => raw.setHeader("set-cookie", "a=1")],
    ["another status", (reply) => reply.code(403)],
  ])("%s of an onSend hook: each request has its own response, wherever the hook stands", async (_name, change) => {
    const hook = async (_request: FastifyRequest, reply: FastifyReply): Promise<void> => void change(reply);
    const setups: readonly Parameters<typeof greeting>[] = [
      [(app) => app.addHook("onSend", hook)],
      [() => undefined, { before: (app) => void app.addHook("onSend", hook) }],
      [(app) => app.addHook("onRoute", (route) => void (route.onSend = [hook]))],
    ];
    for (const [hooks, options] of setups) {
      const { get, runs } = await greeting(hooks, options);
      expect([(await get("/")).body, (await get("/", inFrench)).body]).toEqual(["Hallo", "Bonjour"]);
      expect([(await get("/")).body, (await get("/", inFrench)).body]).toEqual(["Hallo", "Bonjour"]);
      expect(runs.count).toBe(4);
    }
  });

  test("a Vary that prevents caching is logged, once a minute per route", async () => {
    const { cache, clock } = await openCache();
    const lines: string[] = [];
    const app = Fastify({ logger: { level: "warn", stream: { write: (line: string) => void lines.push(line) } } });
    await app.register(routeCaching, { cache, clock });
    app.get("/", { config: { cache: true } }, (_request, reply) => reply.header("vary", "accept, x-tenant").send("a"));
    for (let asked = 0; asked < 3; asked++) await app.inject("/");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('"vary":["accept","x-tenant"]');
    await clock.advance(60_000);
    for (let asked = 0; asked < 3; asked++) await app.inject("/");
    expect(lines).toHaveLength(2);
    await app.close();
  });

  test("an error whose response is no-store is not shared: the waiting requests run the handler themselves", async () => {
    const opened = gate();
    const arrived = gate();
    const { get, app } = await serve((app) => {
      app.addHook("onSend", async (_request, reply) => void reply.header("cache-control", "no-store"));
      app.get("/", { config: { cache: true } }, async ({ headers }) => {
        await opened.promise;
        throw new Error(`of ${String(headers["x-user"])}`);
      });
    });
    let requests = 0;
    app.server.on("request", () => {
      if (++requests === 2) setImmediate(arrived.open);
    });
    const both = Promise.all([get("/", { "x-user": "a" }), get("/", { "x-user": "b" })]);
    await arrived.promise;
    opened.open();
    expect((await both).map(({ body }) => (JSON.parse(body) as { message: string }).message)).toEqual(["of a", "of b"]);
  });

  test("an Expires in the future, and an Age, limit how long a page is kept", async () => {
    let runs = 0;
    const { get, clock } = await serve((app) => {
      app.get("/expires", { config: { cache: { ttl: 60 } } }, (_request, reply) => {
        reply.header("expires", new Date(clock.now() + 5_000).toUTCString());
        return String(++runs);
      });
      app.get("/age", { config: { cache: { ttl: 60 } } }, (_request, reply) => {
        reply.header("cache-control", "max-age=60").header("age", "55");
        return String(++runs);
      });
    });
    const both = async () => [(await get("/expires")).body, (await get("/age")).body];
    expect(await both()).toEqual(["1", "2"]);
    await clock.advance(3_000);
    expect(await both()).toEqual(["1", "2"]);
    await clock.advance(3_000);
    expect(await both()).toEqual(["3", "4"]);
  });
});

describe("hooks that change the response", () => {
  const exclaiming = (app: FastifyInstance): void => {
    app.addHook("onSend", async ({ headers }, _reply, payload) => `${String(payload)}, ${String(headers["x-user"])}!`);
  };

  test.each(["before", "after"])("run once for each request when they were added %s routeCaching", async (when) => {
    const { get, runs } = await greeting(when === "after" ? exclaiming : () => undefined, when === "before" ? { before: exclaiming } : {});
    const asked = [await get("/", { "x-user": "a" }), await get("/", { "x-user": "b" }), await get("/", { "x-user": "a" })];
    expect(asked.map(({ body }) => body)).toEqual(["Hallo, a!", "Hallo, b!", "Hallo, a!"]);
    expect(runs.count).toBe(1);
    expect(asked[0]?.headers.etag).toBe(asked[2]?.headers.etag);
    expect(asked[0]?.headers.etag).not.toBe(asked[1]?.headers.etag);
    expect((await get("/", { "x-user": "b", "if-none-match": String(asked[0]?.headers.etag) })).status).toBe(200);
    expect((await get("/", { "x-user": "b", "if-none-match": String(asked[1]?.headers.etag) })).status).toBe(304);
  });

  test("with a body that a hook rewrote, the handler's own entity tag gets no 304", async () => {
    const { get } = await serve((app) => {
      exclaiming(app);
      app.get("/", { config: { cache: true } }, (_request, reply) => reply.header("etag", '"own"').send("Hallo"));
    });
    const asking = { "x-user": "a", "if-none-match": '"own"' };
    for (const status of [200, 200]) expect(await get("/", asking)).toMatchObject({ status, body: "Hallo, a!" });
  });

  test("a header field that the handler removes is not sent with its page", async () => {
    const { get } = await serve((app) => {
      app.addHook("onRequest", async (_request, reply) => void reply.header("x-frame-options", "deny").header("x-kept", "1"));
      app.get("/", { config: { cache: true } }, (_request, reply) => reply.removeHeader("x-frame-options").send(""));
    });
    for (const status of ["zooid; fwd=miss; stored", "zooid; hit"]) {
      const { headers } = await get("/");
      expect(headers).toMatchObject({ "cache-status": status, "x-kept": "1" });
      expect(headers).not.toHaveProperty("x-frame-options");
    }
  });

  test("see the same fields at a hit as at a miss", async () => {
    const seen: unknown[] = [];
    const { get } = await greeting((app) =>
      app.addHook("onSend", async (_request, reply) => {
        seen.push({ ...reply.getHeaders(), status: reply.statusCode });
      }),
    );
    const { headers } = await get("/");
    await get("/");
    await get("/", { "if-none-match": String(headers.etag) });
    const first = seen[0] as Record<string, unknown>;
    for (const each of seen.slice(1))
      expect({ ...(each as object), "content-length": undefined }).toEqual({ ...first, "content-length": undefined });
  });
});

describe("@fastify/compress", () => {
  const big = "compress me ".repeat(200);
  const setups = ["before", "after"] as const;
  const serving = (setup: (typeof setups)[number], options: object = {}) =>
    serve(
      async (app) => {
        if (setup === "after") await app.register(compress, options);
        app.get("/", { config: { cache: { ttl: 60 } } }, () => big);
      },
      setup === "before" ? { before: (app) => app.register(compress, options) } : {},
    );

  test.each(
    setups.flatMap((setup) => [
      { setup, syncThreshold: 0 },
      { setup, syncThreshold: 65_536 },
    ]),
  )(
    "registered $setup routeCaching, with syncThreshold $syncThreshold: no strong tag is shared by two codings, and a 304 has the Vary of its 200",
    async ({ setup, syncThreshold }) => {
      const { app } = await serving(setup, { syncThreshold });
      const get = (headers: Record<string, string>, method: "GET" | "HEAD" = "GET") => app.inject({ url: "/", headers, method });
      const coded = { "accept-encoding": "gzip" };
      for (const status of ["zooid; fwd=miss; stored", "zooid; hit", "zooid; hit"]) {
        const zipped = await get(coded);
        expect(zipped.headers).toMatchObject({ "cache-status": status, "content-encoding": "gzip" });
        expect(gunzipSync(zipped.rawPayload).toString()).toBe(big);
        const plain = await get({});
        expect(plain.body).toBe(big);
        expect(zipped.headers.etag).not.toBe(plain.headers.etag);
        const again = await get({ ...coded, "if-none-match": String(zipped.headers.etag) });
        expect(again).toMatchObject({ statusCode: 304, body: "" });
        for (const name of ["vary", "etag", "cache-control"]) expect(again.headers[name]).toBe(zipped.headers[name]);
        expect(again.headers).not.toHaveProperty("content-encoding");
        expect((await get({ "if-none-match": String(plain.headers.etag) })).statusCode).toBe(304);
        expect((await get({ "if-none-match": String(plain.headers.etag) }, "HEAD")).headers).not.toHaveProperty("content-length");
        expect((await get({ range: "bytes=0-3" })).headers["cache-status"]).toBe("zooid; fwd=bypass");
      }
    },
  );

  test("makes the handler's own strong tag weak", async () => {
    const { app } = await serve(async (app) => {
      await app.register(compress, { threshold: 0 });
      app.get("/", { config: { cache: true } }, (_request, reply) => reply.header("etag", '"own"').send(big));
    });
    const get = (headers: Record<string, string>) => app.inject({ url: "/", headers });
    for (let asked = 0; asked < 2; asked++) {
      expect((await get({ "accept-encoding": "gzip" })).headers.etag).toBe('W/"own"');
      expect((await get({})).headers.etag).toBe('"own"');
      expect((await get({ "accept-encoding": "gzip", "if-none-match": '"own"' })).statusCode).toBe(304);
    }
  });
});

test("@fastify/cors: each origin gets the fields and the page that it would get without the cache", async () => {
  let runs = 0;
  const { get } = await serve(async (app) => {
    await app.register(cors, { origin: ["http://one.example", "http://two.example"] });
    app.get("/", { config: { cache: true } }, ({ headers }) => `${String(headers.origin)} ${++runs}`);
  });
  const asking = async (origin: string) => {
    const { headers, body } = await get("/", { origin });
    return [headers["access-control-allow-origin"], headers.vary, body];
  };
  const one = ["http://one.example", "Origin", "http://one.example 1"];
  const two = ["http://two.example", "Origin", "http://two.example 2"];
  const evil = [undefined, "Origin", "http://evil.example 3"];
  expect([await asking("http://one.example"), await asking("http://two.example"), await asking("http://evil.example")]).toEqual([
    one,
    two,
    evil,
  ]);
  expect([await asking("http://one.example"), await asking("http://two.example"), await asking("http://evil.example")]).toEqual([
    one,
    two,
    evil,
  ]);
});

test("@fastify/etag: its tags and its 304 are the same with a cache", async () => {
  let runs = 0;
  const { get } = await serve(async (app) => {
    await app.register(etag);
    app.get("/", { config: { cache: true } }, () => `page ${++runs}`);
  });
  const first = await get("/");
  expect((await get("/")).headers.etag).toBe(first.headers.etag);
  expect(await get("/", { "if-none-match": String(first.headers.etag) })).toMatchObject({ status: 304, body: "" });
  expect(runs).toBe(1);
});

describe("registered more than once", () => {
  test("in an app and in a scope of it, the registration of the scope applies to the routes of the scope", async () => {
    const { cache } = await openCache();
    const app = Fastify();
    let runs = 0;
    await app.register(routeCaching, { cache, ttl: 60, cacheStatus: "outer", namespace: "outer" });
    await app.register(async (inner) => {
      await inner.register(routeCaching, { cache, ttl: 5, cacheStatus: "inner", vary: ["accept"] });
      inner.get("/inner", { config: { cache: true } }, () => String(++runs));
    });
    app.get("/outer", { config: { cache: true } }, () => String(++runs));
    const fields = async (url: string) => {
      const { statusCode, body, headers } = await app.inject(url);
      return [statusCode, body, headers["cache-control"], headers["cache-status"], headers["vary"]];
    };
    expect(await fields("/inner")).toEqual([200, "1", "max-age=5", "inner; fwd=miss; stored", "accept"]);
    expect(await fields("/inner")).toEqual([200, "1", "max-age=5", "inner; hit", "accept"]);
    expect(await fields("/outer")).toEqual([200, "2", "max-age=60", "outer; fwd=miss; stored", undefined]);
    expect(await fields("/outer")).toEqual([200, "2", "max-age=60", "outer; hit", undefined]);
    await app.close();
  });

  test("in one scope, the second registration is refused", async () => {
    const { cache } = await openCache();
    const app = Fastify();
    await app.register(routeCaching, { cache });
    await expect(app.register(routeCaching, { cache, ttl: 5 })).rejects.toMatchObject({ code: "ZOOID_INVALID_OPTION" });
  });
});

test("requests that waited for a private response run their own handler, also a handler that sends later", async () => {
  const opened = gate();
  const arrived = gate();
  let runs = 0;
  const { get, app } = await serve((app) => {
    app.get("/", { config: { cache: true } }, (_request, reply) => {
      const run = ++runs;
      void opened.promise.then(() => reply.header("cache-control", "private").send(`run ${run}`));
    });
  });
  let requests = 0;
  app.server.on("request", () => {
    if (++requests === 2) setImmediate(arrived.open);
  });
  const both = Promise.all([get("/"), get("/")]);
  await arrived.promise;
  opened.open();
  expect((await both).map(({ status, body }) => `${status} ${body}`).toSorted()).toEqual(["200 run 1", "200 run 2"]);
});
