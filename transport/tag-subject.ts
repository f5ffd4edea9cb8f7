import { isTagOrRoot, type Tag } from "../core/index.js";

/**
 * Tokens of the subject of `tag`, whose levels are divided by `:`. Injective for any text: `:` divides tokens, letters,
 * digits and `_` stand for themselves, `.` is `-`, and any other byte is `=` with two hexadecimal digits. The empty tag
 * is `=`. So `a.b:c` and `a:b.c` have two subjects.
 */
export function tagSubject(tag: string): string {
  return tag.split(":").map(levelToken).join(".");
}

/** The tag, or the root, for which `tagSubject` returns `tokens`; undefined: there is none. */
export function tagOfSubject(tokens: string): Tag | undefined {
  const tag = tokens === "=" ? "" : tokens.replaceAll(".", ":").replaceAll("-", ".");
  return isTagOrRoot(tag) && tagSubject(tag) === tokens ? tag : undefined;
}

const plain = /^\w+$/;

function levelToken(level: string): string {
  if (level === "") return "=";
  if (plain.test(level)) return level;
  let token = "";
  for (const byte of Buffer.from(level)) {
    const character = String.fromCharCode(byte);
    token += plain.test(character) ? character : character === "." ? "-" : `=${byte.toString(16).padStart(2, "0")}`;
  }
  return token;
}
