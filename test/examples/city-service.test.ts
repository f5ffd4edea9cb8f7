import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { cityRoutes } from "../../examples/cities/service.js";
import { createCache } from "../../cache.js";
import { InternalError, OutcomeUnknownError } from "../../index.js";
import { seededRandom } from "../../core/index.js";
import { clientWorld, type ClientWorld } from "../support/client-world.js";

const worlds: ClientWorld[] = [];

/** The service over a client in memory. */
async function service() {
  const world = await clientWorld();
  worlds.push(world);
  const validator = { "~standard": { version: 1, vendor: "test", validate: (value: unknown) => checked(value) } } as const;
  const { client, transport } = await world.open("a", { waitTimeoutMs: 2_000, schemas: { "city/*": validator } });
  const cache = await createCache({ clock: world.clock, random: seededRandom(1) });
  onTestFinished(() => cache.close());
  const routes = cityRoutes("a", client as unknown as Parameters<typeof cityRoutes>[1], cache, ["service-a"]);
  const ask = async (path: string, method = "GET", body?: unknown) => {
    const init = body === undefined ? { method } : { method, body: typeof body === "string" ? body : JSON.stringify(body) };
    const response = await world.run(Promise.resolve(routes.request(path, init)));
    return { status: response.status, body: (await response.json()) as { readonly error?: { readonly code?: string } } };
  };
  return { ...world, world, routes, client, cache, transport, ask };
}

const checked = (value: unknown) =>
  typeof value === "object" && value !== null && "name" in value ? { value: value as never } : { issues: [{ message: "has no name" }] };

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

const city = { name: "Jena", country: "DE", admin1: "15", latitude: 50.9, longitude: 11.6 };

describe("a service's answer", () => {
  test("is the city that was put, under a path of any letters", async () => {
    const { ask } = await service();
    const path = `/city/DE/15/${encodeURIComponent("Jena / Göschwitz")}`;
    expect(await ask(path, "PUT", city)).toMatchObject({ status: 200 });
    expect(await ask(path)).toMatchObject({ status: 200, body: { key: "city/DE/15/Jena / Göschwitz", city, from: "cache" } });
    expect(await ask("/city/none")).toMatchObject({ status: 404 });
  });

  test.each([
    ["a path that is no text", "/city/%", "GET", undefined, undefined],
    ["a key too long", `/city/${"x".repeat(600)}`, "GET", undefined, "ZOOID_INVALID_KEY"],
    ["a value of no city", "/city/DE/15/Jena", "PUT", {}, "ZOOID_SCHEMA"],
    ["a body that is no JSON", "/city/DE/15/Jena", "PUT", "{", undefined],
    ["an invalid country", "/figures/D.E", "GET", undefined, undefined],
    ["a limit that is no number", "/cities/DE?limit=many", "GET", undefined, undefined],
  ])("to %s is 400", async (_, path, method, body, code) => {
    const { ask } = await service();
    const answer = await ask(path, method, body);
    expect([answer.status, answer.body.error?.code]).toEqual([400, code]);
  });

  test("is 413 for a body that is too large, with or without a Content-Length", async () => {
    const { world, routes } = await service();
    const text = JSON.stringify({ ...city, note: "x".repeat(100_000) });
    const streamed = new Response(text).body;
    for (const init of [
      { body: text, headers: { "content-length": String(text.length) } },
      { body: streamed, duplex: "half" },
    ]) {
      const response = await world.run(Promise.resolve(routes.request("/city/DE/15/Jena", { method: "PUT", ...init } as RequestInit)));
      expect(response.status).toBe(413);
    }
  });

  test("is 403 for a page of another site, under any host name for our address", async () => {
    const { world, routes } = await service();
    const status = async (url: string, origin?: string) => {
      const headers = origin === undefined ? {} : { origin };
      return (await world.run(Promise.resolve(routes.request(url, { headers })))).status;
    };
    expect(await status("http://rebound.example:4281/health")).toBe(403);
    expect(await status("http://127.0.0.1:4281/health", "http://elsewhere.example")).toBe(403);
    expect(await status("http://127.0.0.1:4281/health", "null")).toBe(403);
    for (const host of ["127.0.0.1:4281", "localhost:4281", "[::1]:4281", "service-a:4281"]) {
      expect(await status(`http://${host}/health`)).toBe(200);
      expect(await status(`http://${host}/health`, `http://${host}`)).toBe(200);
    }
  });

  test("is 503 when another try may succeed, and 500 when the outcome of a write is unknown or after a bug", async () => {
    const { ask, client, server, disk, clock, transport } = await service();
    transport.fails.set("commit", new InternalError({ reason: "a bug" }));
    transport.fails.set("settle", new OutcomeUnknownError({ transaction: "lost" }));
    expect(await ask("/city/DE/15/Jena", "PUT", city)).toMatchObject({ status: 500, body: { error: { code: "ZOOID_OUTCOME_UNKNOWN" } } });
    transport.fails.set("load", new InternalError({ reason: "a bug" }));
    expect(await ask("/city/DE/15/Gera")).toMatchObject({ status: 500, body: { error: { code: "ZOOID_INTERNAL" } } });
    server.kill();
    disk.disk.crash();
    await clock.until(() => !client.isConnected, 10_000);
    expect(await ask("/city/DE/15/Gotha")).toMatchObject({ status: 503, body: { error: { code: "ZOOID_DISCONNECTED" } } });
    client.kill();
    expect(await ask("/city/DE/15/Ilmenau")).toMatchObject({ status: 503, body: { error: { code: "ZOOID_CLOSED" } } });
  });
});

describe("the figures of a country", () => {
  test("are computed once, until another service changes a city of that country, not of another one", async () => {
    const world = await service();
    const { ask, cache, clock } = world;
    const put = (name: string, latitude: number, country = "DE") =>
      ask(`/city/${country}/15/${name}`, "PUT", { ...city, name, country, latitude });
    await put("Jena", 50.9);
    await put("Gera", 50.8);
    expect(await ask("/figures/DE")).toMatchObject({
      status: 200,
      body: {
        from: "computed",
        cities: 2,
        noted: 0,
        northernmost: { name: "Jena" },
        southernmost: { name: "Gera" },
        meanLatitude: expect.closeTo(50.85) as number,
      },
    });
    expect(await ask("/figures/DE")).toMatchObject({ body: { from: "cache", cities: 2 } });
    await put("Paris", 48.9, "FR");
    expect(await ask("/figures/DE")).toMatchObject({ body: { from: "cache" } });
    const { client: other } = await world.open("b");
    const tid = await world.run(other.put("city/DE/15/Suhl", { ...city, name: "Suhl", latitude: 50.6, note: "new" }));
    await clock.until(() => world.client.position.tid >= tid, 5_000);
    const fresh = { from: "computed", cities: 3, noted: 1, southernmost: { name: "Suhl" }, asOf: { tid } };
    expect(await ask("/figures/DE")).toMatchObject({ body: fresh });
    expect(await ask("/figures/DE")).toMatchObject({ body: { ...fresh, from: "cache" } });
    await cache.invalidate("figures:DE");
    expect(await ask("/figures/DE")).toMatchObject({ body: fresh });
  });

  test("of a country without cities do not exist, until it has one", async () => {
    const { ask } = await service();
    expect(await ask("/figures/LI")).toMatchObject({ status: 404 });
    await ask("/city/LI/1/Vaduz", "PUT", { ...city, name: "Vaduz", country: "LI" });
    expect(await ask("/figures/LI")).toMatchObject({ status: 200, body: { cities: 1 } });
  });
});
