import { Readable } from "node:stream";
import compress from "@fastify/compress";
import cors from "@fastify/cors";
import etag from "@fastify/etag";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Cache } from "../../cache.js";
import { type RouteCaching, routeCaching } from "../../fastify.js";
import type { Random } from "../../core/index.js";

/** Adds hooks to an app that read requests or change responses. Each effect depends on its own request alone. */
export type Hook = (app: FastifyInstance) => unknown;

const languageOf = ({ headers }: FastifyRequest): string => (headers["accept-language"] === "fr" ? "fr" : "en");
const userOf = ({ headers }: FastifyRequest): string | undefined => headers["x-user"] as string | undefined;

/** Adds a name to `Vary`, and keeps the names that are there, as correct hooks do. */
function vary(reply: FastifyReply, name: string): void {
  const before = reply.getHeader("vary");
  reply.header("vary", before === undefined ? name : `${String(before)}, ${name}`);
}

/** Hooks that declare in the response what it depends on, so that handlers may depend on it. */
const declaring = {
  language: [
    (app) => app.addHook("onRequest", async (_request, reply) => vary(reply, "Accept-Language")),
    (app) => app.addHook("preHandler", async (_request, reply) => vary(reply, "Accept-Language")),
    (app) => app.addHook("onSend", async (_request, reply) => vary(reply, "Accept-Language")),
    (app) =>
      app.addHook("onRequest", async (_request, reply) => {
        // Fastify does not send a field of the raw response when the reply has a field of the same name.
        if (reply.hasHeader("vary")) vary(reply, "accept-language");
        else reply.raw.setHeader("Vary", "accept-language, accept");
      }),
  ],
  user: [
    (app) => app.addHook("onRequest", async (_request, reply) => vary(reply, "X-User")),
    (app) =>
      app.addHook("onRequest", async (request, reply) => {
        if (userOf(request) !== undefined) reply.header("cache-control", "private, max-age=9");
      }),
    (app) =>
      app.addHook("preHandler", async (request, reply) => {
        if (userOf(request) !== undefined) reply.header("set-cookie", `user=${userOf(request)}`);
      }),
    (app) => app.addHook("onSend", async (_request, reply) => void reply.header("cache-control", "no-store")),
    (app) => app.addHook("onSend", async (_request, reply) => vary(reply, "X-User")),
  ],
} satisfies Record<string, readonly Hook[]>;

/** At most one of these is chosen: such plug-ins refuse to be registered twice. */
const origins: readonly Hook[] = [
  (app) => app.register(cors, { origin: [/one/, "http://two.example"], credentials: true }),
  (app) => app.register(cors, { origin: true, hook: "preHandler" }),
];
const codings: readonly Hook[] = [
  (app) => app.register(compress, { threshold: 0 }),
  (app) => app.register(compress, { threshold: 0, syncThreshold: 0 }),
  (app) => app.register(compress, { threshold: 12 }),
];
const others: readonly Hook[] = [
  (app) => app.register(etag),
  (app) =>
    app.addHook("onSend", async (request, reply, payload) => {
      if (typeof payload !== "string") return payload;
      vary(reply, "accept-language");
      return payload.replaceAll("Hello", languageOf(request) === "fr" ? "Salut" : "Howdy");
    }),
  (app) =>
    app.addHook("onSend", async (request, reply, payload) => {
      reply.header("x-seen", `${request.method} ${String(reply.getHeader("content-type"))}`);
      return typeof payload === "string" ? `${payload}!` : payload;
    }),
  (app) =>
    app.addHook("onSend", async (_request, reply, payload) => {
      if (typeof payload !== "string") return payload;
      reply.removeHeader("content-length");
      return Readable.from([payload.toUpperCase()]);
    }),
  (app) =>
    app.addHook("onRequest", async (request, reply) => {
      reply.header("x-hook", "set").header("x-language", languageOf(request));
      if (request.headers["x-denied"] !== undefined) return reply.code(403).send("denied");
    }),
  (app) =>
    app.addHook("onSend", async (request) => {
      if (request.headers["x-failing"] !== undefined) throw new Error("the hook failed");
    }),
  (app) => app.setErrorHandler((error, _request, reply) => reply.code(418).send({ failed: (error as Error).message })),
  (app) =>
    app.addHook("onRoute", (route) => {
      const list = route.onSend === undefined ? [] : Array.isArray(route.onSend) ? route.onSend : [route.onSend];
      route.onSend = [...list, (_request, _reply, payload, done) => done(null, typeof payload === "string" ? `<${payload}>` : payload)];
    }),
];

/** All that handlers may depend on beside the path and the query: the headers that hooks of this world declare. */
interface World {
  readonly isLanguageDeclared: boolean;
  readonly isUserDeclared: boolean;
}

type Handler = (request: FastifyRequest, reply: FastifyReply, text: string) => unknown;

const handlers: Record<string, Handler> = {
  text: (_request, _reply, text) => text,
  object: async (_request, _reply, text) => ({ text }),
  bytes: (_request, reply, text) => reply.send(Buffer.from(text)),
  later: (_request, reply, text) => {
    setImmediate(() => void reply.type("text/html").send(text));
  },
  nothing: (_request, reply) => reply.code(204).send(),
  moved: (_request, reply, text) => reply.redirect(`/${encodeURIComponent(text)}`, 301),
  absent: (_request, reply, text) => reply.code(404).send(text),
  failing: (_request, _reply, text) => {
    throw new Error(text);
  },
  stream: (_request, reply, text) => reply.type("text/plain").send(Readable.from([text])),
  tagged: (_request, reply, text) => reply.header("etag", `"own-${Buffer.from(text).toString("hex")}"`).send(text),
  brief: (_request, reply, text) => {
    // A handler must not make a response public that a hook has made private.
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "public, max-age=60");
    return reply.removeHeader("x-hook").send(text);
  },
  cookie: (_request, reply, text) => reply.header("set-cookie", "a=1").send(text),
  varying: (request, reply, text) => {
    vary(reply, "Accept-Language");
    return reply.send(`${text} in ${languageOf(request)}`);
  },
};

export const paths = Object.keys(handlers);

/**
 * One app in two forms, with its cache and without. Both have the same hooks, in the same order, in the same scopes.
 */
export interface Pair {
  readonly cached: FastifyInstance;
  readonly plain: FastifyInstance;
  readonly what: string;
}

export async function pairOf(random: Random, cache: Cache): Promise<Pair> {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.fraction() * list.length)] as T;
  const isChosen = (oneIn: number): boolean => random.fraction() * oneIn < 1;
  const routeOptions: RouteCaching = pick([{}, { vary: ["accept-language"] }, { query: "sorted" }, { ttl: "1m" }]);
  const languageHook = isChosen(2) ? pick(declaring.language) : undefined;
  const userHook = isChosen(2) ? pick(declaring.user) : undefined;
  const perhaps = [origins, codings, others, others].map((list) => (isChosen(3) ? pick(list) : undefined));
  const hooks = [...new Set([languageHook, userHook, ...perhaps].filter((hook) => hook !== undefined))];
  const placed = hooks.map((hook) => ({ hook, at: pick(["before", "before", "app", "scope"] as const), order: random.fraction() }));
  placed.sort((one, other) => one.order - other.order);
  const world: World = {
    isLanguageDeclared: languageHook !== undefined || routeOptions.vary !== undefined,
    isUserDeclared: userHook !== undefined,
  };
  const where = pick(["app", "app", "scope", "both"] as const);
  const make = async (isCached: boolean): Promise<FastifyInstance> => {
    const app = Fastify();
    const addHooks = async (to: FastifyInstance, at: string): Promise<void> => {
      for (const { hook } of placed.filter((one) => one.at === at)) await hook(to);
    };
    const addCache = async (to: FastifyInstance, ttl: string): Promise<void> => {
      if (isCached) await to.register(routeCaching, { cache, ttl, cacheStatus: "zooid", namespace: "differential" });
    };
    await addHooks(app, "before");
    if (where !== "scope") await addCache(app, "1h");
    await addHooks(app, "app");
    await app.register(async (scope) => {
      if (where !== "app") await addCache(scope, "2h");
      await addHooks(scope, "scope");
      for (const [name, handler] of Object.entries(handlers)) {
        scope.get(`/${name}/:id`, { config: { cache: routeOptions } }, (request, reply) => {
          const { id } = request.params as { readonly id: string };
          const language = world.isLanguageDeclared ? languageOf(request) : "";
          const user = world.isUserDeclared ? (userOf(request) ?? "no user") : "";
          return handler(request, reply, `Hello ${id} ${language} ${user} ${JSON.stringify((request.query as { page?: string }).page)}`);
        });
      }
    });
    await app.ready();
    return app;
  };
  const what = JSON.stringify(
    { where, routeOptions, hooks: placed.map(({ hook, at }) => `${at}: ${String(hook).replaceAll(/\s+/g, " ")}`) },
    null,
    1,
  );
  return { cached: await make(true), plain: await make(false), what };
}
