import Fastify, { type FastifyInstance } from "fastify";
import { describe, expect, test } from "vitest";
import { tag } from "../../cache.js";
import { type RouteCaching, routeCaching } from "../../fastify.js";
import { namesEtag } from "../../fastify/http-fields.js";
import { openCache } from "../actors/cache/open.js";
import { serve } from "./app.js";

/** A server with one route that counts its runs. */
async function counting(cache: RouteCaching | boolean = true, more?: (app: FastifyInstance) => void) {
  let runs = 0;
  const served = await serve((app) => {
    more?.(app);
    app.all("/*", { config: { cache } }, () => String(++runs));
  });
  const bodies = async (...requests: readonly (readonly [path: string, headers?: Record<string, string>, method?: string])[]) => {
    const found: string[] = [];
    for (const request of requests) found.push((await served.get(...request)).body);
    return found;
  };
  return { ...served, bodies };
}

describe("pages are distinguished by", () => {
  test("the method, the path and the query as it was sent", async () => {
    const { bodies } = await counting();
    expect(await bodies(["/a"], ["/b"], ["/a?x=1&y=2"], ["/a?y=2&x=1"], ["/a?x=1&y=2"], ["/a"], ["/a/"], ["/A"])).toEqual([
      "1",
      "2",
      "3",
      "4",
      "3",
      "1",
      "5",
      "6",
    ]);
  });

  test("the query regardless of the order of its names, but not of the values of one name, when it is `sorted`", async () => {
    const { bodies } = await counting({ query: "sorted" });
    expect(await bodies(["/?x=1&y=2"], ["/?y=2&x=1"], ["/?x=1&x=2"], ["/?x=2&x=1"], ["/?%78=1&y=2"], ["/?&x=1&y=2&"], ["/?%zz=1"])).toEqual(
      ["1", "1", "2", "3", "4", "1", "5"],
    );
  });

  test("only the named parameters", async () => {
    const { bodies } = await counting({ query: ["page", "a b"] });
    expect(
      await bodies(["/?page=1"], ["/?utm_source=x&page=1"], ["/?page=2"], ["/"], ["/?utm_source=x"], ["/?a+b=1"], ["/?a%20b=1"]),
    ).toEqual(["1", "1", "2", "3", "3", "4", "5"]);
  });

  test("the chosen header fields, in any case of their names, and no others", async () => {
    const { bodies, get } = await counting({ vary: ["Accept-Language"] });
    expect(
      await bodies(
        ["/", { "accept-language": "de" }],
        ["/", { "ACCEPT-LANGUAGE": "de", "x-other": "1" }],
        ["/", { "accept-language": "fr" }],
        ["/"],
        ["/", { "accept-language": "" }],
      ),
    ).toEqual(["1", "1", "2", "3", "4"]);
    expect((await get("/")).headers.vary).toBe("accept-language");
  });

  test("the requested host, so that a client cannot plant a page for others with another Host field", async () => {
    const { bodies } = await counting();
    expect(await bodies(["/", { host: "a.example" }], ["/", { host: "b.example" }], ["/", { host: "A.example" }])).toEqual(["1", "2", "1"]);
  });

  test("a key of the route's own, with which other methods are cached too", async () => {
    let runs = 0;
    const { get } = await serve((app) => {
      app.post("/search", { config: { cache: { key: ({ body }) => body } } }, () => String(++runs));
      app.post("/plain", { config: { cache: true } }, () => String(++runs));
    });
    const post = async (path: string, body: string) => (await get(path, { "content-type": "application/json" }, "POST", body)).body;
    expect(await post("/search", '{"a":1,"b":2}')).toBe("1");
    expect(await post("/search", '{"b":2,"a":1}')).toBe("1");
    expect(await post("/search", '{"a":2}')).toBe("2");
    expect([await post("/plain", "{}"), await post("/plain", "{}")]).toEqual(["3", "4"]);
  });

  test("the version of the route, where several routes have one path", async () => {
    const { get } = await serve((app) => {
      for (const version of ["1.0.0", "2.0.0"]) app.get("/", { constraints: { version }, config: { cache: true } }, () => version);
    });
    for (const version of ["1.0.0", "2.0.0", "1.0.0"]) expect((await get("/", { "accept-version": version })).body).toBe(version);
  });
});

describe("requests that bypass the cache", () => {
  test("those with credentials, unless credentials distinguish pages or are ignored", async () => {
    const credentials = [
      ["/", { authorization: "Bearer a" }],
      ["/", { authorization: "Bearer b" }],
      ["/", { authorization: "Bearer a" }],
    ] as const;
    const careful = await counting();
    expect(await careful.bodies(["/"], ...credentials, ["/", { cookie: "s=1" }], ["/"])).toEqual(["1", "2", "3", "4", "5", "1"]);
    const apart = await counting({ vary: ["authorization"], ttl: 5 });
    expect(await apart.bodies(...credentials, ["/", { cookie: "s=1" }])).toEqual(["1", "2", "1", "3"]);
    expect((await apart.get(...credentials[0])).headers).toMatchObject({ "cache-control": "private, max-age=5", vary: "authorization" });
    const alike = await counting({ credentials: "ignore" });
    expect(await alike.bodies(...credentials, ["/", { cookie: "s=1" }])).toEqual(["1", "1", "1", "1"]);
  });

  test("range requests, and requests of other methods", async () => {
    const { bodies, get } = await counting();
    expect(await bodies(["/", { range: "bytes=0-1" }], ["/"], ["/", {}, "POST"], ["/", {}, "DELETE"], ["/"])).toEqual([
      "1",
      "2",
      "3",
      "4",
      "2",
    ]);
    expect((await get("/", {}, "PUT")).headers).toMatchObject({ "cache-status": "zooid; fwd=bypass" });
  });

  test("those with no-store; no-cache makes the page anew for all clients, and so does max-age when the page is older", async () => {
    const { bodies, clock } = await counting();
    const saying = (directives: string) => ["/", { "cache-control": directives }] as const;
    expect(await bodies(["/"], saying("no-store"), ["/"], saying("No-Cache"), ["/"], ["/", { pragma: "foo, No-Cache" }], ["/"])).toEqual([
      "1",
      "2",
      "1",
      "3",
      "3",
      "4",
      "4",
    ]);
    expect(await bodies(saying("max-age=0"), saying('private="no-store"'), saying("max-age=nonsense"))).toEqual(["4", "4", "4"]);
    await clock.advance(3_000);
    expect(await bodies(saying("max-age=3"), saying("max-age=2"), ["/"])).toEqual(["4", "5", "5"]);
    const deaf = await counting({ requestDirectives: "ignore" });
    expect(await deaf.bodies(["/"], saying("no-store"), saying("no-cache"), saying("max-age=0"))).toEqual(["1", "1", "1", "1"]);
  });

  test("those whose key is invalid; they are answered all the same", async () => {
    const keyless = await counting({ key: ({ url }) => (url === "/x" ? () => url : url) });
    expect(await keyless.bodies(["/x"], ["/x"], ["/y"], ["/y"])).toEqual(["1", "2", "3", "3"]);
  });
});

describe("requests with invalid tags", () => {
  const ids = ["new-york", "a%20b", "-1", "0190b7a4-3f5c-7d2e-8a10-1f2e3d4c5b6a", "%F0%9F%98%80"];

  test("are answered by runs of their own, and not kept, wherever the tags come from", async () => {
    let runs = 0;
    const { get } = await serve((app, cache) => {
      const load = cache.cacheable(async (id: string) => id, { name: "load", deps: (id) => [`loaded:${id}`] });
      const idOf = ({ params }: { readonly params: unknown }) => (params as { readonly id: string }).id;
      app.get("/tags/:id", { config: { cache: { tags: (request) => [`cities:${idOf(request)}`] } } }, () => String(++runs));
      app.get("/added/:id", { config: { cache: true } }, async (request) => {
        await Promise.resolve();
        cache.addDeps([`cities:${idOf(request)}`]);
        return String(++runs);
      });
      app.get("/nested/:id", { config: { cache: true } }, async (request) => `${await load(idOf(request))} ${++runs}`);
    });
    for (const path of ["/tags", "/added", "/nested"]) {
      for (const id of ids) {
        const before = runs;
        for (const run of [1, 2]) {
          const { status, body, headers } = await get(`${path}/${id}`);
          expect([status, body.endsWith(String(before + run)), headers["cache-status"], headers.etag]).toEqual([
            200,
            true,
            "zooid; fwd=miss",
            undefined,
          ]);
        }
      }
      const kept = [await get(`${path}/ok`), await get(`${path}/ok`)];
      expect(kept.map(({ headers }) => headers["cache-status"])).toEqual(["zooid; fwd=miss; stored", "zooid; hit"]);
    }
  });

  test("do not occur where `tag` makes the tag: such pages are kept", async () => {
    let runs = 0;
    const { get, cache } = await serve((app, cache) => {
      app.get("/:id", { config: { cache: true } }, async (request) => {
        cache.addDeps(tag`cities:${(request.params as { readonly id: string }).id}`);
        return String(++runs);
      });
    });
    expect([(await get("/new-york")).body, (await get("/new-york")).body, (await get("/a%20b")).body]).toEqual(["1", "1", "2"]);
    await cache.invalidate(tag`cities:${"new-york"}`);
    expect([(await get("/new-york")).body, (await get("/a%20b")).body]).toEqual(["3", "2"]);
  });

  test("are logged once a minute per route, however many there are", async () => {
    const { cache, clock } = await openCache();
    const lines: string[] = [];
    const app = Fastify({ logger: { level: "warn", stream: { write: (line: string) => void lines.push(line) } } });
    await app.register(routeCaching, { cache, clock, tags: ({ url }) => [`path:${url.slice(1)}`] });
    app.get("/*", { config: { cache: true } }, () => "a");
    for (const url of ["/-1", "/-2", "/-3"]) expect((await app.inject(url)).statusCode).toBe(200);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("ZOOID_INVALID_TAG");
    await clock.advance(60_000);
    await app.inject("/-4");
    expect(lines).toHaveLength(2);
    await app.close();
  });
});

describe("conditional requests", () => {
  test("If-None-Match with the tag of the current page gets 304 with its fields and no body, also when the handler has just run", async () => {
    const { get } = await counting({ ttl: 60, vary: ["accept"] });
    const { headers, body } = await get("/");
    expect(body).toBe("1");
    expect(headers.etag).toMatch(/^"[\w-]{24}"$/);
    const same = await get("/", { "if-none-match": String(headers.etag) });
    expect(same).toMatchObject({ status: 304, body: "" });
    expect(same.headers).toMatchObject({ etag: headers.etag, "cache-control": "max-age=60", vary: "accept", age: "0" });
    expect(same.headers).not.toHaveProperty("content-type");
    expect(same.headers).not.toHaveProperty("content-length");
    const all = await get("/all", { "if-none-match": "*" });
    expect(all).toMatchObject({ status: 304, body: "", headers: { "cache-status": "zooid; fwd=miss; stored" } });
    expect(all.headers).not.toHaveProperty("age");
    expect(await get("/all")).toMatchObject({ status: 200, body: "2" });
  });

  test("the entity tag depends on the bytes: equal bodies have equal tags, other bodies have others", async () => {
    let body = "one";
    const { get, cache } = await serve((app) => app.get("/", { config: { cache: true } }, () => body));
    const before = (await get("/")).headers.etag;
    await cache.clear();
    expect((await get("/", { "if-none-match": String(before) })).status).toBe(304);
    body = "two";
    await cache.clear();
    expect(await get("/", { "if-none-match": String(before) })).toMatchObject({ status: 200, body: "two" });
  });

  test("an entity tag that the handler sets replaces ours", async () => {
    let runs = 0;
    const { get } = await serve((app) =>
      app.get("/", { config: { cache: true } }, (_request, reply) => {
        reply.header("ETag", 'W/"mine"');
        return String(++runs);
      }),
    );
    expect(await get("/")).toMatchObject({ body: "1", headers: { etag: 'W/"mine"' } });
    expect((await get("/", { "if-none-match": '"other", "mine"' })).status).toBe(304);
    expect(runs).toBe(1);
  });

  test.each<[field: string, matches: boolean]>([
    ['"a"', true],
    ['W/"a"', true],
    ['"b", "a"', true],
    ['"b","a","c"', true],
    ["*", true],
    [" * ", true],
    ['"b"', false],
    ["a", false],
    ["", false],
    ['"a', false],
    ['a"', false],
    ["'a'", false],
    ['""', false],
    ['"A"', false],
    ['W/"b", W/', false],
    ["*a", false],
    [`${'"'.repeat(9_999)}a`, false],
  ])("If-None-Match %j", (field, matches) => {
    expect(namesEtag(field, '"a"')).toBe(matches);
    expect(namesEtag(field, 'W/"a"')).toBe(matches);
  });

  test("a malformed If-None-Match gets the page", async () => {
    const { get } = await counting();
    await get("/");
    for (const field of ['"', "W/", ",,,", '"unfinished', "\t", "nonsense"]) {
      expect(await get("/", { "if-none-match": field })).toMatchObject({ status: 200, body: "1" });
    }
  });
});

describe("HEAD", () => {
  test("is answered like GET, without the body, and has a page of its own", async () => {
    let runs = 0;
    const { get } = await serve((app) => app.get("/", { config: { cache: true } }, () => `run ${++runs}`));
    for (const status of ["zooid; fwd=miss; stored", "zooid; hit"]) {
      const head = await get("/", {}, "HEAD");
      expect(head).toMatchObject({ status: 200, body: "", headers: { "content-length": "5", "cache-status": status } });
      expect(head.headers["content-type"]).toBe("text/plain; charset=utf-8");
    }
    expect(runs).toBe(1);
    const { headers, body } = await get("/");
    expect(body).toBe("run 2");
    const unchanged = await get("/", { "if-none-match": String((await get("/", {}, "HEAD")).headers.etag) }, "HEAD");
    expect(unchanged.status).toBe(304);
    expect(unchanged.headers).not.toHaveProperty("content-length");
    expect((await get("/", { "if-none-match": String(headers.etag) }, "HEAD")).status).toBe(200);
  });
});
