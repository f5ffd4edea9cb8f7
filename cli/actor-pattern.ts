/** A predicate on actors, from the text of a pattern. */
export interface ActorPattern {
  readonly text: string;
  matches(actor: { readonly path: string; readonly name?: string | undefined }): boolean;
}

/**
 * The actors that a pattern of the command line means: a path with `*` for a part of one name and `**` for any names,
 * the children of such an actor, or the id of a machine. Without a pattern, all actors.
 */
export function actorPattern(text: string | undefined): ActorPattern {
  if (text === undefined) return { text: "**", matches: () => true };
  const source = text
    .split(/(\*\*|\*)/)
    .map((part) => (part === "**" ? ".*" : part === "*" ? "[^/#]*" : part.replaceAll(/[\\^$.|?+()[\]{}]/g, "\\$&")))
    .join("");
  const path = new RegExp(`^${source}(?:#.*)?$`, "s");
  const machine = new RegExp(`^${source}$`, "s");
  return { text, matches: ({ path: at, name }) => path.test(at) || (name !== undefined && machine.test(name)) };
}
