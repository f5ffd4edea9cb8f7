import { createHash } from "node:crypto";
import { limits } from "../core/index.js";
import { cacheDirectives, directiveSecs, listedNames } from "./http-fields.js";
import type { PageTime } from "./page-time.js";

/** Changes whenever Page does: pages of another format that a folder or bucket holds are not used. */
export const pageFormat = 2;

/** What a route answered: structured data, so that every tier can hold it. */
export interface Page {
  readonly status: number;
  /** Names in lower case. Those that the handler set, not those that hooks set for each request. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Names of fields that hooks had set, and that the handler removed. */
  readonly removed: readonly string[];
  readonly body: Body;
  /** Strong: of the bytes of `body`. */
  readonly etag: string;
  /** Seconds that the response itself says it is fresh for; undefined: it says nothing. */
  readonly lifetimeSecs: number | undefined;
  readonly made: PageTime;
}

/** A body that is known as a whole; null: there is none. */
export type Body = string | Uint8Array | null;

/** Header fields of a response, as Fastify gives them. */
export type Fields = Readonly<Record<string, unknown>>;

/** A response as it left the handler, before hooks change what is sent. */
export interface Draft {
  readonly status: number;
  readonly fields: Fields;
  /** Those that stood there before the handler ran. */
  readonly fieldsBefore: Fields;
  readonly payload: unknown;
  readonly made: PageTime;
}

/** The same response as it is sent, after all hooks. */
export interface Sent {
  readonly status: number;
  readonly fields: Fields;
}

/** Which responses may be given to other requests than their own. */
export interface SharingRules {
  /** Header fields of requests that tell one page from another, in lower case. */
  readonly vary: ReadonlySet<string>;
  readonly bodyBytesMax: number;
}

/**
 * Statuses that are kept by default: those that RFC 9110 §15.1 lets caches keep without an explicit lifetime, except the ones
 * that are about the request and not about the resource (206, 405, 414, 501).
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
 * The page that other requests may be given; undefined: this response is for its own request only. That is so when the response, as it left
 * the handler or as it is sent, sets a cookie, is `private`, `no-store`, `no-cache` or not fresh, or varies by fields that do not tell pages
 * apart; when hooks change its status; and when its body is a stream or too large.
 */
export function pageOf(draft: Draft, sent: Sent, rules: SharingRules): Page | undefined {
  const { status, fields, fieldsBefore, payload, made } = draft;
  if (sent.status !== status && sent.status !== 304) return undefined;
  if (!isForOthers(fields) || !isForOthers(sent.fields) || unchosenVary(draft, sent, rules).length > 0) return undefined;
  const lifetimeSecs = shorter(freshSecs(fields, made.wallMs), freshSecs(sent.fields, made.wallMs));
  if (lifetimeSecs === 0) return undefined;
  const body = bodyOf(payload);
  if (body === undefined || byteLengthOf(body) > rules.bodyBytesMax) return undefined;
  const headers = headersOf(fields, fieldsBefore);
  const removed = Object.keys(fieldsBefore).filter((name) => fields[name] === undefined);
  return { status, headers, removed, body, etag: etagOf(body), lifetimeSecs, made };
}

/**
 * Names in the `Vary` of a response by which its page is not told apart from others.
 *
 * What hooks named before the handler ran is part of the page's key, because the handler may depend on it. What the handler and later hooks
 * name has to be in `vary`. The one exception is a coding that hooks apply to an uncoded body: they choose it again for each request.
 */
export function unchosenVary({ fields, fieldsBefore }: Draft, sent: Sent, { vary }: SharingRules): readonly string[] {
  const before = listedNames(fieldsBefore["vary"]);
  const handled = listedNames(fields["vary"]);
  const isCodedByHooks = (name: string): boolean =>
    name === "accept-encoding" && !handled.has(name) && fields["content-encoding"] === undefined;
  return [...new Set([...handled, ...listedNames(sent.fields["vary"])])].filter(
    (name) => !before.has(name) && !vary.has(name) && !isCodedByHooks(name),
  );
}

/** Its fields allow that others are given it. */
export function isForOthers(fields: Fields): boolean {
  if (fields["set-cookie"] !== undefined) return false;
  const directives = cacheDirectives(textOf(fields["cache-control"]));
  return !["no-store", "no-cache", "private"].some((directive) => directives.has(directive));
}

/** Seconds that a response is still fresh for, by RFC 9111 §4.2; undefined: it does not say. */
function freshSecs(fields: Fields, nowMs: number): number | undefined {
  const directives = cacheDirectives(textOf(fields["cache-control"]));
  const age = Number(textOf(fields["age"]) ?? 0);
  const lifetime = directiveSecs(directives, "s-maxage") ?? directiveSecs(directives, "max-age") ?? expiresSecs(fields, nowMs);
  return lifetime === undefined ? undefined : Math.max(0, lifetime - (age > 0 ? age : 0));
}

/** By `Expires`; 0 for what is no date, which RFC 9111 §5.3 takes for the past. */
function expiresSecs(fields: Fields, nowMs: number): number | undefined {
  const text = textOf(fields["expires"]);
  if (text === undefined) return undefined;
  const dateMs = Date.parse(textOf(fields["date"]) ?? "");
  const secs = Math.floor((Date.parse(text) - (Number.isNaN(dateMs) ? nowMs : dateMs)) / 1_000);
  return secs > 0 ? Math.min(secs, limits.durationSecsMax) : 0;
}

/** The lesser of those that are known. */
export function shorter(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
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

/** The body that a payload is; undefined: it is a stream, and not known as a whole. */
export function bodyOf(payload: unknown): Body | undefined {
  if (payload === undefined || payload === null) return null;
  if (typeof payload === "string") return payload;
  return payload instanceof Uint8Array ? payload : undefined;
}

function byteLengthOf(body: Body): number {
  return body === null ? 0 : Buffer.byteLength(body);
}

/** A strong entity tag: of the bytes of a body. */
export function etagOf(body: Body): string {
  return `"${createHash("sha256")
    .update(body ?? "")
    .digest("base64url")
    .slice(0, etagLength)}"`;
}

/** 144 bits: two bodies with one tag cannot be found. */
const etagLength = 24;

function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return Array.isArray(value) ? value.join(",") : String(value);
}
