import { createHash } from "node:crypto";
import { InvalidTagError } from "./errors.js";
import { limits } from "./limits.js";
import { asTag, type Tag } from "./tag.js";

/** A value in a template of `tag`. */
export type TagPart = string | number | bigint | boolean;

/** A character that a level writes as an escape. The point is one of them, because each escape begins with a point. */
const escaped = /[^\w]/;
/** Stands between two values in the same level. It begins like an escape, but is not one. */
const separator = ".z";
const hashMark = "..";
/**
 * Number of hexadecimal digits: 128 bits. Two texts with the same hash are invalidated together, which is never too
 * late.
 */
const hashLength = 32;

/**
 * A tag with values in it: `` tag`cities:${id}` ``. A value stays within its level, a value can be any text, and
 * different values make different tags. Letters, digits and `_` stay as they are; `tagLevel` describes how other
 * characters are written.
 * Throws InvalidTagError for a value of another type, and when the text around the values, or the length of the whole,
 * does not fit a tag.
 */
export function tag(texts: TemplateStringsArray, ...values: readonly TagPart[]): Tag {
  if (!Array.isArray(texts) || !Array.isArray(texts.raw)) {
    throw new InvalidTagError({ tag: "", reason: "is not written as a template: tag`cities:${id}`" });
  }
  let made = texts.raw[0] as string;
  for (let index = 0; index < values.length; index++) {
    const after = texts.raw[index + 1] as string;
    made += tagLevel(values[index] as TagPart);
    if (index < values.length - 1 && !after.includes(":")) made += separator;
    made += after;
  }
  return asTag(made);
}

/**
 * `value` as one level of a tag; different texts give different levels. Letters, digits and `_` stay, each other byte
 * of the UTF-8 form becomes a point and two hexadecimal digits, and the empty text becomes one point. A level longer
 * than tagLevelLengthMax becomes two points and a hash.
 * Throws InvalidTagError for a value of another type.
 */
export function tagLevel(value: TagPart): string {
  const text = typeof value === "string" ? value : textOf(value);
  if (text.length <= limits.tagLevelLengthMax) {
    if (text === "") return ".";
    if (!escaped.test(text)) return text;
    const level = escape(text);
    if (level.length <= limits.tagLevelLengthMax) return level;
  }
  // The hash is of the UTF-16 form, because every string has one.
  return hashMark + createHash("sha256").update(text, "utf16le").digest("hex").slice(0, hashLength);
}

function textOf(value: unknown): string {
  switch (typeof value) {
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
    default:
      throw new InvalidTagError({ tag: "", reason: `holds ${value === null ? "null" : typeof value}, which is neither text nor a number` });
  }
}

function escape(text: string): string {
  let level = "";
  for (const character of text) {
    if (!escaped.test(character)) level += character;
    else for (const byte of bytesOf(character)) level += `.${byte.toString(16).padStart(2, "0")}`;
  }
  return level;
}

function bytesOf(character: string): Iterable<number> {
  if (character.isWellFormed()) return Buffer.from(character);
  // Half a surrogate pair, in the bytes that UTF-8 would use for its code.
  const unit = character.charCodeAt(0);
  return [0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)];
}
