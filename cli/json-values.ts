import type { Value } from "../index.js";
import { MalformedMessageError } from "../core/index.js";

/**
 * Values as JSON, without loss. A value that JSON cannot express becomes an object with one name that begins with `$`:
 * `{"$date": ISO}`, `{"$bytes": base64}`, `{"$bigint": decimal}`, `{"$number": "NaN" | "Infinity" | "-Infinity"}`.
 * Names of the value that begin with `$` get a second one.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** `value` as JSON. */
export function toJson(value: Value): Json {
  if (typeof value === "bigint") return { $bigint: value.toString() };
  if (typeof value === "number") return Number.isFinite(value) ? value : { $number: String(value) };
  return typeof value === "object" && value !== null ? objectToJson(value) : value;
}

/** The JSON in `text`. Throws a SyntaxError, and MalformedMessageError for a number that JavaScript would round. */
export function parseJson(text: string): unknown {
  const json: unknown = JSON.parse(text);
  // JavaScript keeps numbers of up to 15 digits. Only a text with longer ones is searched.
  if (/[\d.]{16}/.test(text)) {
    for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g)) checkNumber(token);
  }
  return json;
}

function checkNumber(token: string): void {
  if (token.startsWith('"')) return;
  const digits = significantDigits(token);
  const number = Number(token);
  // The shortest and the exact text of a number may round a last digit of 5 in different directions. Accept both.
  const isKept =
    digits.length <= 15 ||
    significantDigits(String(number)) === digits ||
    (digits.length <= 100 && significantDigits(number.toPrecision(digits.length)) === digits);
  if (isKept) return;
  const way = /^-?\d+$/.test(token) ? `: a whole number of that size is {"$bigint": "${token}"}` : "";
  throw malformed(`the number ${token} would be rounded to ${number}${way}`);
}

/** Digits of a decimal number, without its sign, point, exponent and the zeros around them. */
function significantDigits(decimal: string): string {
  const digits = decimal.replace(/[eE].*$/, "").replace(/[-.]/g, "");
  return digits.replace(/^0+/, "").replace(/0+$/, "");
}

/** The value in `json`. Throws MalformedMessageError. */
export function fromJson(json: unknown): Value {
  if (json === null || typeof json === "string" || typeof json === "boolean") return json;
  if (typeof json === "number") {
    if (!Number.isFinite(json)) throw malformed("a number is too large");
    return json;
  }
  if (Array.isArray(json)) return json.map(fromJson);
  if (typeof json !== "object") throw malformed(`${typeof json} is not JSON`);
  const entries = Object.entries(json);
  const [first] = entries;
  if (entries.length === 1 && first !== undefined && /^\$[^$]/.test(first[0])) return fromTag(first[0], first[1]);
  return Object.fromEntries(entries.map(([name, part]) => [unescaped(name), fromJson(part)]));
}

function objectToJson(value: Exclude<Extract<Value, object>, null>): Json {
  if (value instanceof Date) return { $date: value.toISOString() };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return (value as readonly Value[]).map(toJson);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name.startsWith("$") ? `$${name}` : name, toJson(part)]));
}

function fromTag(tag: string, content: unknown): Value {
  if (typeof content !== "string") throw malformed(`${tag} is not followed by a string`);
  switch (tag) {
    case "$date": {
      const date = new Date(content);
      if (Number.isNaN(date.getTime())) throw malformed(`$date ${JSON.stringify(content)} is no date`);
      return date;
    }
    case "$bytes": {
      const bytes = Buffer.from(content, "base64");
      if (bytes.toString("base64") !== content) throw malformed("$bytes is not base64");
      return new Uint8Array(bytes);
    }
    case "$bigint":
      if (!/^-?\d+$/.test(content)) throw malformed(`$bigint ${JSON.stringify(content)} is no whole number`);
      return BigInt(content);
    case "$number":
      if (!["NaN", "Infinity", "-Infinity"].includes(content)) throw malformed(`$number ${JSON.stringify(content)} is not known`);
      return Number(content);
    default:
      throw malformed(`${tag} is not known; a name that begins with $ is written with $$`);
  }
}

function unescaped(name: string): string {
  if (!name.startsWith("$")) return name;
  if (!name.startsWith("$$")) throw malformed(`${name} stands beside other names; a name that begins with $ is written with $$`);
  return name.slice(1);
}

function malformed(reason: string): MalformedMessageError {
  return new MalformedMessageError({ what: "JSON", reason });
}
