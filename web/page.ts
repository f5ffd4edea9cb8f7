import { createHash } from "node:crypto";
import { cacheDirectives, directiveSecs, listedNames } from "./http-fields.js";

/** What a route answered: structured data, so that every tier can hold it. */
export interface Page {
  readonly status: number;
  /** Names in lower case. Those that the handler set, not those that hooks set for each request. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string | Uint8Array | null;
  readonly etag: string;
  /** Wall clock, milliseconds since 1970. */
  readonly madeMs: number;
}

/** Header fields of a response, as Fastify gives them. */
export type Fields = Readonly<Record<string, unknown>>;

/** A response as it left the handler, before hooks change what is sent. */
export interface Draft {
  readonly status: number;
  readonly fields: Fields;
  /** Those that stood there before the handler ran. */
  readonly fieldsBefore: Fields;
  readonly payload: unknown;
  readonly madeMs: number;
}

/** Which responses may be given to others than who asked. */
export interface SharingRules {
  /** Header fields of requests that tell one page from another, in lower case. */
  readonly vary: ReadonlySet<string>;
  readonly bodyBytesMax: number;
}

/**
 * Statuses that are kept unless told otherwise: those that RFC 9110 §15.1 lets caches keep without being told, but for the ones
 * that speak of a request and not of what it asked for (206, 405, 414, 501).
 */
export const keptStatuses: readonly number[] = [200, 203, 204, 300, 301, 308, 404, 410];

/** Fields of one message, or of one connection: they belong to no other. */
const fieldsOfOneMessage = new Set([
  "age",
  "cache-status",
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-connection",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * The page that others may be given; undefined: this response is for its own request only. It is when it sets a cookie, is `private`,
 * `no-store` or `no-cache`, varies by more than what was chosen, is a stream, or is too large.
 */
export function pageOf(draft: Draft, { vary, bodyBytesMax }: SharingRules): Page | undefined {
  const { status, fields, fieldsBefore, payload, madeMs } = draft;
  if (fields["set-cookie"] !== undefined) return undefined;
  const directives = cacheDirectives(textOf(fields["cache-control"]));
  if (["no-store", "no-cache", "private"].some((directive) => directives.has(directive))) return undefined;
  if (lifetimeSecs(directives) === 0) return undefined;
  const before = listedNames(fieldsBefore["vary"]);
  const varied = [...listedNames(fields["vary"])].filter((name) => !before.has(name));
  if (varied.some((name) => !vary.has(name))) return undefined;
  const body = bodyOf(payload);
  if (body === undefined || byteLengthOf(body) > bodyBytesMax) return undefined;
  const headers = headersOf(fields, fieldsBefore);
  const own = headers["etag"];
  return { status, headers, body, etag: typeof own === "string" ? own : etagOf(body), madeMs };
}

/** Seconds that the handler itself says a page is good for; undefined: it says nothing. */
export function ownLifetimeSecs({ headers }: Page): number | undefined {
  return lifetimeSecs(cacheDirectives(textOf(headers["cache-control"])));
}

function lifetimeSecs(directives: ReadonlyMap<string, string>): number | undefined {
  return directiveSecs(directives, "s-maxage") ?? directiveSecs(directives, "max-age");
}

/** Seconds since a page was made, whole. Whoever made it may have another clock: never below 0. */
export function ageSecs(page: Page, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - page.madeMs) / 1_000));
}

function headersOf(fields: Fields, before: Fields): Record<string, string | readonly string[]> {
  const connection = listedNames(fields["connection"]);
  const headers: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null || fieldsOfOneMessage.has(name) || connection.has(name)) continue;
    const isAsBefore = String(value) === String(before[name]);
    if (isAsBefore) continue;
    headers[name] = Array.isArray(value) ? value.map(String) : String(value);
  }
  return headers;
}

/** undefined: it is not known as a whole. */
function bodyOf(payload: unknown): Page["body"] | undefined {
  if (payload === undefined || payload === null) return null;
  if (typeof payload === "string") return payload;
  return payload instanceof Uint8Array ? payload : undefined;
}

function byteLengthOf(body: Page["body"]): number {
  return body === null ? 0 : Buffer.byteLength(body);
}

/** Strong: of the bytes of the body. */
function etagOf(body: Page["body"]): string {
  return `"${createHash("sha256")
    .update(body ?? "")
    .digest("base64url")
    .slice(0, etagLength)}"`;
}

/** 144 bits: nobody finds two bodies with one. */
const etagLength = 24;

function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return Array.isArray(value) ? value.join(",") : String(value);
}
