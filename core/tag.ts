import { InvalidTagError } from "./errors.js";
import { limits } from "./limits.js";

declare const tagBrand: unique symbol;

/**
 * Name of something that results depend on: levels of ASCII letters, digits, `_` and `.`, separated by `:`, from the
 * widest to the narrowest.
 */
export type Tag = string & { readonly [tagBrand]: true };

/** The tag above all other tags: its invalidation invalidates everything. Users cannot name it. */
export const rootTag = "" as Tag;

const shape = /^[\w.]+(?::[\w.]+)*$/;

/** Maximum number of characters of a refused tag that an error repeats. */
const shownLengthMax = 64;

/** `value` as a Tag. Throws InvalidTagError. */
export function asTag(value: unknown): Tag {
  if (typeof value !== "string") throw new InvalidTagError({ tag: typeof value, reason: "is not a string" });
  const refuse = (reason: string) => new InvalidTagError({ tag: value.slice(0, shownLengthMax), reason });
  if (value.length > limits.tagLengthMax) throw refuse(`is longer than ${limits.tagLengthMax} characters`);
  if (!shape.test(value)) throw refuse("is not levels of letters, digits, _ and . separated by :");
  if (levelCount(value) > limits.tagLevelsMax) throw refuse(`has more than ${limits.tagLevelsMax} levels`);
  return value as Tag;
}

/** Whether an invalidation can name `text`: a tag, or the root. */
export function isTagOrRoot(text: string): text is Tag {
  return text === rootTag || (text.length <= limits.tagLengthMax && shape.test(text) && levelCount(text) <= limits.tagLevelsMax);
}

/** Whether an invalidation of `ancestor` invalidates `tag`: they are the same, or `ancestor` is a parent. */
export function isBelow(tag: Tag, ancestor: Tag): boolean {
  if (ancestor === rootTag) return true;
  return tag.startsWith(ancestor) && (tag.length === ancestor.length || tag.charAt(ancestor.length) === ":");
}

/**
 * Whether an invalidation of any of `tags` invalidates a result that depends on `own`: each of `tags` is in `own` or is
 * a parent of one. False when `tags` is undefined.
 */
export function coversTags(own: readonly Tag[], tags: readonly Tag[] | undefined): boolean {
  return tags?.every((tag) => tag === rootTag || own.includes(tag) || own.some((below) => isBelow(below, tag))) === true;
}

function levelCount(text: string): number {
  let count = 1;
  for (let at = text.indexOf(":"); at !== -1; at = text.indexOf(":", at + 1)) count++;
  return count;
}
