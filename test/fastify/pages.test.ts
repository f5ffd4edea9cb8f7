import { describe, expect, test } from "vitest";
import { serve } from "./app.js";

describe("a page", () => {
  test("is made once, and sent again with the same status, headers and body", async () => {
    let runs = 0;
    const { get } = await serve((app) => {
      app.get("/cities/:id", { config: { cache: { ttl: "1m" } } }, (request, reply) => {
        reply.code(203).header("X-Made-By", ["one", "two"]);
        return { id: (request.params as { id: string }).id, runs: ++runs };
      });
    });
    const first = await get("/cities/DE");
    const second = await get("/cities/DE");
    expect(first).toMatchObject({ status: 203, body: '{"id":"DE","runs":1}' });
    expect(first.headers).toMatchObject({
      "x-made-by": "one, two",
      "cache-control": "max-age=60",
      "cache-status": "zooid; fwd=miss; stored",
    });
    expect(first.headers).not.toHaveProperty("age");
    expect(second).toMatchObject({ status: 203, body: first.body });
    expect(second.headers).toMatchObject({ age: "0", etag: first.headers.etag, "cache-status": "zooid; hit", "x-made-by": "one, two" });
    expect(second.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect((await get("/cities/FR")).body).toBe('{"id":"FR","runs":2}');
  });

  test.each<[string, unknown, string, string | undefined]>([
    ["a string", "text", "text", "text/plain; charset=utf-8"],
    ["an empty string", "", "", "text/plain; charset=utf-8"],
    ["bytes", Buffer.from([65, 66]), "AB", "application/octet-stream"],
    ["an array of bytes", new Uint8Array([67, 68]), "CD", "application/octet-stream"],
    ["an object", { a: 1 }, '{"a":1}', "application/json; charset=utf-8"],
    ["nothing", undefined, "", undefined],
    ["null", null, "null", "application/json; charset=utf-8"],
    ["a number", 7, "7", "application/json; charset=utf-8"],
  ])("of %s is the same from the cache", async (_name, payload, body, type) => {
    let runs = 0;
    const { get } = await serve((app) => {
      app.get("/sent", { config: { cache: true } }, (_request, reply) => {
        runs++;
        return reply.send(payload);
      });
    });
    for (const status of ["zooid; fwd=miss; stored", "zooid; hit", "zooid; hit"]) {
      const answer = await get("/sent");
      expect(answer).toMatchObject({ status: 200, body });
      expect(answer.headers["content-type"]).toBe(type);
      expect(answer.headers["cache-status"]).toBe(status);
      expect(answer.headers["content-length"]).toBe(String(body.length));
    }
    expect(runs).toBe(1);
  });

  test("can come from handlers that return a value or a promise, send at once or later, or send and return the reply", async () => {
    const runs: Record<string, number> = {};
    const { get } = await serve((app) => {
      const count = (name: string) => ({ name, run: (runs[name] = (runs[name] ?? 0) + 1) });
      const cached = { config: { cache: true } };
      app.get("/return", cached, () => count("return"));
      app.get("/promise", cached, async () => count("promise"));
      app.get("/send", cached, (_request, reply) => {
        reply.send(count("send"));
      });
      app.get("/later", cached, (_request, reply) => {
        setImmediate(() => {
          reply.send(count("later"));
        });
      });
      app.get("/reply", cached, async (_request, reply) => {
        setImmediate(() => {
          reply.send(count("reply"));
        });
        return reply;
      });
      app.get("/thenable", cached, () => ({
        // Like query builders, it does its work at each call of `then`.
        // oxlint-disable-next-line unicorn/no-thenable -- the test needs a thenable
        then: (resolve: (value: unknown) => void) => {
          resolve(count("thenable"));
        },
      }));
    });
    for (const name of ["return", "promise", "send", "later", "reply", "thenable"]) {
      const answers = [await get(`/${name}`), await get(`/${name}`)];
      expect(answers.map(({ body }) => body)).toEqual(Array(2).fill(JSON.stringify({ name, run: 1 })));
    }
  });

  test("is serialised by the route's schema, custom serializers and preSerialization hooks, once", async () => {
    const { get } = await serve((app) => {
      const schema = { response: { 200: { type: "object", properties: { kept: { type: "number" } } } } };
      app.get("/schema", { schema, config: { cache: true } }, () => ({ kept: 1, left: 2 }));
      app.get("/serializer", { config: { cache: true } }, (_request, reply) => {
        reply.type("application/x-own").serializer((value: unknown) => `own ${JSON.stringify(value)}`);
        return { a: 1 };
      });
      app.get(
        "/envelope",
        {
          config: { cache: true },
          preSerialization: (_request, _reply, payload, done) => {
            done(null, { data: payload });
          },
        },
        () => ({ a: 1 }),
      );
    });
    for (const [path, body] of [
      ["/schema", '{"kept":1}'],
      ["/serializer", 'own {"a":1}'],
      ["/envelope", '{"data":{"a":1}}'],
    ] as const) {
      expect((await get(path)).body).toBe(body);
      expect(await get(path)).toMatchObject({ body, headers: { "cache-status": "zooid; hit" } });
    }
  });

  test("that is a redirect is kept for a cacheable status only", async () => {
    let runs = 0;
    const { get } = await serve((app) => {
      app.get("/moved", { config: { cache: true } }, (_request, reply) => reply.redirect(`/there?${++runs}`, 301));
      app.get("/elsewhere", { config: { cache: true } }, (_request, reply) => reply.redirect(`/there?${++runs}`));
    });
    expect([(await get("/moved")).headers.location, (await get("/moved")).headers.location]).toEqual(["/there?1", "/there?1"]);
    expect([(await get("/elsewhere")).headers.location, (await get("/elsewhere")).headers.location]).toEqual(["/there?2", "/there?3"]);
  });

  test("with status 404 is kept, whether its handler or the app's not-found handler sends it", async () => {
    let runs = 0;
    const { get } = await serve((app) => {
      app.setNotFoundHandler((_request, reply) => reply.code(404).send("not found"));
      app.get("/own", { config: { cache: true } }, (_request, reply) => reply.code(404).send(`run ${++runs}`));
      app.get("/app", { config: { cache: true } }, (_request, reply) => {
        runs++;
        reply.callNotFound();
      });
    });
    expect([await get("/own"), await get("/own")]).toMatchObject([0, 1].map(() => ({ status: 404, body: "run 1" })));
    expect([await get("/app"), await get("/app")]).toMatchObject([0, 1].map(() => ({ status: 404, body: "not found" })));
    expect(runs).toBe(2);
  });

  test("ages, and is made anew after its time to live, however often it was requested", async () => {
    let runs = 0;
    const { get, clock } = await serve((app) => {
      app.get("/", { config: { cache: { ttl: 10 } } }, () => String(++runs));
    });
    await get("/");
    for (const age of ["4", "8"]) {
      await clock.advance(4_000);
      expect(await get("/")).toMatchObject({ body: "1", headers: { age, "cache-control": "max-age=10" } });
    }
    await clock.advance(4_000);
    const anew = await get("/");
    expect(anew.body).toBe("2");
    expect(anew.headers).not.toHaveProperty("age");
  });

  test("ages by elapsed time, even when the wall clock is set", async () => {
    let runs = 0;
    const { get, clock } = await serve((app) => {
      app.get("/", { config: { cache: { ttl: 60 } } }, () => String(++runs));
    });
    await get("/");
    for (const [jumpMs, age] of [
      [-3_600_000, "4"],
      [7_200_000, "8"],
    ] as const) {
      clock.shiftWall(jumpMs);
      await clock.advance(4_000);
      expect(await get("/")).toMatchObject({ body: "1", headers: { age } });
    }
    expect((await get("/", { "cache-control": "max-age=7" })).body).toBe("2");
  });

  test("is kept no longer than its handler and its route allow", async () => {
    let runs = 0;
    const { get, clock } = await serve((app) => {
      app.get("/:control", { config: { cache: { ttl: 10, requestDirectives: "ignore" } } }, (request, reply) => {
        reply.header("cache-control", (request.params as { control: string }).control);
        return String(++runs);
      });
    });
    const kept = async (control: string) => {
      const { body } = await get(`/${control}`);
      for (let secs = 0; secs <= 12; secs++) {
        if ((await get(`/${control}`)).body !== body) return secs;
        await clock.advance(1_000);
      }
      return Infinity;
    };
    expect(await kept("max-age=3")).toBe(3);
    expect(await kept("max-age=600")).toBe(10);
    expect(await kept("max-age=3, s-maxage=5")).toBe(5);
    expect(await kept("max-age=0")).toBe(0);
    expect(await kept("public")).toBe(10);
    expect(await kept("max-age=99999999999")).toBe(10);
    expect(await kept("max-age=9999999999")).toBe(10);
  });

  test("is invalidated by the tags of its route, of the request, of its handler, and of the cached functions that the handler called", async () => {
    let runs = 0;
    const { get, cache } = await serve((app, cache) => {
      const load = cache.cacheable(async (id: string) => id, { name: "load", deps: (id) => [`loaded:${id}`] });
      const tags = ({ params }: { readonly params: unknown }) => [`cities:${(params as { id: string }).id}`];
      app.get("/:id", { config: { cache: { tags } } }, async (request) => {
        await Promise.resolve();
        cache.addDeps(["layout"]);
        return `${await load((request.params as { id: string }).id)} ${++runs}`;
      });
      app.get("/list", { config: { cache: { tags: ["lists"] } } }, async () => `list ${++runs}`);
    });
    const both = async () => [(await get("/DE")).body, (await get("/list")).body];
    expect(await both()).toEqual(["DE 1", "list 2"]);
    for (const [tag, expected] of [
      ["cities:DE", ["DE 3", "list 2"]],
      ["cities:FR", ["DE 3", "list 2"]],
      ["layout", ["DE 4", "list 2"]],
      ["loaded:DE", ["DE 5", "list 2"]],
      ["lists", ["DE 5", "list 6"]],
    ] as const) {
      await cache.invalidate(tag);
      expect(await both(), tag).toEqual(expected);
    }
    await cache.clear();
    expect(await both()).toEqual(["DE 7", "list 8"]);
  });
});
