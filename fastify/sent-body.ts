import type { FastifyReply } from "fastify";
import { type Body, bodyOf, etagOf, type Page } from "./page.js";

/**
 * The state of a response body as it passes the `onSend` hooks. It is inspected before and after each hook of the
 * route:
 *
 *     whole      a string or bytes: known, also when a hook has changed them
 *     encoded    the output of one hook for a whole body, when it set a content coding: bytes or a stream
 *     unknown    any other stream
 */
export class SentBody {
  #payload: unknown;
  /** The bytes that are sent; undefined: they are not known. */
  #bytes: Body | undefined;
  /** The body without the coding that one hook applied; undefined: it is not known. */
  #source: Body | undefined;
  #coding: string;
  #etag: unknown;

  /** The body before the first hook. */
  constructor(reply: FastifyReply, payload: unknown) {
    this.#payload = payload;
    this.#bytes = this.#source = bodyOf(payload);
    this.#coding = codingOf(reply);
    this.#etag = reply.getHeader("etag");
  }

  /** Several hooks may have run since the last look, so the changes of each one are not known. */
  passedSeveral(reply: FastifyReply, payload: unknown): void {
    if (payload !== this.#payload) this.#bytes = this.#source = bodyOf(payload);
    this.#look(reply, payload);
  }

  /** At most one hook has run since the last look. */
  passedOne(reply: FastifyReply, payload: unknown): void {
    const isHead = payload === null && reply.request.method === "HEAD";
    // A route for HEAD drops the body and keeps the fields that describe it.
    if (payload !== this.#payload && !isHead) {
      const isCoding = this.#source !== undefined && this.#coding === "identity" && codingOf(reply) !== "identity";
      if (isCoding) this.#weaken(reply);
      this.#bytes = bodyOf(payload);
      if (!isCoding) this.#source = this.#bytes;
    }
    this.#look(reply, payload);
  }

  /** Its entity tag: strong for known bytes, weak for a coding of known bytes; undefined: nothing is known. */
  etag(page: Page): string | undefined {
    const etag = (body: Body): string => (isSame(body, page.body) ? page.etag : etagOf(body));
    if (this.#bytes !== undefined) return etag(this.#bytes);
    return this.#source === undefined ? undefined : `W/${etag(this.#source)}`;
  }

  /** Whether it is the body of the page, or a coding of it. */
  isOf(page: Page): boolean {
    return this.#source !== undefined && isSame(this.#source, page.body);
  }

  #look(reply: FastifyReply, payload: unknown): void {
    this.#payload = payload;
    this.#coding = codingOf(reply);
    this.#etag = reply.getHeader("etag");
  }

  /** A strong tag that was set before belongs to the bytes before the coding (RFC 9110 §8.8.3.3). */
  #weaken(reply: FastifyReply): void {
    const etag = reply.getHeader("etag");
    if (typeof etag === "string" && etag === this.#etag && etag.startsWith('"')) reply.header("etag", `W/${etag}`);
  }
}

function codingOf(reply: FastifyReply): string {
  return String(reply.getHeader("content-encoding") ?? "identity");
}

/** Compares memory, because Fastify makes a Buffer of other byte arrays that shares their memory. */
function isSame(one: Body, other: Body): boolean {
  if (one === other) return true;
  if (!(one instanceof Uint8Array) || !(other instanceof Uint8Array)) return false;
  return one.buffer === other.buffer && one.byteOffset === other.byteOffset && one.byteLength === other.byteLength;
}
