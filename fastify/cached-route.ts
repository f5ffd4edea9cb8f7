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

/** Dependencies that all routes of one app share. */
export interface CachedRouteDeps {
  readonly cacheable: Cache["cacheable"];
  readonly namespace: string;
  /** Name in the header field `Cache-Status`; undefined: the field is not sent. */
  readonly cacheStatus: string | undefined;
  readonly clock: Clock;
  /** Responses that are, or may become, pages. */
  readonly outgoing: WeakMap<FastifyReply, OutgoingAnswer>;
}

type Pages = Cached<(run: HandlerRun) => Promise<Page | undefined>>;

/**
 * A route whose responses are cached as pages.
 *
 * 1. Fastify answers the request that begins a computation as it would without a cache. The response is inspected as it
 *    passes the hooks, and becomes the page.
 * 2. All other requests get the page, through the hooks of their own requests.
 * 3. A response that is for its own request only is not given to other requests. The requests that waited for it run
 *    the handler themselves.
 * 4. A page is the response as it left the handler. Whether it is kept, its entity tag and status 304 are decided from
 *    the response that is sent, after all hooks.
 */
export class CachedRoute {
  readonly #rules: RouteRules;
  readonly #deps: CachedRouteDeps;
  readonly #handler: RouteHandlerMethod;
  readonly #pages: Pages;
  /** Time on the monotonic clock until which warnings of a kind are not logged, by kind. */
  readonly #quietUntilMs = new Map<string, number>();

  constructor(route: RouteOptions, rules: RouteRules, deps: CachedRouteDeps) {
    this.#rules = rules;
    this.#deps = deps;
    this.#handler = route.handler;
    const { ttl, tags, statuses, maxEntries, maxBytes } = rules;
    const ttlSecs = ttl === undefined ? undefined : ttlMsOf(ttl) / 1_000;
    const constraints = route.constraints === undefined ? "" : ` ${JSON.stringify(route.constraints, withExpressions)}`;
    // An async function, so that `cacheable` knows before the first run that it returns promises.
    this.#pages = deps.cacheable(async (run: HandlerRun) => run.begin(), {
      namespace: deps.namespace,
      name: `${String(route.method)} ${route.url}${constraints}`,
      version: pageFormat,
      key: (run) => run.key,
      deps: typeof tags === "function" ? (run) => tags(run.request) : tags,
      ttl: (page) => shorter(ttlSecs, page?.lifetimeSecs),
      // A page is fresh for as long as its age says, however often it is requested.
      readExtendTtl: false,
      condition: (page) => page !== undefined && statuses.has(page.status),
      signal: (run) => run.signal,
      maxEntries,
      maxBytes,
      onInvalidTag: (error, run) => (run.invalidTag = error),
    });
  }

  /** Answers a request. Not an async function: a handler that sends the reply by itself returns nothing to Fastify. */
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

  /** Called just before the response is sent, after all other hooks. Returns the payload to send. */
  sending(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
    const outgoing = this.#deps.outgoing.get(reply);
    outgoing?.isSent(reply, payload);
    addVary(reply, this.#rules.vary);
    if (outgoing !== undefined) this.#describe(request, reply, outgoing);
    return this.#withoutBody(reply, payload);
  }

  /** Answers with the page of another request, or with one that another request is computing. */
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
        // A handler that returns nothing sends the reply by itself, now or later. Fastify waits for a promise of the
        // reply.
        resolve(given === undefined ? reply : given);
      };
      // This request may be the one that runs the handler after all.
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
    // A hook may have set a serializer for this request. The page is serialized already; an error handler's payload
    // that replaces it is not.
    const serializer = serializerOf(reply);
    if (serializer !== undefined) reply.serializer((payload) => (payload === page.body ? page.body : serializer(payload)) as string);
    return page.body ?? reply.send();
  }

  /** Nothing was computed, for a reason other than a failed handler. */
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
    this.#setCacheStatus(reply, handled);
    return handle();
  }

  /** Adds the fields that say how long a page is fresh and how a client or shared cache revalidates it. */
  #describe(request: FastifyRequest, reply: FastifyReply, outgoing: OutgoingAnswer): void {
    const { page, run, age, body } = outgoing;
    if (page === undefined || body === undefined || !this.#rules.statuses.has(page.status)) {
      this.#setCacheStatus(reply, run === undefined ? "fwd=miss; collapsed" : "fwd=miss");
      if (run !== undefined) this.#explain(run);
      return;
    }
    this.#setCacheStatus(reply, run === undefined ? "hit" : "fwd=miss; stored");
    if (age !== undefined) reply.header("age", String(age));
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", this.#rules.cacheControl);
    const given = reply.getHeader("etag");
    const etag = given ?? body.etag(page);
    if (given === undefined && etag !== undefined) reply.header("etag", etag);
    // An entity tag from the handler does not describe a body that hooks rewrote. Hooks that set an entity tag answer
    // conditional requests themselves.
    const isOurs = given === undefined || (isTagOf(page, given) && body.isOf(page));
    if (isOurs && isUnchanged(request, reply, etag)) reply.code(304);
  }

  /** Logs why pages are not kept. Without a log line, such a route looks like one that works. */
  #explain({ request, unchosen, invalidTag }: HandlerRun): void {
    if (unchosen.length > 0)
      this.#warn("vary", request, { vary: unchosen }, "a response varies by fields that are not in the route's vary, and is not kept");
    if (invalidTag !== undefined) this.#warn("invalidTag", request, { err: invalidTag }, "a response has no valid tags, and is not kept");
  }

  /**
   * Logs at most one warning of each kind per `warningIntervalMs`, because clients decide how often the cause occurs.
   */
  #warn(what: string, { log, url }: FastifyRequest, facts: object, message: string): void {
    const nowMs = this.#deps.clock.monotonic();
    if (nowMs < (this.#quietUntilMs.get(what) ?? 0)) return;
    this.#quietUntilMs.set(what, nowMs + warningIntervalMs);
    log.warn({ ...facts, url }, message);
  }

  #setCacheStatus(reply: FastifyReply, handled: string): void {
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

/** Whether the client has this response already. */
function isUnchanged({ method, headers }: FastifyRequest, reply: FastifyReply, etag: unknown): boolean {
  if (typeof etag !== "string" || reply.statusCode !== 200 || (method !== "GET" && method !== "HEAD")) return false;
  return namesEtag(headers["if-none-match"], etag);
}

/** Whether `etag` is the entity tag that the handler set, unchanged or made weak since. */
function isTagOf({ headers }: Page, etag: unknown): boolean {
  const own = headers["etag"];
  return typeof own === "string" && (etag === own || etag === `W/${own}`);
}

function addVary(reply: FastifyReply, names: ReadonlySet<string>): void {
  if (names.size === 0) return;
  const named = listedNames(reply.getHeader("vary"));
  if (!named.has("*")) reply.header("vary", [...new Set([...named, ...names])].join(", "));
}

/** Shortest time between two warnings of one kind for one route, in milliseconds. */
const warningIntervalMs = 60_000;

const ignore = (): void => undefined;

/** A replacer for `JSON.stringify`, which would write every regular expression as `{}`. */
const withExpressions = (_name: string, value: unknown): unknown => (value instanceof RegExp ? String(value) : value);
