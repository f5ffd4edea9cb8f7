const wide =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;
const none = /^[\p{M}\p{Cf}]$/u;
/** Most texts are of characters that take one column each. */
const narrow = /^[\u0020-\u007e\u00a0-\u02ff]*$/;

function columnsOfCharacter(character: string): number {
  return none.test(character) ? 0 : wide.test(character) ? 2 : 1;
}

/** Columns of a terminal that `text` takes: a wide character takes two, and a mark on another character none. */
export function columnsOf(text: string): number {
  if (narrow.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += columnsOfCharacter(character);
  return columns;
}

/** `text`, filled with spaces to `columns`. */
export function paddedTo(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - columnsOf(text)));
}

/** At most `columns` columns of `text`; a cut is marked. */
export function cutTo(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let cut = "";
  let taken = 1;
  for (const character of text) {
    taken += columnsOfCharacter(character);
    if (taken > columns) break;
    cut += character;
  }
  return `${cut}…`;
}

/** Lines of a table: columns as wide as their widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => columnsOf(row[column] ?? ""))));
  return all.map((row) =>
    row
      .map((cell, column) => paddedTo(cell, widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
