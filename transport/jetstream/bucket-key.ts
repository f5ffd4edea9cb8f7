import { createHash } from "node:crypto";

/** A token this long is legal everywhere, with room for the rest of its subject. */
const tokenLengthMax = 200;
const hashMark = "==";
const plain = /^\w+$/;

/**
 * Token of the subject of `key`, no longer than some 200 characters: letters, digits and `_` stand for themselves, any other UTF-16 unit
 * is `=` with its four hexadecimal digits; a key that would be too long is told by its SHA-256. No two keys have one.
 */
export function keyToken(key: string): string {
  if (key !== "" && key.length <= tokenLengthMax) {
    const token = plain.test(key) ? key : escaped(key);
    if (token.length <= tokenLengthMax) return token;
  }
  return hashMark + createHash("sha256").update(key, "utf16le").digest("hex");
}

function escaped(key: string): string {
  return key.replaceAll(/[^\w]/g, (unit) => `=${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
