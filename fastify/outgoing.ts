import type { FastifyReply } from "fastify";
import type { HandlerRun } from "./handler-run.js";
import type { Page } from "./page.js";
import { SentBody } from "./sent-body.js";

/** A response of a cached route as it passes the `onSend` hooks: from a run of the handler, or from a page. */
export class OutgoingAnswer {
  readonly run: HandlerRun | undefined;
  /** Age of the page in seconds; undefined: the handler has just made it. */
  readonly age: number | undefined;
  /** The body that is sent; undefined before the first hook. */
  body: SentBody | undefined;
  readonly #page: Page | undefined;
  readonly #isTyped: boolean;
  #areApart = false;

  /** `isTyped`: the response has a content type of its own, not the default that Fastify adds. */
  constructor(run: HandlerRun | undefined, page?: Page, age?: number, isTyped = true) {
    this.run = run;
    this.#page = page;
    this.age = age;
    this.#isTyped = isTyped;
  }

  /** The page of this response; undefined: the response is for its own request only. */
  get page(): Page | undefined {
    return this.run === undefined ? this.#page : this.run.page;
  }

  /** Called by the first of all hooks, with the response as it left the handler. */
  responded(reply: FastifyReply, payload: unknown): void {
    if (!this.#isTyped) reply.removeHeader("content-type");
    this.body = new SentBody(reply, payload);
    this.#areApart = false;
    this.run?.responded(payload);
  }

  /** Called between two hooks of the route. All hooks of the app have run before. */
  passes(reply: FastifyReply, payload: unknown): void {
    if (this.#areApart) this.body?.passedOne(reply, payload);
    else this.body?.passedSeveral(reply, payload);
    this.#areApart = true;
  }

  /** Called by the last of all hooks, with the response as it is sent. */
  isSent(reply: FastifyReply, payload: unknown): void {
    this.passes(reply, payload);
    this.run?.finished(payload);
  }
}
