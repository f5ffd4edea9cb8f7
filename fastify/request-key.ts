import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { cacheDirectives, directiveSecs, listedNames } from "./http-fields.js";
import type { QueryRule, RouteRules } from "./route-rules.js";

/** How a request may use the cache. */
export interface RequestedUrl {
  /** Identifies the page of this request: requests with equal keys share a page. */
  readonly key: string | readonly unknown[];
  /** Greatest age in seconds of a page that the request accepts; undefined: any. */
  readonly maxAgeSecs: number | undefined;
}

/** Returns undefined if the request bypasses the cache, and its response is not kept. */
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

/** Credentials named in `vary` are part of the key. Other credentials may mean that this response is for one person. */
function hasUnchosenCredentials({ headers }: FastifyRequest, { vary }: RouteRules): boolean {
  return ["authorization", "cookie"].some((name) => headers[name] !== undefined && !vary.has(name));
}

/**
 * Fields that hooks set on the response before the handler runs, if they differ from the usual response. They are part
 * of the key, because the handler may depend on them: a page that a hook made `private` is never the page of other
 * requests, nor is a page in one language the page of another language. Undefined: the response is for this request
 * only.
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

/**
 * A hash of the values of the chosen fields: keys are shown to operators, and tokens must not be. A missing field
 * differs from an empty one.
 */
function fingerprint({ headers }: FastifyRequest, said: readonly unknown[], vary: ReadonlySet<string>): string {
  const values = [...vary].map((name) => headers[name] ?? null);
  return createHash("sha256")
    .update(JSON.stringify([values, ...said]))
    .digest("base64url");
}

/** The parts of the URL that are in the key: a text, and the parameters as values where their JSON is ambiguous. */
function addressOf(request: FastifyRequest, rule: QueryRule): { readonly path: string; readonly parameters?: unknown } {
  if (!(typeof rule === "object" && "parsed" in rule)) return { path: queried(request, rule) };
  const parameters = parsed(request, rule.parsed);
  if (parameters === undefined) return { path: request.url };
  const path = pathOf(request);
  return parameters.every(([, value]) => isJson(value)) ? { path: `${path}?${JSON.stringify(parameters)}` } : { path, parameters };
}

/**
 * The path with the parameters that are in the key, in the order of the rule. Values of one parameter always keep their
 * order.
 */
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
 * The parameters of these names as the handler gets them: as the schema converted them, with defaults. An absent
 * parameter differs from one that is null. Undefined: the handler gets other parameters too, because the route's
 * validator does not enforce the schema.
 */
function parsed({ query }: FastifyRequest, names: readonly string[]): readonly (readonly [string, unknown])[] | undefined {
  if (typeof query !== "object" || query === null) return undefined;
  const values = query as Readonly<Record<string, unknown>>;
  const found = names.filter((name) => Object.hasOwn(values, name));
  return found.length === Object.keys(values).length ? found.map((name) => [name, values[name]]) : undefined;
}

/**
 * Whether the JSON of the value differs from that of all other values. A validator may convert a text to a bigint, a
 * Date or Infinity.
 */
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
