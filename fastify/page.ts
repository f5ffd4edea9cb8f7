import { createHash } from "node:crypto";
import { limits } from "../core/index.js";
import { cacheDirectives, directiveSecs, listedNames } from "./http-fields.js";
import type { PageTime } from "./page-time.js";

/** Changes whenever Page does. Pages of another format in a folder or bucket are not used. */
export const pageFormat = 2;

/** The response of a route as structured data, so that every tier can hold it. */
export interface Page {
  readonly status: number;
  /** Names in lower case. Fields that the handler set, without the fields that hooks set for each request. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Names of fields that hooks had set and the handler removed. */
  readonly removed: readonly string[];
  readonly body: Body;
  /** A strong entity tag: the hash of the bytes of `body`. */
  readonly etag: string;
  /** Seconds that the response itself says it is fresh for; undefined: it does not say. */
  readonly lifetimeSecs: number | undefined;
  readonly made: PageTime;
}

/** A body that is known as a whole; null: there is none. */
export type Body = string | Uint8Array | null;

/** Header fields of a response, as Fastify gives them. */
export type Fields = Readonly<Record<string, unknown>>;

/** A response as it left the handler, before hooks change it. */
export interface Draft {
  readonly status: number;
  readonly fields: Fields;
  /** Fields that were set before the handler ran. */
  readonly fieldsBefore: Fields;
  readonly payload: unknown;
  readonly made: PageTime;
}

/** The same response as it is sent, after all hooks. */
export interface Sent {
  readonly status: number;
  readonly fields: Fields;
}

/** Rules that decide which responses other requests may get. */
export interface SharingRules {
  /** Request header fields by which pages differ, in lower case. */
  readonly vary: ReadonlySet<string>;
  readonly bodyBytesMax: number;
}

/**
 * Statuses that are kept by default: the ones that RFC 9110 §15.1 lets caches keep without an explicit lifetime, except
 * the ones that are about the request and not about the resource (206, 405, 414, 501).
 */
export const keptStatuses: readonly number[] = [200, 203, 204, 300, 301, 308, 404, 410];

/** Fields that belong to one message or one connection only. */
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
 * The page that other requests may get; undefined: this response is for its own request only. It is for its own request
 * only when the response, as it left the handler or as it is sent, sets a cookie, is `private`, `no-store`, `no-cache`
 * or not fresh, or varies by fields that are not in the key of pages; when hooks change its status; and when its body
 * is a stream or too large.
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
 * Names in the `Vary` of a response that are not part of the key of its page.
 *
 * Names that hooks set before the handler ran are part of the page's key, because the handler may depend on them. Names
 * that the handler and later hooks add must be in `vary`. The one exception is a coding that hooks apply to an uncoded
 * body: they choose it again for each request.
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

/** Whether its fields allow other requests to get it. */
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

/** Freshness by `Expires`; 0 for an invalid date, which RFC 9111 §5.3 treats as a time in the past. */
function expiresSecs(fields: Fields, nowMs: number): number | undefined {
  const text = textOf(fields["expires"]);
  if (text === undefined) return undefined;
  const dateMs = Date.parse(textOf(fields["date"]) ?? "");
  const secs = Math.floor((Date.parse(text) - (Number.isNaN(dateMs) ? nowMs : dateMs)) / 1_000);
  return secs > 0 ? Math.min(secs, limits.durationSecsMax) : 0;
}

/** The lesser of the known values. */
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

/** The payload as a body; undefined: it is a stream, and not known as a whole. */
export function bodyOf(payload: unknown): Body | undefined {
  if (payload === undefined || payload === null) return null;
  if (typeof payload === "string") return payload;
  return payload instanceof Uint8Array ? payload : undefined;
}

function byteLengthOf(body: Body): number {
  return body === null ? 0 : Buffer.byteLength(body);
}

/** A strong entity tag: the hash of the bytes of a body. */
export function etagOf(body: Body): string {
  return `"${createHash("sha256")
    .update(body ?? "")
    .digest("base64url")
    .slice(0, etagLength)}"`;
}

/** 144 bits: two bodies with the same hash cannot be found. */
const etagLength = 24;

function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return Array.isArray(value) ? value.join(",") : String(value);
}
