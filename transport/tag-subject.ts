import { isTagOrRoot, rootTag, type Tag } from "../core/index.js";

/**
 * Tokens of the subject of `tag`, which is a tag or the root: the levels, divided by `.` in place of `:`, with `-` in
 * place of `.`. So `a.b:c` and `a:b.c` have two subjects. The root is `=`.
 */
export function tagSubject(tag: string): string {
  return tag === rootTag ? "=" : tag.replaceAll(".", "-").replaceAll(":", ".");
}

/** The tag, or the root, for which `tagSubject` returns `tokens`; undefined: there is none. */
export function tagOfSubject(tokens: string): Tag | undefined {
  if (tokens === "=") return rootTag;
  const tag = tokens.replaceAll(".", ":").replaceAll("-", ".");
  return tag !== rootTag && !tokens.includes(":") && isTagOrRoot(tag) ? tag : undefined;
}
