import { limits } from "../core/index.js";

/**
 * Directives of a Cache-Control field by name in lower case; "" for a directive without an argument. Malformed parts
 * are skipped.
 */
export function cacheDirectives(field: string | undefined): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  if (field === undefined) return directives;
  for (const [, name = "", quoted, plain = ""] of field.matchAll(/([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;"]*)))?/g)) {
    directives.set(name.toLowerCase(), quoted ?? plain);
  }
  return directives;
}

/** Seconds of a directive, a year at most; undefined if the directive is absent or not a number. */
export function directiveSecs(directives: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = directives.get(name);
  return text !== undefined && /^\d+$/.test(text) ? Math.min(Number(text), limits.durationSecsMax) : undefined;
}

/** Names in a field that is a list, such as Vary and Connection: in lower case, each once. */
export function listedNames(field: unknown): ReadonlySet<string> {
  const text = Array.isArray(field) ? field.join(",") : typeof field === "string" ? field : "";
  return new Set(
    text
      .split(",")
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== ""),
  );
}

/**
 * Whether an If-None-Match field names `etag`, by the weak comparison of RFC 9110 §13.1.2. Entity tags are found
 * anywhere in the field; other text matches nothing.
 */
export function namesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === "*") return true;
  const opaque = etag.replace(/^W\//, "");
  for (const [found] of ifNoneMatch.matchAll(/"[^"]*"/g)) {
    if (found === opaque) return true;
  }
  return false;
}
