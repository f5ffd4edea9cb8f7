import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod, RouteOptions } from "fastify";
import type { Cache, Cached } from "../cache.js";
import { type Clock, InvalidKeyArgumentError, TimeoutError } from "../core/index.js";
import { serializerOf } from "./fastify-internals.js";
import { HandlerRun } from "./handler-run.js";
import { listedNames, namesEtag } from "./http-fields.js";
import { OutgoingAnswer } from "./outgoing.js";
import { type Page, pageFormat, shorter } from "./page.js";
import { ageSecs, pageTime } from "./page-time.js";
import { type RequestedUrl, askedBy } from "./request-key.js";
import { type RouteRules, ttlMsOf } from "./route-rules.js";

/** What the routes of one app share. */
export interface CachedRouteDeps {
  readonly cacheable: Cache["cacheable"];
  readonly namespace: string;
  /** Name in the field `Cache-Status`; undefined: there is none. */
  readonly cacheStatus: string | undefined;
  readonly clock: Clock;
  /** Responses that are, or may become, pages. */
  readonly outgoing: WeakMap<FastifyReply, OutgoingAnswer>;
}

type Pages = Cached<(run: HandlerRun) => Promise<Page | undefined>>;

/**
 * A route whose answers are kept.
 *
 * 1. The request that begins a computation is answered by Fastify as without a cache; its response is looked at on its way, and becomes the page.
 * 2. All others are given the page, through the hooks of their own requests.
 * 3. A response that is for its own request only is given to no other: those that waited for it run the handler themselves.
 * 4. A page is the response as it left the handler. Whether it is kept, its entity tag and 304 are decided from what is sent, after all hooks.
 */
export class CachedRoute {
  readonly #rules: RouteRules;
  readonly #deps: CachedRouteDeps;
  readonly #handler: RouteHandlerMethod;
  readonly #pages: Pages;
  /** By what is warned of. */
  readonly #quietUntilMs = new Map<string, number>();

  constructor(route: RouteOptions, rules: RouteRules, deps: CachedRouteDeps) {
    this.#rules = rules;
    this.#deps = deps;
    this.#handler = route.handler;
    const { ttl, tags, statuses, maxEntries, maxBytes } = rules;
    const ttlSecs = ttl === undefined ? undefined : ttlMsOf(ttl) / 1_000;
    const constraints = route.constraints === undefined ? "" : ` ${JSON.stringify(route.constraints, withExpressions)}`;
    // An async function, so that whether it gives promises is known before it first ran.
    this.#pages = deps.cacheable(async (run: HandlerRun) => run.begin(), {
      namespace: deps.namespace,
      name: `${String(route.method)} ${route.url}${constraints}`,
      version: pageFormat,
      key: (run) => run.key,
      deps: typeof tags === "function" ? (run) => tags(run.request) : tags,
      ttl: (page) => shorter(ttlSecs, page?.lifetimeSecs),
      // A page is fresh for as long as its age says, however often it is asked for.
      readExtendTtl: false,
      condition: (page) => page !== undefined && statuses.has(page.status),
      signal: (run) => run.signal,
      maxEntries,
      maxBytes,
      onInvalidTag: (error, run) => (run.invalidTag = error),
    });
  }

  /** Answers a request. Not an async function: a handler that sends by itself gives Fastify nothing. */
  handle(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown {
    const handle = (): unknown => this.#handler.call(app, request, reply);
    const asked = askedBy(request, reply, this.#rules);
    if (asked === undefined) return this.#passBy(reply, handle);
    const { clock, outgoing } = this.#deps;
    const run = new HandlerRun({
      request,
      reply,
      handle,
      key: asked.key,
      rules: this.#rules,
      now: () => pageTime(clock),
      begins: (begun) => outgoing.set(reply, new OutgoingAnswer(begun)),
    });
    let answer: Promise<Page | undefined>;
    try {
      answer = asked.maxAgeSecs === -1 ? this.#pages.refresh(run) : this.#pages(run);
    } catch (error) {
      return this.#unanswered(error, run, reply, handle);
    }
    if (!run.hasBegun) return this.#answered(answer, run, asked, reply, handle);
    answer.catch(ignore);
    return run.given();
  }

  /** The response as it is about to be sent: all other hooks have seen it. Gives the payload. */
  sending(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
    const outgoing = this.#deps.outgoing.get(reply);
    outgoing?.isSent(reply, payload);
    addVary(reply, this.#rules.vary);
    if (outgoing !== undefined) this.#describe(request, reply, outgoing);
    return this.#withoutBody(reply, payload);
  }

  /** The answer is the page of another request, or one that is being made for it. */
  #answered(
    answer: Promise<Page | undefined>,
    run: HandlerRun,
    asked: RequestedUrl,
    reply: FastifyReply,
    handle: () => unknown,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle = (give: () => unknown): void => {
        let given: unknown;
        try {
          given = give();
        } catch (error) {
          reject(error);
          return;
        }
        // A handler that gives nothing sends by itself, now or later: Fastify waits for a promise of the reply.
        resolve(given === undefined ? reply : given);
      };
      // This request may be the one that begins anew.
      run.onBegun = () => {
        settle(() => run.given());
      };
      answer.then(
        (page) => {
          if (run.hasBegun) return;
          settle(() => this.#give(page, run, asked, reply, handle));
        },
        (error: unknown) => {
          if (run.hasBegun) return;
          settle(() => this.#unanswered(error, run, reply, handle));
        },
      );
    });
  }

  #give(page: Page | undefined, run: HandlerRun, asked: RequestedUrl, reply: FastifyReply, handle: () => unknown): unknown {
    if (page === undefined) return this.#passBy(reply, handle, "fwd=miss");
    const { clock, outgoing } = this.#deps;
    const age = ageSecs(page.made, clock);
    if (asked.maxAgeSecs !== undefined && age > asked.maxAgeSecs) {
      this.#pages.refresh(run).catch(ignore);
      return run.given();
    }
    reply.code(page.status);
    for (const name of page.removed) reply.removeHeader(name);
    for (const [name, value] of Object.entries(page.headers)) {
      if (name === "vary") addVary(reply, listedNames(value));
      else reply.header(name, value);
    }
    outgoing.set(reply, new OutgoingAnswer(undefined, page, age, reply.hasHeader("content-type")));
    // A hook may have set one for this request. The page is serialized already; what an error handler sends in its place is not.
    const serializer = serializerOf(reply);
    if (serializer !== undefined) reply.serializer((payload) => (payload === page.body ? page.body : serializer(payload)) as string);
    return page.body ?? reply.send();
  }

  /** Nothing was computed, and it was not the handler that failed. */
  #unanswered(error: unknown, run: HandlerRun, reply: FastifyReply, handle: () => unknown): unknown {
    if (run.isAbandoned) return undefined;
    if (error instanceof InvalidKeyArgumentError) {
      this.#warn("invalidKey", run.request, { err: error }, "a response has no key, and is not kept");
      return this.#passBy(reply, handle);
    }
    if (error instanceof TimeoutError) reply.code(503);
    throw error;
  }

  #passBy(reply: FastifyReply, handle: () => unknown, handled = "fwd=bypass"): unknown {
    this.#tell(reply, handled);
    return handle();
  }

  /** Tells clients, and caches between, how long a page is good and how to ask again. */
  #describe(request: FastifyRequest, reply: FastifyReply, outgoing: OutgoingAnswer): void {
    const { page, run, age, body } = outgoing;
    if (page === undefined || body === undefined || !this.#rules.statuses.has(page.status)) {
      this.#tell(reply, run === undefined ? "fwd=miss; collapsed" : "fwd=miss");
      if (run !== undefined) this.#explain(run);
      return;
    }
    this.#tell(reply, run === undefined ? "hit" : "fwd=miss; stored");
    if (age !== undefined) reply.header("age", String(age));
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", this.#rules.cacheControl);
    const given = reply.getHeader("etag");
    const etag = given ?? body.etag(page);
    if (given === undefined && etag !== undefined) reply.header("etag", etag);
    // A tag of the handler's own says nothing of a body that hooks rewrote; hooks that set one answer conditional requests themselves.
    const isOurs = given === undefined || (isTagOf(page, given) && body.isOf(page));
    if (isOurs && isUnchanged(request, reply, etag)) reply.code(304);
  }

  /** A route whose pages are not kept looks like one that works. */
  #explain({ request, unchosen, invalidTag }: HandlerRun): void {
    if (unchosen.length > 0)
      this.#warn("vary", request, { vary: unchosen }, "a response varies by fields that are not in the route's vary, and is not kept");
    if (invalidTag !== undefined) this.#warn("invalidTag", request, { err: invalidTag }, "a response has no valid tags, and is not kept");
  }

  /** Logs once in a while: clients decide how often it happens. */
  #warn(what: string, { log, url }: FastifyRequest, facts: object, message: string): void {
    const nowMs = this.#deps.clock.monotonic();
    if (nowMs < (this.#quietUntilMs.get(what) ?? 0)) return;
    this.#quietUntilMs.set(what, nowMs + warningIntervalMs);
    log.warn({ ...facts, url }, message);
  }

  #tell(reply: FastifyReply, handled: string): void {
    const { cacheStatus } = this.#deps;
    if (cacheStatus !== undefined) reply.header("cache-status", `${cacheStatus}; ${handled}`);
  }

  #withoutBody(reply: FastifyReply, payload: unknown): unknown {
    if (reply.statusCode !== 304) return payload;
    for (const name of ["content-type", "content-length", "content-encoding", "content-language", "content-range"])
      reply.removeHeader(name);
    const destroy: unknown = (payload as { readonly destroy?: unknown } | null | undefined)?.destroy;
    if (typeof destroy === "function") Reflect.apply(destroy, payload, []);
    return null;
  }
}

/** The client has this response already. */
function isUnchanged({ method, headers }: FastifyRequest, reply: FastifyReply, etag: unknown): boolean {
  if (typeof etag !== "string" || reply.statusCode !== 200 || (method !== "GET" && method !== "HEAD")) return false;
  return namesEtag(headers["if-none-match"], etag);
}

/** `etag` is the one that the handler set, also when it was made weak since. */
function isTagOf({ headers }: Page, etag: unknown): boolean {
  const own = headers["etag"];
  return typeof own === "string" && (etag === own || etag === `W/${own}`);
}

function addVary(reply: FastifyReply, names: ReadonlySet<string>): void {
  if (names.size === 0) return;
  const named = listedNames(reply.getHeader("vary"));
  if (!named.has("*")) reply.header("vary", [...new Set([...named, ...names])].join(", "));
}

/** Between two warnings of one kind, of one route. */
const warningIntervalMs = 60_000;

const ignore = (): void => undefined;

/** For JSON, which makes `{}` of every regular expression. */
const withExpressions = (_name: string, value: unknown): unknown => (value instanceof RegExp ? String(value) : value);
