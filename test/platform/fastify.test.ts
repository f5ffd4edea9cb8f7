import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { expect, test } from "vitest";

interface Sent {
  readonly payload: unknown;
  readonly type: unknown;
  readonly status: number;
}

/** The response to `/` as the first `onSend` hook of an app sees it. */
async function firstSeen(add: (app: FastifyInstance) => void) {
  const app = fastify();
  const seen: Sent[] = [];
  app.addHook("onSend", (_, reply, payload, next) => {
    seen.push({ payload, type: reply.getHeader("content-type"), status: reply.statusCode });
    next(null, payload);
  });
  add(app);
  const response = await app.inject({ url: "/" });
  await app.close();
  return { ...(seen[0] ?? expect.fail("nothing was sent")), response };
}

const valueAt = (of: object, description: string): unknown => {
  for (const symbol of Object.getOwnPropertySymbols(of)) if (symbol.description === description) return Reflect.get(of, symbol);
  return undefined;
};

test("an app's hooks are lists by name under the symbol fastify.hooks, and a hook that is put first runs first", async () => {
  const app = fastify();
  const order: string[] = [];
  const hook = (name: string) => (_request: unknown, _reply: unknown, payload: unknown, next: (error: null, payload: unknown) => void) => {
    order.push(name);
    next(null, payload);
  };
  app.addHook("onSend", hook("added first"));
  const { onSend } = valueAt(app, "fastify.hooks") as { readonly onSend: unknown[] };
  onSend.unshift(hook("put in front"));
  app.get("/", { onSend: hook("of the route") }, () => "x");
  await app.inject({ url: "/" });
  await app.close();
  expect(order).toEqual(["put in front", "added first", "of the route"]);
});

test("a reply's own serializer and its trailers stand under symbols of the reply", async () => {
  let found: unknown[] = [];
  const serializer = (payload: unknown) => JSON.stringify(payload);
  const find = (reply: FastifyReply) => [valueAt(reply, "fastify.reply.serializer"), valueAt(reply, "fastify.reply.trailers")];
  await firstSeen((app) =>
    app.get("/", (_, reply) => {
      const before = find(reply);
      reply.serializer(serializer).trailer("x", (_reply, _payload, done) => done(null, "y"));
      const [own, trailers] = find(reply);
      found = [...before, own, Object.keys(trailers as object)];
      return { a: 1 };
    }),
  );
  expect(found).toEqual([null, null, serializer, ["x"]]);
});

test("a string or an object has the content type that Fastify gives it before the first onSend hook", async () => {
  expect(await firstSeen((app) => app.get("/", () => "x"))).toMatchObject({ payload: "x", type: "text/plain; charset=utf-8" });
  expect(await firstSeen((app) => app.get("/", () => ({ a: 1 })))).toMatchObject({
    payload: `{"a":1}`,
    type: "application/json; charset=utf-8",
  });
});

test("a Response reaches the onSend hooks whole: its status and header fields are taken after them", async () => {
  const { payload, type, status, response } = await firstSeen((app) => app.get("/", () => new Response("x", { status: 201 })));
  expect(payload).toBeInstanceOf(Response);
  expect({ type, status }).toEqual({ type: undefined, status: 200 });
  expect(response.statusCode).toBe(201);
});

test("bytes that are not a Buffer become a Buffer over the same memory", async () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const { payload } = await firstSeen((app) => app.get("/", () => bytes));
  expect(payload).toBeInstanceOf(Buffer);
  expect((payload as Buffer).buffer).toBe(bytes.buffer);
});

test("a serializer of the reply is called for a string too, once a content type is set, and never for bytes", async () => {
  const bodyOf = async (type: string | undefined, given: unknown) => {
    const { response } = await firstSeen((app) =>
      app.get("/", (_, reply) => {
        if (type !== undefined) void reply.type(type);
        return reply.serializer(() => "serialized").send(given);
      }),
    );
    return response.body;
  };
  expect([await bodyOf(undefined, "x"), await bodyOf("text/plain", "x"), await bodyOf("text/plain", Buffer.from("x"))]).toEqual([
    "x",
    "serialized",
    "x",
  ]);
});

test("onRoute hooks of later plug-ins see a route before `after` continues, and hooks that are added to it then are run", async () => {
  const app = fastify();
  const order: string[] = [];
  app.addHook("onRoute", (route) => {
    app.after(() => {
      route.onSend = [route.onSend ?? []].flat().concat((_request, _reply, payload, next) => {
        order.push("put on after");
        next(null, payload);
      });
    });
  });
  app.addHook("onRoute", (route) => {
    route.onSend = (_request, _reply, payload, next) => {
      order.push("of a later plug-in");
      next(null, payload);
    };
  });
  await app.register((inner, _, done) => {
    inner.get("/", () => "x");
    done();
  });
  await app.inject({ url: "/" });
  await app.close();
  expect(order).toEqual(["of a later plug-in", "put on after"]);
});
