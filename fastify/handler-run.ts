import type { FastifyReply, FastifyRequest } from "fastify";
import { type InvalidTagError, isThenable } from "../core/index.js";
import { trailersOf } from "./fastify-internals.js";
import { type Draft, type Fields, isForOthers, type Page, pageOf, type SharingRules, unchosenVary } from "./page.js";
import type { PageTime } from "./page-time.js";

/** What a run needs of its surroundings. */
export interface HandlerRunDeps {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly handle: () => unknown;
  readonly key: string | readonly unknown[];
  readonly rules: SharingRules;
  readonly now: () => PageTime;
  /** Called just before the handler: the run is that of `reply` from then on. */
  readonly begins: (run: HandlerRun) => void;
}

/**
 * One call of a route's handler that may answer more than its own request.
 *
 *     begun      the handler runs; Fastify sends what it gives to its own client
 *     responded  the response is known as it left the handler: the first `onSend` hook
 *     finished   the response is known as it is sent: the last `onSend` hook, which decides whether others may be given it
 *
 * It goes on when its client is gone: others may wait for it.
 */
export class HandlerRun {
  readonly request: FastifyRequest;
  readonly key: string | readonly unknown[];
  /** What the call gave, for Fastify; to be asked for once it began. */
  readonly given: () => unknown;
  /** Called when it began, for a request that waited meanwhile. */
  onBegun: (() => void) | undefined;
  /** The page that it gave; undefined before it is finished, and when it is for its own request only. */
  page: Page | undefined;
  /** What was to be one of its tags, and is none: it is answered, and not kept. */
  invalidTag: InvalidTagError | undefined;
  /** Names in `Vary` that keep it from being a page for others. */
  unchosen: readonly string[] = [];
  readonly #deps: HandlerRunDeps;
  readonly #gone = new AbortController();
  #hasBegun = false;
  #isSettled = false;
  #given: { readonly value: unknown } | { readonly error: unknown } | undefined;
  #fieldsBefore: Fields = {};
  #trailersBefore: readonly string[] = [];
  #draft: Draft | undefined;
  /** The handler sends trailers: functions, which look at what is sent. Those of hooks are there for each request. */
  #hasTrailers = false;
  #failure: { readonly error: unknown } | undefined;
  #resolve!: (page: Page | undefined) => void;
  #reject!: (error: unknown) => void;

  constructor(deps: HandlerRunDeps) {
    this.#deps = deps;
    this.request = deps.request;
    this.key = deps.key;
    this.given = () => {
      if (this.#given !== undefined && "error" in this.#given) throw this.#given.error;
      return this.#given?.value;
    };
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** The client left before it was answered. */
  get isAbandoned(): boolean {
    return this.#gone.signal.aborted;
  }

  /** Aborts when the client leaves. */
  get signal(): AbortSignal {
    this.#deps.reply.raw.once("close", () => {
      if (!this.#deps.reply.raw.writableFinished) this.#gone.abort();
    });
    return this.#gone.signal;
  }

  /** Calls the handler. Settles with the page for all who may share it, undefined for none, or as the handler failed. */
  begin(): Promise<Page | undefined> {
    const { reply, handle, begins } = this.#deps;
    this.#hasBegun = true;
    begins(this);
    this.#fieldsBefore = reply.getHeaders();
    this.#trailersBefore = trailersOf(reply);
    const page = new Promise<Page | undefined>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const ended = (): void => {
      // Sent by other ways than Fastify's, or by another route's: nobody else can have it.
      if (reply.sent) this.#settle(undefined);
      else if (this.#failure !== undefined) this.#fail(this.#failure.error);
    };
    reply.raw.once("finish", ended).once("close", ended);
    try {
      this.#given = { value: this.#watched(handle()) };
    } catch (error) {
      this.#given = { error };
      this.fail(error);
    }
    this.onBegun?.();
    return page;
  }

  /** The response as it left the handler, or the error handler. */
  responded(payload: unknown): void {
    if (this.#isSettled) return;
    const { reply, now } = this.#deps;
    this.#draft = { status: reply.statusCode, fields: reply.getHeaders(), fieldsBefore: this.#fieldsBefore, payload, made: now() };
    this.#hasTrailers = trailersOf(reply).some((name) => !this.#trailersBefore.includes(name));
  }

  /** The response is about to be sent. */
  finished(payload: unknown): void {
    const draft = this.#draft;
    if (draft === undefined || this.#isSettled) return;
    const { reply, rules } = this.#deps;
    const sent = { status: reply.statusCode, fields: reply.getHeaders() };
    this.unchosen = unchosenVary(draft, sent, rules);
    if (this.#failure !== undefined) {
      // What says that it depends on who asked is no answer to others, be it an error.
      if (isForOthers(sent.fields) && this.unchosen.length === 0) this.#fail(this.#failure.error);
      else this.#settle(undefined);
      return;
    }
    // Fastify takes status and header fields of a web response after all hooks.
    const isKeepable = this.invalidTag === undefined && !this.#hasTrailers && !(payload instanceof Response);
    this.page = isKeepable ? pageOf(draft, sent, rules) : undefined;
    this.#settle(this.page);
  }

  /**
   * The handler failed: all who wait fail with it, unless the response to it is for its own request only.
   * After it responded it is a hook that failed, which those who wait run for themselves.
   */
  fail(error: unknown): void {
    if (this.#draft !== undefined) this.#settle(undefined);
    this.#failure ??= { error };
    if (this.#deps.reply.raw.destroyed) this.#fail(error);
  }

  /** What the handler gave, so that it can be watched: a thenable of its own may do its work at each `then`. */
  #watched(given: unknown): unknown {
    const { reply } = this.#deps;
    if (given === reply || !isThenable(given)) return given;
    const promise = Promise.resolve(given);
    promise.then(
      (value) => {
        // Fastify sends nothing more to a client that is gone.
        if (value === undefined && this.#draft === undefined && reply.raw.destroyed) this.#settle(undefined);
      },
      (error: unknown) => {
        this.fail(error);
      },
    );
    return promise;
  }

  #fail(error: unknown): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#reject(error);
  }

  #settle(page: Page | undefined): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#resolve(page);
  }
}
