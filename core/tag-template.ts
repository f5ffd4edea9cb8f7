import { createHash } from "node:crypto";
import { InvalidTagError } from "./errors.js";
import { limits } from "./limits.js";
import { asTag, type Tag } from "./tag.js";

/** What can stand in a template of `tag`. */
export type TagPart = string | number | bigint | boolean;

/** A character that a level writes as an escape. The point is one, as each escape begins with it. */
const escaped = /[^\w]/;
/** Follows a value that another value follows in the same level. It begins as an escape does, and is none. */
const separator = ".z";
const hashMark = "..";
/** In hexadecimal digits, 128 bits. Two texts with one hash would be invalidated together, and never too late. */
const hashLength = 32;

/**
 * A tag with values in it: `` tag`cities:${id}` ``. Each value stays within its level, any text can be one, and different values make different
 * tags. Letters, digits and `_` stay as they are; `tagLevel` says what becomes of the rest.
 * Throws InvalidTagError for a value of another type, and where the text around the values, or the length of the whole, is not that of a tag.
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
 * `value` as one level of a tag, different for different texts: letters, digits and `_` stay, each other byte of its UTF-8 form is a point and two
 * hexadecimal digits, and the empty text is one point. A level longer than tagLevelLengthMax is two points and a hash.
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
  // By its UTF-16 form, which every string has.
  return hashMark + createHash("sha256").update(text, "utf16le").digest("hex").slice(0, hashLength);
}

function textOf(value: unknown): string {
  switch (typeof value) {
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
    default:
      throw new InvalidTagError({ tag: "", reason: `holds ${value === null ? "null" : typeof value}, which is no text and no number` });
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
  // Half a surrogate pair as UTF-8 would write it, if it could.
  const unit = character.charCodeAt(0);
  return [0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)];
}
