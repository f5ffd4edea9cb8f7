import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { routeCaching } from "../../fastify.js";
import Fastify, { type FastifyInstance } from "fastify";
import { describe, expect, onTestFinished, test } from "vitest";
import { objectWorld } from "../actors/cache/objects/object-world.js";
import { type Gate, gate } from "../actors/cache/open.js";
import { serve } from "./app.js";

/** The application's own context: the user of the request. */
const users = new AsyncLocalStorage<string>();

/** Sets the context as plug-ins for request contexts do. */
function rememberUsers(app: FastifyInstance): void {
  app.addHook("onRequest", (request, _reply, next) => {
    users.run(String(request.headers["user"]), next);
  });
}

/** A page whose runs begin and end when the test says so. */
async function pageOfUsers() {
  const begun: Gate<void>[] = [gate(), gate()];
  const held: Gate<void>[] = [gate(), gate()];
  let runs = 0;
  const served = await serve(
    (app) => {
      app.get("/", { config: { cache: { tags: ["page"] } } }, async (request) => {
        const run = runs++;
        begun[run]?.open();
        await held[run]?.promise;
        if (request.raw.destroyed) throw new Error("the client is gone");
        return `for ${String(users.getStore())}`;
      });
    },
    { before: rememberUsers },
  );
  const arrived = () => once(served.app.server, "request").then(() => new Promise(setImmediate));
  return { ...served, begun, held, arrived };
}

describe("a handler runs in the context of the request that it answers", () => {
  test("that came after an invalidation, while a handler ran for another request", async () => {
    const { get, cache, begun, held, arrived } = await pageOfUsers();
    const a = get("/", { user: "A" });
    await begun[0]?.promise;
    await cache.invalidate("page");
    const arrives = arrived();
    const b = get("/", { user: "B" });
    await arrives;
    for (const { open } of held) open();
    expect([(await a).body, (await b).body]).toEqual(["for A", "for B"]);
  });

  test("that waited for a handler that failed when its client left", async () => {
    const { get, url, app, begun, held, arrived } = await pageOfUsers();
    const gone = gate();
    app.server.once("request", (request) => request.once("close", () => gone.open()));
    const a = httpRequest(url, { agent: false, headers: { user: "A" } }).on("error", () => undefined);
    a.end();
    await begun[0]?.promise;
    const arrives = arrived();
    const b = get("/", { user: "B" });
    await arrives;
    a.destroy();
    await gone.promise;
    for (const { open } of held) open();
    expect((await b).body).toBe("for B");
  });
});

test("a GET after the answer of a PUT gets the new page, even while an older run of its handler continues", async () => {
  const { cache, reader, run, put, clock } = await objectWorld();
  await put("k", "old");
  const held = gate();
  const begun = gate();
  let runs = 0;
  const app = Fastify();
  onTestFinished(() => app.close());
  await app.register(routeCaching, { cache, clock });
  app.get("/", { config: { cache: true } }, async () => {
    const until = runs++ === 0 ? held.promise : undefined;
    const { value } = await reader.read(async (picture) => {
      begun.open();
      await until;
      return picture.get("k");
    });
    return value;
  });
  app.put("/", async () => {
    await run(reader.put("k", "new"));
    return "done";
  });
  const early = app.inject({ url: "/" });
  await begun.promise;
  expect((await app.inject({ method: "PUT", url: "/" })).body).toBe("done");
  const late = app.inject({ url: "/" });
  await clock.advance(0);
  held.open();
  expect([(await run(early)).body, (await run(late)).body]).toEqual(["old", "new"]);
});
