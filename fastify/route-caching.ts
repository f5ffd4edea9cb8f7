import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { type Cache, cacheable } from "../cache.js";
import { checkNames, type Clock, definedOf, InvalidOptionError, systemClock } from "../core/index.js";
import { addFirstOnSend, cacheRoute, isCached } from "./app-hooks.js";
import type { CachedRouteDeps } from "./cached-route.js";
import { type RouteCaching, routeOptionNames, routeRules } from "./route-rules.js";

declare module "fastify" {
  interface FastifyContextConfig {
    /** How the responses of this route are cached. */
    readonly cache?: RouteCaching | boolean;
  }
}

/** Where pages are kept, and the defaults for all routes. */
export interface RouteCachingOptions extends RouteCaching {
  /** The cache that keeps the pages. Default: the cache of `configure`. */
  readonly cache?: Pick<Cache, "cacheable"> | undefined;
  /** Separates the pages of one app from those of another in the same cache. Default: `http`. */
  readonly namespace?: string | undefined;
  /** Name of this cache in the header field `Cache-Status` (RFC 9211). Default: the field is not sent. */
  readonly cacheStatus?: string | undefined;
  /** The clock that measures the age of pages. */
  readonly clock?: Clock | undefined;
}

/** Names of all options of the plug-in. */
const names: ReadonlySet<string> = new Set<string>([
  ...routeOptionNames,
  ...(["cache", "namespace", "cacheStatus", "clock"] as const satisfies readonly (keyof RouteCachingOptions)[]),
]);

/** Apps that registered the plug-in themselves, not only through a parent. */
const registered = new WeakSet<FastifyInstance>();

// Asynchronous, so that an error it throws is reported at once and not by a time-out.
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
    cacheRoute(this, route, { ...defaults, ...(own === true ? {} : definedOf(own)) }, deps);
  });
  // Routes that were added before this plug-in, because its registration was not awaited, run its request hooks but not
  // the `onRoute` hook above.
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
 * Caches the responses of routes that have `config: { cache: … }`, for all nodes of a cache. The handler runs inside a
 * computation: the page depends on the tags that `addDeps` adds in the handler, and on the cached functions that it
 * calls. Hooks run for each request, hit or not. Register the plug-in, and await it, before you add routes. Where
 * several apps around a route have registered it, the innermost one counts.
 */
export const routeCaching: FastifyPluginAsync<RouteCachingOptions> = Object.assign(register, {
  // The same property as the package fastify-plugin sets: the hooks belong to the app that registers the plug-in, not
  // to a scope of its own.
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "zooid",
  [Symbol.for("plugin-meta")]: { name: "zooid", fastify: "5.x" },
});

/** The options that are not undefined. */
