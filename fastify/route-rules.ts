import type { FastifyRequest, RouteOptions } from "fastify";
import type { Tags } from "../cache.js";
import { asDuration, checkNames, type Duration, InvalidOptionError, isWhole, limits } from "../core/index.js";
import { keptStatuses } from "./page.js";

/** How the responses of a route are cached. All options are optional; the options of the plug-in are the defaults. */
export interface RouteCaching {
  /** Time to live of pages. Default: `defaultTtl` of the cache. */
  readonly ttl?: Duration | undefined;
  /**
   * Tags that pages depend on, in addition to the tags that the handler adds with `addDeps`:
   * ``(request) => tag`cities:${request.params.id}` ``. If a tag is not valid, the request is answered uncached.
   */
  readonly tags?: Tags | ((request: FastifyRequest) => Tags) | undefined;
  /** Request headers by which pages differ; they are sent as `Vary`. Default: none. */
  readonly vary?: readonly string[] | undefined;
  /**
   * Query parameters by which pages differ: all, in their order (`asSent`); all, in any order (`sorted`); or the named
   * ones, in any order. Several values of one parameter keep their order. Default: if the route's schema refuses or
   * removes all other parameters (`additionalProperties: false`), the parameters of the schema, by their values as the
   * handler gets them, in any order; `asSent` elsewhere.
   */
  readonly query?: "asSent" | "sorted" | readonly string[] | undefined;
  /** Another value by which pages differ. With it, methods other than GET and HEAD are cached, too. */
  readonly key?: ((request: FastifyRequest) => unknown) | undefined;
  /**
   * The `Cache-Control` of pages whose handler sets none. Default: `max-age` of the time to live, or `no-cache` without
   * one.
   */
  readonly cacheControl?: string | undefined;
  /**
   * Whether requests with `Authorization` or `Cookie` bypass the cache, except where `vary` names the field (`bypass`),
   * or get the same page as all others (`ignore`). Default: `bypass`.
   */
  readonly credentials?: "bypass" | "ignore" | undefined;
  /** Whether a request's `Cache-Control` of `no-cache`, `no-store` and `max-age` counts. Default: `respect`. */
  readonly requestDirectives?: "respect" | "ignore" | undefined;
  /** Statuses that are kept. Default: 200, 203, 204, 300, 301, 308, 404, 410. */
  readonly statuses?: readonly number[] | undefined;
  /** Bodies larger than this are not kept. Default: `limits.pageBytesMax`. */
  readonly bodyBytesMax?: number | undefined;
  /**
   * Largest number of pages of one route kept at one node; the least recently used are removed first. Default:
   * `limits.routePagesMax`.
   */
  readonly maxEntries?: number | undefined;
  /** Largest total size in bytes of the pages of one route kept at one node. Default: `limits.routePagesBytesMax`. */
  readonly maxBytes?: number | undefined;
}

/** The query parameters that are part of the key: all, the named ones, or the named ones with their parsed values. */
export type QueryRule = "asSent" | "sorted" | ReadonlySet<string> | { readonly parsed: readonly string[] };

/** The checked options, with defaults. */
export type RouteRules = ReturnType<typeof routeRules>;

/** Names of all options of a route. Other names are refused. */
export const routeOptionNames: ReadonlySet<string> = new Set<keyof RouteCaching>([
  "ttl",
  "tags",
  "vary",
  "query",
  "key",
  "cacheControl",
  "credentials",
  "requestDirectives",
  "statuses",
  "bodyBytesMax",
  "maxEntries",
  "maxBytes",
]);

/** Checks the options of `route`. Throws InvalidOptionError, which names the option. */
export function routeRules(options: RouteCaching, route?: RouteOptions) {
  checkNames(options, routeOptionNames);
  const { ttl, tags, key, query, credentials = "bypass", requestDirectives = "respect" } = options;
  const { bodyBytesMax = limits.pageBytesMax, maxEntries = limits.routePagesMax, maxBytes = limits.routePagesBytesMax } = options;
  choice("credentials", credentials, ["bypass", "ignore"]);
  choice("requestDirectives", requestDirectives, ["respect", "ignore"]);
  if (typeof query === "string") choice("query", query, ["asSent", "sorted"]);
  for (const [option, value] of Object.entries({ bodyBytesMax, maxEntries, maxBytes })) {
    if (!isWhole(value)) throw new InvalidOptionError({ option, reason: "is not a whole number from 0" });
  }
  if (options.cacheControl !== undefined && !/^[\t\x20-\x7e]+$/.test(options.cacheControl))
    throw new InvalidOptionError({ option: "cacheControl", reason: "is no value of a header field" });
  if (key !== undefined && typeof key !== "function") throw new InvalidOptionError({ option: "key", reason: "is not a function" });
  for (const option of ["vary", "statuses"] as const) {
    if (options[option] !== undefined && !Array.isArray(options[option])) throw new InvalidOptionError({ option, reason: "is not a list" });
  }
  const vary: ReadonlySet<string> = new Set((options.vary ?? []).map((name) => fieldName(name).toLowerCase()));
  const statuses = new Set(options.statuses ?? keptStatuses);
  for (const status of statuses) {
    if (!(Number.isSafeInteger(status) && status >= 200 && status <= 599))
      throw new InvalidOptionError({ option: "statuses", reason: "holds a value that is not a status from 200 to 599" });
  }
  return {
    ttl,
    tags,
    vary,
    query: queryRuleOf(query, route),
    key,
    cacheControl: options.cacheControl ?? cacheControlOf(ttl, vary),
    credentials,
    requestDirectives,
    statuses,
    bodyBytesMax,
    maxEntries,
    maxBytes,
  };
}

/** Milliseconds of a page's time to live, Infinity for one without a bound. Throws InvalidOptionError. */
export function ttlMsOf(ttl: Duration): number {
  return asDuration(ttl, "ttl", { unit: "s", isEndlessAllowed: true });
}

/** A page that differs by person must not be kept by shared caches. */
function cacheControlOf(ttl: Duration | undefined, vary: ReadonlySet<string>): string {
  const lifetimeSecs = ttl === undefined ? Infinity : Math.floor(ttlMsOf(ttl) / 1_000);
  // Without a bound a page is fresh until a tag is invalidated here. Caches elsewhere do not receive invalidations.
  const lifetime = lifetimeSecs === Infinity ? "no-cache" : `max-age=${lifetimeSecs}`;
  return vary.has("authorization") || vary.has("cookie") ? `private, ${lifetime}` : lifetime;
}

/**
 * A schema that allows no other parameters leaves the handler with the ones that it names: only they can make a
 * difference. With `attachValidation` the handler also gets parameters that the schema refuses.
 */
function queryRuleOf(given: RouteCaching["query"], route: RouteOptions | undefined): QueryRule {
  if (given !== undefined) return typeof given === "string" ? given : new Set(given);
  if (route === undefined || route.attachValidation === true) return "asSent";
  const { querystring, query = querystring } = (route.schema ?? {}) as { readonly querystring?: unknown; readonly query?: unknown };
  if (typeof query !== "object" || query === null) return "asSent";
  const { properties, additionalProperties, patternProperties, $ref } = query as Readonly<Record<string, unknown>>;
  const isStrict = additionalProperties === false && patternProperties === undefined && $ref === undefined;
  return isStrict && typeof properties === "object" && properties !== null ? { parsed: Object.keys(properties).toSorted() } : "asSent";
}

function choice(option: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw new InvalidOptionError({ option, reason: `is not one of ${allowed.join(", ")}` });
}

function fieldName(name: string): string {
  if (/^[\w!#$%&'*+.^`|~-]+$/.test(name) && name !== "*") return name;
  throw new InvalidOptionError({ option: "vary", reason: `holds ${JSON.stringify(name)}, which is no name of a header field` });
}
