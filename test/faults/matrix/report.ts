import { readFileSync } from "node:fs";
import { natsServerVersion, requireNatsServer } from "../../../scripts/nats-server.mjs";
import { tiers, ways } from "./cell.js";
import type { CellResult } from "./run.js";

/** Versions and date of the run. */
export interface Versions {
  readonly date: string;
  readonly zooid: string;
  readonly node: string;
  readonly natsServer: string;
}

export function versionsNow(): Versions {
  const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
    readonly version: string;
  };
  return {
    date: new Date().toISOString().slice(0, 10),
    zooid: version,
    node: process.versions.node,
    natsServer: natsServerVersion(requireNatsServer()).replace(/^v/, ""),
  };
}

/** The matrix as a table in Markdown, readable as plain text too. A cell shows how many of its runs were right. */
export function matrixTable(results: readonly CellResult[]): string {
  const titles = [...new Set(results.map(({ row }) => row))];
  const shown = tiers.filter((tier) => results.some((result) => result.tier === tier));
  const head = ["", ...shown.map((tier) => `${tier}: ${ways.join(", ")}`)];
  const body = titles.map((title) => [
    title,
    ...shown.map((tier) => {
      const cells = ways.map((way) => results.filter((result) => result.row === title && result.tier === tier && result.way === way));
      return cells.every((cell) => cell.length === 0) ? "not promised" : cells.map(countOf).join(", ");
    }),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((line) => (line[column] ?? "").length)));
  const lineOf = (line: readonly string[]) => `| ${line.map((text, column) => text.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [lineOf(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body.map(lineOf)].join("\n");
}

/** The maximum of each figure, in words. */
export function matrixFigures(results: readonly CellResult[]): string {
  const longest = (name: "callMsMax" | "staleMsMax" | "settledMsMax") =>
    Math.max(0, ...results.filter(({ isCut }) => isCut).map((result) => result[name])).toFixed(0);
  return (
    `Where something was cut, silent or dead: longest call ${longest("callMsMax")} ms; longest that a node which could not know gave what ` +
    `another had invalidated ${longest("staleMsMax")} ms; longest from the end of the fault until all nodes were right ${longest("settledMsMax")} ms.`
  );
}

function countOf(runs: readonly CellResult[]): string {
  return runs.length === 0 ? "–" : `${runs.filter(({ wrongs }) => wrongs.length === 0).length}/${runs.length}`;
}
