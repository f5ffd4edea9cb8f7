import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { cacheDirectives, directiveSecs, listedNames } from "./http-fields.js";
import type { QueryRule, RouteRules } from "./route-rules.js";

/** What a request asks of the cache. */
export interface RequestedUrl {
  /** What tells its page from those of other requests. */
  readonly key: string | readonly unknown[];
  /** It takes no page that is older, in seconds; undefined: any. */
  readonly maxAgeSecs: number | undefined;
}

/** undefined: the request passes the cache by, and what is answered is not kept. */
export function askedBy(request: FastifyRequest, reply: FastifyReply, rules: RouteRules): RequestedUrl | undefined {
  const { method, headers } = request;
  if (method !== "GET" && method !== "HEAD" && rules.key === undefined) return undefined;
  if (headers["range"] !== undefined) return undefined;
  if (rules.credentials === "bypass" && hasUnchosenCredentials(request, rules)) return undefined;
  const said = saidByHooks(request, reply);
  if (said === undefined) return undefined;
  let maxAgeSecs: number | undefined;
  if (rules.requestDirectives === "respect") {
    const control = headers["cache-control"] ?? (cacheDirectives(headers["pragma"]).has("no-cache") ? "no-cache" : undefined);
    const directives = cacheDirectives(control);
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

function keyOf(request: FastifyRequest, said: readonly unknown[], rules: RouteRules): RequestedUrl["key"] {
  const { method, protocol, host } = request;
  const { path, parameters } = addressOf(request, rules.query);
  const where = `${method} ${protocol}://${host.toLowerCase()}${path}`;
  const text = rules.vary.size === 0 && said.length === 0 ? where : `${where} ${fingerprint(request, said, rules.vary)}`;
  const more = parameters === undefined ? [] : [parameters];
  if (rules.key !== undefined) return [text, rules.key(request), ...more];
  return parameters === undefined ? text : [text, ...more];
}

/** Values of the chosen fields, as a hash: keys are shown to people, and tokens are not for them. A field that is missing is not one that is empty. */
function fingerprint({ headers }: FastifyRequest, said: readonly unknown[], vary: ReadonlySet<string>): string {
  const values = [...vary].map((name) => headers[name] ?? null);
  return createHash("sha256")
    .update(JSON.stringify([values, ...said]))
    .digest("base64url");
}

/** What of the URL counts: a text, and the parameters as values where JSON cannot tell them apart. */
function addressOf(request: FastifyRequest, rule: QueryRule): { readonly path: string; readonly parameters?: unknown } {
  if (!(typeof rule === "object" && "parsed" in rule)) return { path: queried(request, rule) };
  const parameters = parsed(request, rule.parsed);
  if (parameters === undefined) return { path: request.url };
  const path = pathOf(request);
  return parameters.every(([, value]) => isJson(value)) ? { path: `${path}?${JSON.stringify(parameters)}` } : { path, parameters };
}

/** The path with the parameters that count, in the order that counts. Values of one parameter always keep theirs. */
function queried(request: FastifyRequest, rule: "asSent" | "sorted" | ReadonlySet<string>): string {
  const { url } = request;
  if (rule === "asSent") return url;
  const path = pathOf(request);
  if (path === url) return url;
  const parameters = url
    .slice(path.length + 1)
    .split("&")
    .filter((parameter) => parameter !== "");
  const counted = rule === "sorted" ? parameters : parameters.filter((parameter) => rule.has(nameOf(parameter)));
  const sorted = counted.toSorted((one, other) => compare(nameOf(one), nameOf(other)));
  return sorted.length === 0 ? path : `${path}?${sorted.join("&")}`;
}

function pathOf({ url }: FastifyRequest): string {
  const at = url.indexOf("?");
  return at === -1 ? url : url.slice(0, at);
}

/**
 * The parameters of these names as the handler gets them: what the schema made of them, defaults among it. An absent one is not one that is null.
 * Undefined: the handler gets others too, because the validator of the route does not hold the schema.
 */
function parsed({ query }: FastifyRequest, names: readonly string[]): readonly (readonly [string, unknown])[] | undefined {
  if (typeof query !== "object" || query === null) return undefined;
  const values = query as Readonly<Record<string, unknown>>;
  const found = names.filter((name) => Object.hasOwn(values, name));
  return found.length === Object.keys(values).length ? found.map((name) => [name, values[name]]) : undefined;
}

/** JSON tells it from all other values. A validator may make a bigint, a Date or Infinity of a text. */
function isJson(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((each) => isJson(each));
  return value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
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
