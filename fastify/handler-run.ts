import type { FastifyReply, FastifyRequest } from "fastify";
import { deferred, type InvalidTagError, isThenable } from "../core/index.js";
import { trailersOf } from "./fastify-internals.js";
import { type Draft, type Fields, isForOthers, type Page, pageOf, type SharingRules, unchosenVary } from "./page.js";
import type { PageTime } from "./page-time.js";

/** Dependencies of a run. */
export interface HandlerRunDeps {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly handle: () => unknown;
  readonly key: string | readonly unknown[];
  readonly rules: SharingRules;
  readonly now: () => PageTime;
  /** Called just before the handler runs. From then on the run belongs to `reply`. */
  readonly begins: (run: HandlerRun) => void;
}

/**
 * One call of a route's handler whose response may answer other requests, too.
 *
 *     begun      the handler runs; Fastify sends the handler's result to the client of this request
 *     responded  the response as it left the handler is known: the first `onSend` hook
 *     finished   the response as it is sent is known: the last `onSend` hook, which decides whether others get it
 *
 * The run continues when its client disconnects, because other requests may wait for it.
 */
export class HandlerRun {
  readonly request: FastifyRequest;
  readonly key: string | readonly unknown[];
  /** Returns the handler's result, for Fastify, or throws its error. To be called after the run began. */
  readonly given: () => unknown;
  /** Called when the run begins, for a request that has waited for another run until then. */
  onBegun: (() => void) | undefined;
  /** The page that the run made; undefined before it is finished, and when the response is for its own request only. */
  page: Page | undefined;
  /** The error about a declared tag that is not valid: the request is answered and the response is not kept. */
  invalidTag: InvalidTagError | undefined;
  /** Names in `Vary` that prevent the response from being a page for other requests. */
  unchosen: readonly string[] = [];
  readonly #deps: HandlerRunDeps;
  readonly #gone = new AbortController();
  #hasBegun = false;
  #isSettled = false;
  #given: { readonly value: unknown } | { readonly error: unknown } | undefined;
  #fieldsBefore: Fields = {};
  #trailersBefore: readonly string[] = [];
  #draft: Draft | undefined;
  /**
   * Whether the handler added trailers: functions that read the payload as it is sent. The trailers of hooks exist for
   * each request.
   */
  #hasTrailers = false;
  #failure: { readonly error: unknown } | undefined;
  readonly #settled = deferred<Page | undefined>();

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

  /** The client disconnected before it was answered. */
  get isAbandoned(): boolean {
    return this.#gone.signal.aborted;
  }

  /** Aborts when the client disconnects. */
  get signal(): AbortSignal {
    this.#deps.reply.raw.once("close", () => {
      if (!this.#deps.reply.raw.writableFinished) this.#gone.abort();
    });
    return this.#gone.signal;
  }

  /**
   * Calls the handler. The promise resolves with the page that other requests may share, or with undefined if there is
   * none; it rejects with the handler's error.
   */
  begin(): Promise<Page | undefined> {
    const { reply, handle, begins } = this.#deps;
    this.#hasBegun = true;
    begins(this);
    this.#fieldsBefore = reply.getHeaders();
    this.#trailersBefore = trailersOf(reply);
    const ended = (): void => {
      // Sent without Fastify, or by another route: no other request can get this response.
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
    return this.#settled.promise;
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
      // An error response that depends on its own request is not for others either.
      if (isForOthers(sent.fields) && this.unchosen.length === 0) this.#fail(this.#failure.error);
      else this.#settle(undefined);
      return;
    }
    // Fastify takes the status and header fields of a web `Response` after all hooks.
    const isKeepable = this.invalidTag === undefined && !this.#hasTrailers && !(payload instanceof Response);
    this.page = isKeepable ? pageOf(draft, sent, rules) : undefined;
    this.#settle(this.page);
  }

  /**
   * The handler failed: all waiting requests fail with its error, unless the response to the error is for its own
   * request only. After the handler responded, the failure is that of a hook, and each waiting request runs the
   * handler and its own hooks.
   */
  fail(error: unknown): void {
    if (this.#draft !== undefined) this.#settle(undefined);
    this.#failure ??= { error };
    if (this.#deps.reply.raw.destroyed) this.#fail(error);
  }

  /**
   * Observes the handler's result. A thenable of another kind may do its work at each `then`, so it is converted to a
   * promise once.
   */
  #watched(given: unknown): unknown {
    const { reply } = this.#deps;
    if (given === reply || !isThenable(given)) return given;
    const promise = Promise.resolve(given);
    promise.then(
      (value) => {
        // Fastify sends nothing more to a client that has disconnected.
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
    this.#settled.reject(error);
  }

  #settle(page: Page | undefined): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#settled.resolve(page);
  }
}
