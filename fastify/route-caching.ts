import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { type Cache, cacheable } from "../cache.js";
import { type Clock, InvalidOptionError, systemClock } from "../core/index.js";
import { addFirstOnSend, cacheRoute, isCached } from "./app-hooks.js";
import type { CachedRouteDeps } from "./cached-route.js";
import { checkNames } from "../core/options.js";
import { type RouteCaching, routeOptionNames, routeRules } from "./route-rules.js";

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

/** Names of all options of the plug-in. */
const names: ReadonlySet<string> = new Set<string>([
  ...routeOptionNames,
  ...(["cache", "namespace", "cacheStatus", "clock"] as const satisfies readonly (keyof RouteCachingOptions)[]),
]);

/** Apps that have it themselves, not only by a parent. */
const registered = new WeakSet<FastifyInstance>();

// Asynchronous, so that what it throws is told at once and not by a time-out.
const register: FastifyPluginAsync<RouteCachingOptions> = async (app, options) => {
  checkNames(options, names);
  const { cache, namespace = "http", cacheStatus, clock = systemClock, ...defaults } = options;
  routeRules(defaults);
  if (cacheStatus !== undefined && !/^[A-Za-z*][\w!#$%&'*+.^`|~:/-]*$/.test(cacheStatus))
    throw new InvalidOptionError({ option: "cacheStatus", reason: "is not a token that begins with a letter" });
  if (registered.has(app)) throw new InvalidOptionError({ option: "routeCaching", reason: "is registered in this app already" });
  registered.add(app);
  const outgoing: CachedRouteDeps["outgoing"] = new WeakMap();
  const deps = { cacheable: cache?.cacheable ?? cacheable, namespace, cacheStatus, clock, outgoing };
  addFirstOnSend(app, (_request, reply, payload, next) => {
    outgoing.get(reply)?.responded(reply, payload);
    next(null, payload);
  });
  app.addHook("onRoute", function (this: FastifyInstance, route) {
    const own = route.config?.cache;
    if (own === undefined || own === false) return;
    cacheRoute(this, route, { ...defaults, ...(own === true ? {} : given(own)) }, deps);
  });
  // Routes that were there before this plug-in, because its registration was not awaited, have its hooks for requests and not the one above.
  const warned = new Set<string>();
  app.addHook("onRequest", (request, _reply, next) => {
    const { url, config } = request.routeOptions;
    if (url !== undefined && config.cache !== undefined && config.cache !== false && !isCached(config) && !warned.has(url)) {
      warned.add(url);
      request.log.warn({ url }, "a route was there before routeCaching, and is not cached: await its registration");
    }
    next();
  });
};

/**
 * Caches the answers of routes that have `config: { cache: … }`, for all nodes of a cache. The handler runs inside a computation, so that
 * `addDeps` in it, and the cached functions that it calls, say what the page depends on. Hooks run for each request, hit or not.
 * To be registered, and awaited, before the routes. Where several apps around a route have registered it, the innermost one counts.
 */
export const routeCaching: FastifyPluginAsync<RouteCachingOptions> = Object.assign(register, {
  // What the package fastify-plugin sets: the hooks are those of the app that registers it, not of a scope of its own.
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "zooid",
  [Symbol.for("plugin-meta")]: { name: "zooid", fastify: "5.x" },
});

/** The options that are not left undefined. */
function given(options: RouteCaching): RouteCaching {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
