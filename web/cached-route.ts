import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod, RouteOptions } from "fastify";
import type { Cache, Cached } from "../cache.js";
import { asDuration, type Clock, InvalidKeyArgumentError, InvalidTagError, TimeoutError } from "../words/index.js";
import { HandlerRun } from "./handler-run.js";
import { listedNames, namesEtag } from "./http-fields.js";
import { ageSecs, ownLifetimeSecs, type Page } from "./page.js";
import { type Asked, askedBy } from "./request-key.js";
import type { RouteRules } from "./route-rules.js";

/** What the routes of one app share. */
export interface CachedRouteAround {
  readonly cacheable: Cache["cacheable"];
  readonly namespace: string;
  /** Name in the field `Cache-Status`; undefined: there is none. */
  readonly cacheStatus: string | undefined;
  readonly clock: Clock;
  /** Runs under way, by the replies that they answer. */
  readonly runs: WeakMap<FastifyReply, HandlerRun>;
}

type Pages = Cached<(run: HandlerRun) => Promise<Page | undefined>>;

/**
 * A route whose answers are kept.
 *
 * 1. Who begins a computation is answered by Fastify as ever; what is sent to it is looked at on its way, and becomes the page.
 * 2. All others are given the page, through the hooks of their own requests.
 * 3. A response that is for its own request only is given to nobody else: they run the handler themselves.
 */
export class CachedRoute {
  readonly #rules: RouteRules;
  readonly #around: CachedRouteAround;
  readonly #handler: RouteHandlerMethod;
  readonly #pages: Pages;

  constructor(route: RouteOptions, rules: RouteRules, around: CachedRouteAround) {
    this.#rules = rules;
    this.#around = around;
    this.#handler = route.handler;
    const { ttl, tags, statuses } = rules;
    const ttlSecs = ttl === undefined ? undefined : asDuration(ttl, "ttl") / 1_000;
    const constraints = route.constraints === undefined ? "" : ` ${JSON.stringify(route.constraints)}`;
    // An async function, so that whether it gives promises is known before it first ran.
    this.#pages = around.cacheable(async (run: HandlerRun) => run.begin(), {
      namespace: around.namespace,
      name: `${String(route.method)} ${route.url}${constraints}`,
      key: (run) => run.key,
      deps: typeof tags === "function" ? (run) => tags(run.request) : tags,
      ttl: (page) => shorter(ttlSecs, page && ownLifetimeSecs(page)),
      // A page is fresh for as long as its age says, however often it is asked for.
      readExtendTtl: false,
      condition: (page) => page !== undefined && statuses.has(page.status),
      signal: (run) => run.signal,
    });
  }

  /** Answers a request. Not an async function: a handler that sends by itself gives Fastify nothing. */
  handle(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown {
    const handle = (): unknown => this.#handler.call(app, request, reply);
    const asked = askedBy(request, this.#rules);
    if (asked === undefined) return this.#passBy(reply, handle);
    const { clock, runs } = this.#around;
    const run = new HandlerRun({
      request,
      reply,
      handle,
      key: asked.key,
      rules: this.#rules,
      now: () => clock.now(),
      begins: (begun) => runs.set(reply, begun),
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

  /** The response as it is about to be sent, after all other hooks have seen it. */
  sending(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
    const run = this.#around.runs.get(reply);
    run?.finished();
    addVary(reply, this.#rules.vary);
    const page = run?.page;
    if (run === undefined || reply.statusCode === 304) return this.#withoutBody(reply, payload);
    if (page === undefined || !this.#isKept(page)) {
      this.#tell(reply, "fwd=miss");
      return payload;
    }
    this.#describe(reply, page);
    this.#tell(reply, "fwd=miss; stored");
    if (!isUnchanged(request, page)) return payload;
    reply.code(304);
    return this.#withoutBody(reply, payload);
  }

  /** A page that was made for somebody else, or is being made. */
  #answered(
    answer: Promise<Page | undefined>,
    run: HandlerRun,
    asked: Asked,
    reply: FastifyReply,
    handle: () => unknown,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle = (give: () => unknown): void => {
        try {
          resolve(give());
        } catch (error) {
          reject(error);
        }
      };
      // Of those who waited, one may have to begin anew. A handler that sends by itself has sent when its reply is done.
      run.onBegun = () => {
        settle(() => sentBy(run, reply));
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

  #give(page: Page | undefined, run: HandlerRun, asked: Asked, reply: FastifyReply, handle: () => unknown): unknown {
    if (page === undefined) return this.#passBy(reply, handle, "fwd=miss");
    const { clock } = this.#around;
    const age = ageSecs(page, clock.now());
    if (asked.maxAgeSecs !== undefined && age > asked.maxAgeSecs) {
      this.#pages.refresh(run).catch(ignore);
      return sentBy(run, reply);
    }
    reply.code(page.status);
    for (const [name, value] of Object.entries(page.headers)) {
      if (name === "vary") addVary(reply, listedNames(value));
      else reply.header(name, value);
    }
    if (!this.#isKept(page)) {
      this.#tell(reply, "fwd=miss; collapsed");
      return page.body ?? undefined;
    }
    this.#describe(reply, page);
    reply.header("age", String(age));
    this.#tell(reply, "hit");
    if (!isUnchanged(run.request, page)) return page.body ?? undefined;
    reply.code(304);
    return undefined;
  }

  /** Nothing was computed, and it was not the handler that failed. */
  #unanswered(error: unknown, run: HandlerRun, reply: FastifyReply, handle: () => unknown): unknown {
    if (run.isAbandoned) return undefined;
    if (error instanceof InvalidTagError || error instanceof InvalidKeyArgumentError) {
      // What a client sends may be no tag: its answer is not kept, and it is no worse off.
      run.request.log.debug({ err: error, url: run.request.url }, "a response has no tags or no key, and is not cached");
      return this.#passBy(reply, handle);
    }
    if (error instanceof TimeoutError) reply.code(503);
    throw error;
  }

  #passBy(reply: FastifyReply, handle: () => unknown, handled = "fwd=bypass"): unknown {
    this.#tell(reply, handled);
    return handle();
  }

  #isKept(page: Page): boolean {
    return this.#rules.statuses.has(page.status);
  }

  /** What tells clients, and caches between, how long it is good and how to ask again. */
  #describe(reply: FastifyReply, page: Page): void {
    if (!reply.hasHeader("etag")) reply.header("etag", page.etag);
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", this.#rules.cacheControl);
  }

  #tell(reply: FastifyReply, handled: string): void {
    const { cacheStatus } = this.#around;
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

function shorter(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}

/** What Fastify is given by a promise: the reply itself, if the handler sends. */
function sentBy(run: HandlerRun, reply: FastifyReply): unknown {
  const given = run.given();
  return given === undefined ? reply : given;
}

/** The client has this page already. */
function isUnchanged({ method, headers }: FastifyRequest, page: Page): boolean {
  if (method !== "GET" && method !== "HEAD") return false;
  return page.status === 200 && namesEtag(headers["if-none-match"], page.etag);
}

function addVary(reply: FastifyReply, names: ReadonlySet<string>): void {
  if (names.size === 0) return;
  const named = listedNames(reply.getHeader("vary"));
  if (!named.has("*")) reply.header("vary", [...new Set([...named, ...names])].join(", "));
}

const ignore = (): void => undefined;
