import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { cacheDirectives, directiveSecs } from "./http-fields.js";
import type { RouteRules } from "./route-rules.js";

/** What a request asks of the cache. */
export interface Asked {
  /** What tells its page from those of other requests. */
  readonly key: string | readonly unknown[];
  /** It takes no page that is older, in seconds; undefined: any. */
  readonly maxAgeSecs: number | undefined;
}

/** undefined: the request passes the cache by, and what is answered is not kept. */
export function askedBy(request: FastifyRequest, rules: RouteRules): Asked | undefined {
  const { method, headers } = request;
  if (method !== "GET" && method !== "HEAD" && rules.key === undefined) return undefined;
  if (headers["range"] !== undefined) return undefined;
  if (rules.credentials === "bypass" && hasUnchosenCredentials(request, rules)) return undefined;
  let maxAgeSecs: number | undefined;
  if (rules.requestDirectives === "respect") {
    const directives = cacheDirectives(headers["cache-control"] ?? (headers["pragma"] === "no-cache" ? "no-cache" : undefined));
    if (directives.has("no-store")) return undefined;
    maxAgeSecs = directives.has("no-cache") ? -1 : directiveSecs(directives, "max-age");
  }
  return { key: keyOf(request, rules), maxAgeSecs };
}

/** Credentials by which pages are told apart are part of the key; others may mean that this answer is for one person. */
function hasUnchosenCredentials({ headers }: FastifyRequest, { vary }: RouteRules): boolean {
  return ["authorization", "cookie"].some((name) => headers[name] !== undefined && !vary.has(name));
}

function keyOf(request: FastifyRequest, rules: RouteRules): Asked["key"] {
  const { method, protocol, host, url } = request;
  const where = `${method} ${protocol}://${host.toLowerCase()}${normalized(url, rules.query)}`;
  const text = rules.vary.size === 0 ? where : `${where} ${fingerprint(request, rules.vary)}`;
  return rules.key === undefined ? text : [text, rules.key(request)];
}

/** Values of the chosen fields, as a hash: keys are shown to people, and tokens are not for them. One that is missing is not one that is empty. */
function fingerprint({ headers }: FastifyRequest, vary: ReadonlySet<string>): string {
  const values = [...vary].map((name) => headers[name] ?? null);
  return createHash("sha256").update(JSON.stringify(values)).digest("base64url");
}

/** `url` with the parameters that count, in the order that counts. Values of one parameter always keep theirs. */
function normalized(url: string, query: RouteRules["query"]): string {
  const at = url.indexOf("?");
  if (at === -1 || query === "asSent") return url;
  const path = url.slice(0, at);
  const parameters = url
    .slice(at + 1)
    .split("&")
    .filter((parameter) => parameter !== "");
  const counted = query === "sorted" ? parameters : parameters.filter((parameter) => query.has(nameOf(parameter)));
  const sorted = counted.toSorted((one, other) => compare(nameOf(one), nameOf(other)));
  return sorted.length === 0 ? path : `${path}?${sorted.join("&")}`;
}

function nameOf(parameter: string): string {
  const name = (parameter.split("=", 1)[0] ?? "").replaceAll("+", " ");
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
