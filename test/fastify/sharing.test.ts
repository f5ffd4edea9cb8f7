import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import { describe, expect, test } from "vitest";
import { createInvalidationHub } from "../../cache.js";
import { limits, seededRandom, silentLog, systemClock } from "../../core/index.js";
import { gate } from "../actors/cache/open.js";
import { ask, serve } from "./app.js";

describe("one run for all waiting requests", () => {
  test("1,000 clients of a missing page run its handler once", async () => {
    let runs = 0;
    const opened = gate();
    const { get, app } = await serve((app) => {
      app.get("/", { config: { cache: true } }, async () => {
        runs++;
        await opened.promise;
        return { runs };
      });
    });
    const arrived = countdown(1_000);
    app.server.on("request", arrived.down);
    const answers = Promise.all(Array.from({ length: 1_000 }, () => get("/")));
    await arrived.promise;
    opened.open();
    const bodies = (await answers).map(({ status, body }) => `${status} ${body}`);
    expect(new Set(bodies)).toEqual(new Set(['200 {"runs":1}']));
    expect((await answers).filter(({ headers }) => headers["cache-status"] === "zooid; fwd=miss; stored")).toHaveLength(1);
    expect(runs).toBe(1);
  });

  test("a client that leaves does not stop the run that others wait for", async () => {
    const opened = gate();
    const begun = gate();
    const gone = gate();
    let runs = 0;
    const { get, url, app } = await serve((app) => {
      app.get("/", { config: { cache: true } }, async (request) => {
        runs++;
        request.raw.once("close", () => {
          gone.open();
        });
        begun.open();
        await opened.promise;
        return `run ${runs}`;
      });
    });
    const leader = httpRequest(url, { agent: false }).on("error", () => undefined);
    leader.end();
    await begun.promise;
    const arrived = countdown(3);
    app.server.on("request", arrived.down);
    const others = Promise.all([get("/"), get("/"), get("/")]);
    await arrived.promise;
    leader.destroy();
    await gone.promise;
    opened.open();
    expect((await others).map(({ status, body }) => `${status} ${body}`)).toEqual(Array(3).fill("200 run 1"));
    expect(await get("/")).toMatchObject({ body: "run 1", headers: { "cache-status": "zooid; hit" } });
  });

  test("a handler that fails because its client left runs once more, for all other requests", async () => {
    const begun = gate();
    let runs = 0;
    const { get, url, app } = await serve((app) => {
      app.get("/", { config: { cache: true } }, async (request) => {
        const run = ++runs;
        if (run > 1) return `run ${run}`;
        begun.open();
        await once(request.raw.socket, "close");
        throw new Error("the client is gone");
      });
    });
    const leader = httpRequest(url, { agent: false }).on("error", () => undefined);
    leader.end();
    await begun.promise;
    const arrived = countdown(3);
    app.server.on("request", arrived.down);
    const others = Promise.all([get("/"), get("/"), get("/")]);
    await arrived.promise;
    leader.destroy();
    expect((await others).map(({ status, body }) => `${status} ${body}`)).toEqual(Array(3).fill("200 run 2"));
    expect(runs).toBe(2);
  });

  test("requests that come after an invalidation share one new run, whose handler may send later", async () => {
    const opened = gate();
    const begun = gate();
    let runs = 0;
    const { get, cache, app } = await serve((app) => {
      app.get("/", { config: { cache: { tags: ["page"] } } }, (_request, reply) => {
        const run = ++runs;
        if (run > 1) setImmediate(() => void reply.send(`run ${run}`));
        else {
          begun.open();
          void opened.promise.then(() => reply.send(`run ${run}`));
        }
      });
    });
    const early = get("/");
    await begun.promise;
    await cache.invalidate("page");
    const arrived = countdown(2);
    app.server.on("request", arrived.down);
    const late = Promise.all([get("/"), get("/")]);
    await arrived.promise;
    opened.open();
    expect((await early).body).toBe("run 1");
    expect((await late).map(({ body }) => body)).toEqual(["run 2", "run 2"]);
    expect(runs).toBe(2);
  });

  test("an error reaches all waiting requests, through the error handler of each, and is not kept", async () => {
    const opened = gate();
    let runs = 0;
    const { get, app } = await serve((app) => {
      app.setErrorHandler((error, request, reply) => reply.code(418).send(`${(error as Error).message} at ${request.url}`));
      app.get("/", { config: { cache: true } }, async () => {
        runs++;
        await opened.promise;
        throw new Error(`failed ${runs}`);
      });
    });
    const arrived = countdown(3);
    app.server.on("request", arrived.down);
    const answers = Promise.all([get("/"), get("/"), get("/")]);
    await arrived.promise;
    opened.open();
    expect((await answers).map(({ status, body }) => `${status} ${body}`)).toEqual(Array(3).fill("418 failed 1 at /"));
    expect((await get("/")).body).toBe("failed 2 at /");
  });

  test("a status 503 reaches all waiting requests, and is not kept", async () => {
    const opened = gate();
    let runs = 0;
    const { get, app } = await serve((app) => {
      app.get("/", { config: { cache: true } }, async (_request, reply) => {
        runs++;
        await opened.promise;
        reply.code(503).header("retry-after", "1");
        return `run ${runs}`;
      });
    });
    const arrived = countdown(2);
    app.server.on("request", arrived.down);
    const answers = Promise.all([get("/"), get("/")]);
    await arrived.promise;
    opened.open();
    for (const { status, body, headers } of await answers) {
      expect([status, body, headers["retry-after"], headers.etag, headers["cache-control"]]).toEqual([
        503,
        "run 1",
        "1",
        undefined,
        undefined,
      ]);
    }
    expect((await get("/")).body).toBe("run 2");
  });

  test("a request that waits longer than flightTimeout is answered with 503", async () => {
    const begun = gate();
    const opened = gate();
    const { get, clock, app } = await serve(
      (app) => {
        app.get("/", { config: { cache: true } }, async () => {
          begun.open();
          await opened.promise;
          return "late";
        });
      },
      { open: { flightTimeout: "5s" } },
    );
    const leader = get("/");
    await begun.promise;
    const arrived = countdown(1);
    app.server.on("request", arrived.down);
    const other = get("/");
    await arrived.promise;
    await clock.advance(5_000);
    expect((await other).status).toBe(503);
    opened.open();
    expect(await leader).toMatchObject({ status: 200, body: "late" });
  });
});

describe("a response that is for its own request only", () => {
  const big = "x".repeat(limits.pageBytesMax + 1);
  test.each<[string, (reply: FastifyReply, run: number) => unknown]>([
    ["a stream", (_reply, run) => Readable.from([`run ${run}`])],
    ["a web stream", (_reply, run) => new Response(`run ${run}`).body],
    ["a Response", (_reply, run) => new Response(`run ${run}`)],
    ["a large body", (_reply, run) => `run ${run} ${big}`],
    ["a cookie", (reply, run) => reply.header("Set-Cookie", "a=1").send(`run ${run}`)],
    ["Cache-Control: private", (reply, run) => reply.header("cache-control", "Private, max-age=60").send(`run ${run}`)],
    ["Cache-Control: no-store", (reply, run) => reply.header("cache-control", "no-store").send(`run ${run}`)],
    ["Cache-Control: no-cache", (reply, run) => reply.header("cache-control", "no-cache").send(`run ${run}`)],
    ["Cache-Control: max-age=0", (reply, run) => reply.header("cache-control", "max-age=0").send(`run ${run}`)],
    ["Vary by what was not chosen", (reply, run) => reply.header("vary", "Accept, User-Agent").send(`run ${run}`)],
    ["Vary: *", (reply, run) => reply.header("vary", "*").send(`run ${run}`)],
    ["status 500", (reply, run) => reply.code(500).send(`run ${run}`)],
    ["status 201", (reply, run) => reply.code(201).send(`run ${run}`)],
    ["status 302", (reply, run) => reply.redirect(`/${run}`)],
    ["status 304 of the handler's own", (reply) => reply.code(304).send()],
    [
      "a reply taken over",
      (reply, run) => {
        reply.hijack();
        reply.raw.end(`run ${run}`);
      },
    ],
    [
      "an Error that is sent",
      (reply, run) => {
        void reply.send(new Error(`run ${run}`));
      },
    ],
    [
      "a payload that cannot be serialised",
      () => {
        const circle: Record<string, unknown> = {};
        circle["self"] = circle;
        return circle;
      },
    ],
  ])("%s is not kept, and the waiting requests are answered by runs of their own", async (_name, respond) => {
    let runs = 0;
    const opened = gate();
    const { get, app } = await serve((app) => {
      app.get("/", { config: { cache: { vary: ["accept"] } } }, async (_request, reply) => {
        const run = ++runs;
        await opened.promise;
        return respond(reply, run);
      });
    });
    const arrived = countdown(2);
    app.server.on("request", arrived.down);
    const both = Promise.all([get("/"), get("/")]);
    await arrived.promise;
    opened.open();
    const [one, other] = await both;
    expect(one.status).toBe(other.status);
    const before = runs;
    await get("/");
    expect(runs).toBe(before + 1);
  });

  test("a response to which a hook adds a cookie is not given to other requests", async () => {
    let runs = 0;
    const { get } = await serve((app) => {
      app.addHook("onSend", async (_request, reply) => {
        reply.header("set-cookie", "session=1");
      });
      app.get("/", { config: { cache: true } }, () => `run ${++runs}`);
    });
    expect([(await get("/")).body, (await get("/")).body]).toEqual(["run 1", "run 2"]);
  });

  test("the error of an onSend hook is sent, and nothing is kept", async () => {
    let runs = 0;
    const { get } = await serve((app) => {
      app.addHook("onSend", async (_request, reply) => {
        if (runs === 1 && reply.statusCode === 200) throw new Error("the hook failed");
      });
      app.get("/", { config: { cache: true } }, () => `run ${++runs}`);
    });
    expect((await get("/")).status).toBe(500);
    expect(await get("/")).toMatchObject({ status: 200, body: "run 2" });
  });
});

describe("hooks", () => {
  test("run once for each request, hit or miss: hooks before the handler can refuse it, hooks after it can change its response", async () => {
    let requests = 0;
    const { get } = await serve((app) => {
      app.addHook("onRequest", async (request, reply) => {
        reply.header("x-request", String(++requests)).header("vary", "Origin");
        if (request.headers["x-user"] === undefined) return reply.code(401).send("who are you?");
      });
      app.addHook("onSend", async (_request, _reply, payload) => `${String(payload)}!`);
      app.get("/", { config: { cache: { vary: ["accept"] } } }, (_request, reply) => {
        reply.header("x-handler", "1");
        return "page";
      });
    });
    const known = { "x-user": "me" };
    expect(await get("/", known)).toMatchObject({ status: 200, body: "page!", headers: { "x-request": "1", "x-handler": "1" } });
    expect(await get("/", known)).toMatchObject({
      body: "page!",
      headers: { "x-request": "2", "x-handler": "1", age: "0", vary: "origin, accept" },
    });
    expect(await get("/")).toMatchObject({ status: 401, body: "who are you?!" });
  });

  test("that turn the payload into a stream do not prevent caching, but the response then has no entity tag", async () => {
    const { get } = await serve((app) => {
      app.addHook("onSend", async (_request, reply, payload) => {
        if (typeof payload !== "string") return payload;
        reply.removeHeader("content-length").header("x-streamed", "yes");
        return Readable.from([payload.toUpperCase()]);
      });
      app.get("/", { config: { cache: true } }, () => "page");
    });
    for (const status of ["zooid; fwd=miss; stored", "zooid; hit"]) {
      const answer = await get("/", { "if-none-match": "*" });
      expect(answer).toMatchObject({ status: 200, body: "PAGE", headers: { "x-streamed": "yes", "cache-status": status } });
      expect(answer.headers).not.toHaveProperty("etag");
    }
  });
});

test("a tag invalidated at one node drops the page at the other", async () => {
  let value = "old";
  const nodes = [];
  const hub = createInvalidationHub({ clock: systemClock, random: seededRandom(1), log: silentLog });
  for (const name of ["A", "B"]) {
    nodes.push(
      await serve(
        (app, cache) => {
          app.get("/", { config: { cache: { ttl: "1h" } } }, async () => {
            cache.addDeps(["prices:eur"]);
            return `${name} ${value}`;
          });
        },
        { open: { bus: hub.connect(), clock: systemClock }, clock: systemClock },
      ),
    );
  }
  const [a, b] = nodes;
  const both = async () => [(await a?.get("/"))?.body, (await b?.get("/"))?.body];
  expect(await both()).toEqual(["A old", "B old"]);
  value = "new";
  expect(await both()).toEqual(["A old", "B old"]);
  expect(await a?.cache.invalidate("prices")).toBe("published");
  expect(await both()).toEqual(["A new", "B new"]);
});

test("malformed and interrupted requests leave the server and its pages intact", async () => {
  const { get, url } = await serve((app) => app.get("/*", { config: { cache: { vary: ["accept"] } } }, ({ url: path }) => path));
  const { hostname, port } = new URL(url);
  for (const text of [
    "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \u0000\r\n\r\n",
    "GET /%00%ff?a=%zz&&= HTTP/1.1\r\nHost:\r\n\r\n",
    "GET /x HTTP/1.0\r\n\r\n",
  ]) {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined).resume();
    socket.end(text, "latin1");
    await once(socket, "close");
  }
  expect(await ask(`${url}/x`)).toMatchObject({ status: 200, body: "/x" });
  expect(await get("/x")).toMatchObject({ body: "/x", headers: { "cache-status": "zooid; hit" } });
});

/** Resolves once `down` was called `count` times. */
function countdown(count: number): { readonly promise: Promise<void>; readonly down: () => void } {
  const reached = gate();
  let left = count;
  return {
    promise: reached.promise,
    down: () => {
      // One turn later, when the request has passed its hooks and reached the handler.
      if (--left === 0) setImmediate(reached.open);
    },
  };
}
