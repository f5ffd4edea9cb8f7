import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, RouteOptions } from "fastify";
import { type Cache, cacheable } from "../cache.js";
import { type Clock, InvalidOptionError, systemClock } from "../words/index.js";
import { CachedRoute, type CachedRouteAround } from "./cached-route.js";
import { type RouteCaching, routeRules } from "./route-rules.js";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The answers of this route are kept. */
    readonly cache?: RouteCaching | boolean;
  }
}

/** Where answers are kept, and how those of routes are that say nothing else. */
export interface RouteCachingOptions extends RouteCaching {
  /** Default: the one of `configure`. */
  readonly cache?: Pick<Cache, "cacheable"> | undefined;
  /** Tells the pages of one app from those of another in the same cache. Default: `http`. */
  readonly namespace?: string | undefined;
  /** Name of this cache in the field `Cache-Status` (RFC 9211). Default: there is no such field. */
  readonly cacheStatus?: string | undefined;
  /** Ages of pages are counted on it. */
  readonly clock?: Clock | undefined;
}

// Asynchronous, so that what it throws is told at once and not by a time-out.
const register: FastifyPluginAsync<RouteCachingOptions> = async (app, options) => {
  const { cache, namespace = "http", cacheStatus, clock = systemClock, ...defaults } = options;
  routeRules(defaults);
  if (cacheStatus !== undefined && !/^[A-Za-z*][\w!#$%&'*+.^`|~:/-]*$/.test(cacheStatus))
    throw new InvalidOptionError({ option: "cacheStatus", reason: "is not a token that begins with a letter" });
  const runs: CachedRouteAround["runs"] = new WeakMap();
  const around = { cacheable: cache?.cacheable ?? cacheable, namespace, cacheStatus, clock, runs };
  // The first hook that sees a response: as it left the handler, if no plug-in before this one changes it.
  app.addHook("onSend", (_request, reply, payload, next) => {
    runs.get(reply)?.responded(payload);
    next();
  });
  const seen = new Set<string>();
  app.addHook("onRoute", (route) => {
    const own = route.config?.cache;
    if (own === undefined || own === false) return;
    cacheRoute(route, { ...defaults, ...(own === true ? {} : given(own)) }, around);
    seen.add(route.url);
  });
  // Routes that were there before this plug-in, because nobody awaited it, have its hooks for requests and not the one above.
  app.addHook("onRequest", (request, _reply, next) => {
    const { url, config } = request.routeOptions;
    if (url !== undefined && config.cache !== undefined && config.cache !== false && !seen.has(url)) {
      seen.add(url);
      request.log.warn({ url }, "a route was there before routeCaching, and is not cached: await its registration");
    }
    next();
  });
};

/**
 * Caches the answers of routes that have `config: { cache: … }`, for all nodes of a cache. The handler runs inside a computation, so that
 * `addDeps` in it, and the cached functions that it calls, say what the page depends on. Hooks run for each request, hit or not.
 * To be registered, and awaited, before the routes, and before plug-ins whose `onSend` hooks change what is sent.
 */
export const routeCaching: FastifyPluginAsync<RouteCachingOptions> = Object.assign(register, {
  // What the package fastify-plugin sets: the hooks are those of the app that registers it, not of a scope of its own.
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "zooid",
  [Symbol.for("plugin-meta")]: { name: "zooid", fastify: "5.x" },
});

function cacheRoute(route: RouteOptions, caching: RouteCaching, around: CachedRouteAround): void {
  const cached = new CachedRoute(route, routeRules(caching), around);
  route.handler = function (this: FastifyInstance, request, reply) {
    return cached.handle(this, request, reply);
  };
  const onSend = (request: FastifyRequest, reply: FastifyReply, payload: unknown, next: (error: null, payload: unknown) => void): void => {
    next(null, cached.sending(request, reply, payload));
  };
  const onError = (_request: FastifyRequest, reply: FastifyReply, error: Error, next: () => void): void => {
    around.runs.get(reply)?.fail(error);
    next();
  };
  route.onSend = [...listOf(route.onSend), onSend];
  route.onError = [...listOf(route.onError), onError];
}

function listOf<T>(given: T | readonly T[] | undefined): readonly T[] {
  if (given === undefined) return [];
  return Array.isArray(given) ? (given as readonly T[]) : [given as T];
}

/** The options that are not left undefined. */
function given(options: RouteCaching): RouteCaching {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
