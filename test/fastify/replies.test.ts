import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { expect, test } from "vitest";
import { serve } from "./app.js";

test("a serializer that a hook sets is applied once, also to the response of an error handler", async () => {
  let isBroken = false;
  const { get } = await serve((app) => {
    app.addHook("preHandler", (_request, reply, next) => {
      reply.serializer((payload: unknown) => `<${JSON.stringify(payload)}>`);
      next();
    });
    app.addHook("onSend", async () => {
      if (!isBroken) return;
      isBroken = false;
      throw new Error("broken");
    });
    app.setErrorHandler(async (_error, _request, reply) => reply.code(500).send({ failed: true }));
    app.get("/typed", { config: { cache: true } }, (_request, reply) => reply.type("application/xml").send({ a: 1 }));
    app.get("/untyped", { config: { cache: true } }, () => ({ a: 1 }));
  });
  for (const path of ["/typed", "/untyped"]) {
    const [miss, hit] = [await get(path), await get(path)];
    expect(hit.headers["cache-status"]).toBe("zooid; hit");
    expect(hit.body).toBe('<{"a":1}>');
    expect(hit.headers["content-type"]).toBe(miss.headers["content-type"]);
  }
  isBroken = true;
  expect((await get("/typed")).body).toBe('<{"failed":true}>');
});

test("a response with trailers of the handler is not kept; trailers of hooks are sent with each page", async () => {
  let runs = 0;
  const { url } = await serve((app) => {
    app.addHook("onRequest", (_request, reply, next) => {
      reply.trailer("x-hook", (_reply, payload, done) => done(null, String(payload).length.toString()));
      next();
    });
    app.get("/plain", { config: { cache: true } }, () => `run ${++runs}`);
    app.get("/trailers", { config: { cache: true } }, (_request, reply) => {
      reply.trailer("x-sum", (_reply, _payload, done) => done(null, "7"));
      return `run ${++runs}`;
    });
  });
  const trailers = async (path: string) => {
    const [response] = (await once(request(url + path).end(), "response")) as [IncomingMessage];
    const body = (await response.toArray()).join("");
    return { body, ...response.trailers };
  };
  expect([await trailers("/plain"), await trailers("/plain")]).toEqual([
    { body: "run 1", "x-hook": "5" },
    { body: "run 1", "x-hook": "5" },
  ]);
  expect([await trailers("/trailers"), await trailers("/trailers")]).toEqual([
    { body: "run 2", "x-hook": "5", "x-sum": "7" },
    { body: "run 3", "x-hook": "5", "x-sum": "7" },
  ]);
});

test("routes that a constraint distinguishes by a regular expression have pages of their own", async () => {
  const tenant = {
    name: "tenant",
    storage: () => {
      const handlers: [RegExp, unknown][] = [];
      return {
        get: (value: string) => (handlers.find(([pattern]) => pattern.test(value))?.[1] ?? null) as never,
        set: (pattern: RegExp, handler: unknown) => void handlers.push([pattern, handler]),
      };
    },
    deriveConstraint: (request: { headers: Record<string, unknown> }) => request.headers["x-tenant"],
    mustMatchWhenDerived: true,
    validate: () => true,
  };
  const { get } = await serve(
    (app) => {
      for (const name of ["a", "b"]) app.get("/", { constraints: { tenant: new RegExp(`^${name}`) }, config: { cache: true } }, () => name);
    },
    { before: (app) => app.addConstraintStrategy(tenant as never) },
  );
  expect((await get("/", { "x-tenant": "a1" })).body).toBe("a");
  expect((await get("/", { "x-tenant": "b1" })).body).toBe("b");
});
