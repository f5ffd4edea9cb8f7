import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod, RouteOptions } from "fastify";
import { CachedRoute, type CachedRouteDeps } from "./cached-route.js";
import { hooksOf } from "./fastify-internals.js";
import { type RouteCaching, routeRules } from "./route-rules.js";

type OnSend = (request: FastifyRequest, reply: FastifyReply, payload: unknown, next: (error: null, payload: unknown) => void) => void;

/** Handlers of routes without the cache, by those that stand in their place. */
const handlers = new WeakMap<RouteHandlerMethod, RouteHandlerMethod>();

/** In the `config` of routes that are cached. */
const cachedMark = Symbol("zooid.cached");

/** The route with this `config` is cached. */
export function isCached(config: object): boolean {
  return cachedMark in config;
}

/**
 * `hook` sees each response before the `onSend` hooks that were there already do: they run for each request, hit or not, and what they make
 * of one response is not kept for others.
 */
export function addFirstOnSend(app: FastifyInstance, hook: OnSend): void {
  const hooks = hooksOf(app, "onSend");
  if (hooks !== undefined) hooks.unshift(hook);
  else app.addHook("onSend", hook);
}

/** Puts the cache between Fastify and the handler of a route, and looks at what is sent after all hooks of the route. */
export function cacheRoute(app: FastifyInstance, route: RouteOptions, caching: RouteCaching, deps: CachedRouteDeps): void {
  // The app around this one has done so before: its cache does not count.
  const handler = handlers.get(route.handler) ?? route.handler;
  const cached = new CachedRoute({ ...route, handler }, routeRules(caching, route), deps);
  const handle: RouteHandlerMethod = function (this: FastifyInstance, request, reply) {
    return cached.handle(this, request, reply);
  };
  handlers.set(handle, handler);
  route.handler = handle;
  route.config = Object.assign({}, route.config, { [cachedMark]: true });
  // Later hooks for routes may add hooks to this one. Fastify takes them when all plug-ins are loaded, and this runs before.
  app.after(() => {
    if (route.handler === handle) watch(route, cached, deps);
  });
}

function watch(route: RouteOptions, cached: CachedRoute, { outgoing }: CachedRouteDeps): void {
  const look: OnSend = (_request, reply, payload, next) => {
    outgoing.get(reply)?.passes(reply, payload);
    next(null, payload);
  };
  const last: OnSend = (request, reply, payload, next) => {
    next(null, cached.sending(request, reply, payload));
  };
  route.onSend = [...listOf(route.onSend).flatMap((hook) => [look, hook]), last];
  const onError = (_request: FastifyRequest, reply: FastifyReply, error: Error, next: () => void): void => {
    const run = outgoing.get(reply)?.run;
    if (run === undefined) outgoing.delete(reply);
    else run.fail(error);
    next();
  };
  route.onError = [...listOf(route.onError), onError];
}

function listOf<T>(given: T | readonly T[] | undefined): readonly T[] {
  if (given === undefined) return [];
  return Array.isArray(given) ? (given as readonly T[]) : [given as T];
}
