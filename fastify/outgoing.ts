import type { FastifyReply } from "fastify";
import type { HandlerRun } from "./handler-run.js";
import type { Page } from "./page.js";
import { SentBody } from "./sent-body.js";

/** A response of a cached route on its way through the `onSend` hooks: that of a run of the handler, or a page. */
export class OutgoingAnswer {
  readonly run: HandlerRun | undefined;
  /** Age of the page in seconds; undefined: the handler has just made it. */
  readonly age: number | undefined;
  /** What is sent; undefined before the first hook. */
  body: SentBody | undefined;
  readonly #page: Page | undefined;
  readonly #isTyped: boolean;
  #areApart = false;

  /** `isTyped`: the response says what its type is, before Fastify says it for those that do not. */
  constructor(run: HandlerRun | undefined, page?: Page, age?: number, isTyped = true) {
    this.run = run;
    this.#page = page;
    this.age = age;
    this.#isTyped = isTyped;
  }

  /** undefined: it is for its own request only. */
  get page(): Page | undefined {
    return this.run === undefined ? this.#page : this.run.page;
  }

  /** The first of all hooks: the response as it left the handler. */
  responded(reply: FastifyReply, payload: unknown): void {
    if (!this.#isTyped) reply.removeHeader("content-type");
    this.body = new SentBody(reply, payload);
    this.#areApart = false;
    this.run?.responded(payload);
  }

  /** Between two hooks of the route: those of the app have run before. */
  passes(reply: FastifyReply, payload: unknown): void {
    if (this.#areApart) this.body?.passedOne(reply, payload);
    else this.body?.passedSeveral(reply, payload);
    this.#areApart = true;
  }

  /** The last of all hooks: the response as it is sent. */
  isSent(reply: FastifyReply, payload: unknown): void {
    this.passes(reply, payload);
    this.run?.finished(payload);
  }
}
