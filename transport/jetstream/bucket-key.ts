import { createHash } from "node:crypto";

/** A token of this length is legal on every server, with room for the rest of its subject. */
const tokenLengthMax = 200;
const hashMark = "==";
const plain = /^\w+$/;

/**
 * Token of the subject of `key`, of at most about 200 characters: letters, digits and `_` stand for themselves, any
 * other UTF-16 unit is `=` with its four hexadecimal digits. A key whose token would be longer is represented by its
 * SHA-256. No two keys have the same token.
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
