import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { cacheDirectives, directiveSecs, listedNames } from "./http-fields.js";
import type { QueryRule, RouteRules } from "./route-rules.js";

/** What a request asks of the cache. */
export interface Asked {
  /** What tells its page from those of other requests. */
  readonly key: string | readonly unknown[];
  /** It takes no page that is older, in seconds; undefined: any. */
  readonly maxAgeSecs: number | undefined;
}

/** undefined: the request passes the cache by, and what is answered is not kept. */
export function askedBy(request: FastifyRequest, reply: FastifyReply, rules: RouteRules): Asked | undefined {
  const { method, headers } = request;
  if (method !== "GET" && method !== "HEAD" && rules.key === undefined) return undefined;
  if (headers["range"] !== undefined) return undefined;
  if (rules.credentials === "bypass" && hasUnchosenCredentials(request, rules)) return undefined;
  const said = saidByHooks(request, reply);
  if (said === undefined) return undefined;
  let maxAgeSecs: number | undefined;
  if (rules.requestDirectives === "respect") {
    const directives = cacheDirectives(headers["cache-control"] ?? (headers["pragma"] === "no-cache" ? "no-cache" : undefined));
    if (directives.has("no-store")) return undefined;
    maxAgeSecs = directives.has("no-cache") ? -1 : directiveSecs(directives, "max-age");
  }
  return { key: keyOf(request, said, rules), maxAgeSecs };
}

/** Credentials by which pages are told apart are part of the key; others may mean that this answer is for one person. */
function hasUnchosenCredentials({ headers }: FastifyRequest, { vary }: RouteRules): boolean {
  return ["authorization", "cookie"].some((name) => headers[name] !== undefined && !vary.has(name));
}

/**
 * What hooks said of the response before the handler runs, other than what they say of most: it is part of the key, because the handler may
 * depend on it. A page for those whom a hook calls `private` is never the page of others, nor is a page in one language that of another.
 * Undefined: the response is for this request only.
 */
function saidByHooks({ headers }: FastifyRequest, reply: FastifyReply): readonly unknown[] | undefined {
  if (reply.hasHeader("set-cookie")) return undefined;
  const vary = listedNames(reply.getHeader("vary"));
  if (vary.has("*")) return undefined;
  const control = reply.getHeader("cache-control");
  const { statusCode } = reply;
  if (vary.size === 0 && control === undefined && statusCode === 200) return nothing;
  return [statusCode, control ?? null, [...vary].map((name) => [name, headers[name] ?? null])];
}

const nothing: readonly unknown[] = [];

function keyOf(request: FastifyRequest, said: readonly unknown[], rules: RouteRules): Asked["key"] {
  const { method, protocol, host } = request;
  const where = `${method} ${protocol}://${host.toLowerCase()}${queried(request, rules.query)}`;
  const text = rules.vary.size === 0 && said.length === 0 ? where : `${where} ${fingerprint(request, said, rules.vary)}`;
  return rules.key === undefined ? text : [text, rules.key(request)];
}

/** Values of the chosen fields, as a hash: keys are shown to people, and tokens are not for them. A field that is missing is not one that is empty. */
function fingerprint({ headers }: FastifyRequest, said: readonly unknown[], vary: ReadonlySet<string>): string {
  const values = [...vary].map((name) => headers[name] ?? null);
  return createHash("sha256")
    .update(JSON.stringify([values, ...said]))
    .digest("base64url");
}

/** The path with the parameters that count, in the order that counts. Values of one parameter always keep theirs. */
function queried({ url, query }: FastifyRequest, rule: QueryRule): string {
  if (rule === "asSent") return url;
  const at = url.indexOf("?");
  const path = at === -1 ? url : url.slice(0, at);
  if (typeof rule === "object" && "parsed" in rule) return `${path}?${valuesOf(query, rule.parsed)}`;
  if (at === -1) return url;
  const parameters = url
    .slice(at + 1)
    .split("&")
    .filter((parameter) => parameter !== "");
  const counted = rule === "sorted" ? parameters : parameters.filter((parameter) => rule.has(nameOf(parameter)));
  const sorted = counted.toSorted((one, other) => compare(nameOf(one), nameOf(other)));
  return sorted.length === 0 ? path : `${path}?${sorted.join("&")}`;
}

/** As the handler gets them: what the schema made of them, defaults among it. */
function valuesOf(query: unknown, names: readonly string[]): string {
  const values = typeof query === "object" && query !== null ? (query as Readonly<Record<string, unknown>>) : {};
  return JSON.stringify(names.map((name) => values[name] ?? null));
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
