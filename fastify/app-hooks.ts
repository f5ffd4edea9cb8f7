import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod, RouteOptions } from "fastify";
import { CachedRoute, type CachedRouteDeps } from "./cached-route.js";
import { hooksOf } from "./fastify-internals.js";
import { type RouteCaching, routeRules } from "./route-rules.js";

type OnSend = (request: FastifyRequest, reply: FastifyReply, payload: unknown, next: (error: null, payload: unknown) => void) => void;

/** The handler of each route before it was cached, by the handler that replaced it. */
const handlers = new WeakMap<RouteHandlerMethod, RouteHandlerMethod>();

/** A key in the `config` of each cached route. */
const cachedMark = Symbol("zooid.cached");

/** Whether the route with this `config` is cached. */
export function isCached(config: object): boolean {
  return cachedMark in config;
}

/**
 * Adds `hook` before the `onSend` hooks that the app already has. Those hooks run for each request, hit or not, and
 * their changes to one response are not kept for other requests.
 */
export function addFirstOnSend(app: FastifyInstance, hook: OnSend): void {
  const hooks = hooksOf(app, "onSend");
  if (hooks !== undefined) hooks.unshift(hook);
  else app.addHook("onSend", hook);
}

/**
 * Puts the cache between Fastify and the handler of a route, and looks at the response after all hooks of the route.
 */
export function cacheRoute(app: FastifyInstance, route: RouteOptions, caching: RouteCaching, deps: CachedRouteDeps): void {
  // A parent app may have cached this route already. Its cache is replaced.
  const handler = handlers.get(route.handler) ?? route.handler;
  const cached = new CachedRoute({ ...route, handler }, routeRules(caching, route), deps);
  const handle: RouteHandlerMethod = function (this: FastifyInstance, request, reply) {
    return cached.handle(this, request, reply);
  };
  handlers.set(handle, handler);
  route.handler = handle;
  route.config = Object.assign({}, route.config, { [cachedMark]: true });
  // Later `onRoute` hooks may add hooks to this route. Fastify reads them after all plug-ins are loaded; this runs
  // before that.
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
