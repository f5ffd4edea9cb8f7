import { columnsOf, paddedTo } from "./text-columns.js";

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
