/** Paths of states, as the targets of transitions in XState have them. */

/** Names of states from the outermost in. */
export type StatePath = readonly string[];

/** `path` as text: names with `.` between. A `.` or `\` in a name has a `\` before it. */
export function statePathText(path: StatePath): string {
  return path.map((name) => name.replaceAll(/[.\\]/g, "\\$&")).join(".");
}

/** The names in `text`, as statePathText wrote it; none for the machine itself. */
export function namesInStatePath(text: string): StatePath {
  if (text === "") return [];
  const names = [""];
  for (const [part, escaped] of text.matchAll(/\\(.?)|[^]/gsu)) {
    if (part === ".") names.push("");
    else names[names.length - 1] += escaped ?? part;
  }
  return names;
}
