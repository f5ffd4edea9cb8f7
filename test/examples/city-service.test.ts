import { afterEach, describe, expect, test } from "vitest";
import { cityRoutes } from "../../examples/city-service.js";
import { InternalError, OutcomeUnknownError } from "../../index.js";
import { clientWorld, type ClientWorld } from "../client-world.js";

const worlds: ClientWorld[] = [];

/** The service's answers over a client in memory. */
async function service() {
  const world = await clientWorld();
  worlds.push(world);
  const validator = { "~standard": { version: 1, vendor: "test", validate: (value: unknown) => checked(value) } } as const;
  const { client, transport } = await world.open("a", { waitTimeoutMs: 2_000, schemas: { "city/*": validator } });
  const routes = cityRoutes("a", client as unknown as Parameters<typeof cityRoutes>[1]);
  const ask = async (path: string, method = "GET", body?: unknown) => {
    const init = body === undefined ? { method } : { method, body: typeof body === "string" ? body : JSON.stringify(body) };
    const response = await world.run(Promise.resolve(routes.request(path, init)));
    return { status: response.status, body: (await response.json()) as { readonly error?: { readonly code?: string } } };
  };
  return { ...world, client, transport, ask };
}

const checked = (value: unknown) =>
  typeof value === "object" && value !== null && "name" in value ? { value: value as never } : { issues: [{ message: "has no name" }] };

afterEach(() => {
  for (const each of worlds.splice(0)) each.end();
});

const city = { name: "Jena", country: "DE", admin1: "15", latitude: 50.9, longitude: 11.6 };

describe("a service's answer", () => {
  test("is a city that was put, under a path of any letters", async () => {
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
    ["a limit that is no number", "/cities/DE?limit=many", "GET", undefined, undefined],
  ])("to %s is 400", async (_, path, method, body, code) => {
    const { ask } = await service();
    const answer = await ask(path, method, body);
    expect([answer.status, answer.body.error?.code]).toEqual([400, code]);
  });

  test("is 503 when another try may succeed, 500 when what became of a write is not known or a bug was met", async () => {
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
