import { asTag, InvalidTagError, type Tag } from "../../core/index.js";

/** One tag or several. `tag` writes a tag that holds a value, and takes any text: `` tag`cities:${id}` ``. */
export type Tags = string | readonly string[];

/** Throws InvalidTagError. */
export function asTags(tags: Tags): readonly Tag[] {
  if (typeof tags === "string") return [asTag(tags)];
  if (!Array.isArray(tags)) throw new InvalidTagError({ tag: typeof tags, reason: "is neither a tag nor a list of tags" });
  return tags.map((tag) => asTag(tag));
}
