import type { Command } from "commander";
import type { CacheListing, CacheNode, CachePage } from "../cache.js";
import { addCacheOptions, type Answered, askNodes, type CacheFlags } from "./cache-nodes.js";
import { option, parseInteger } from "./parsing.js";
import type { Surroundings } from "./surroundings.js";
import { table } from "./table.js";

/** Flags of every command that lists rows of the nodes of a cache. */
export interface ListingFlags extends CacheFlags {
  readonly after?: string;
  readonly limit: number;
}

/** The rows of one node. `next`: the last key or tag read, when there are more rows. */
export type Listed<Row> = CachePage<Row>;

/** Adds the flags of ListingFlags. `row`: what a row stands for, such as `key`. */
export function addListingOptions(command: Command, row: string): Command {
  command
    .addOption(option(`--after <${row}>`, undefined, `begin after this ${row}`))
    .addOption(
      option("--limit <count>", undefined, "list at most this many of each node").argParser(parseInteger(1, 1_000_000_000)).default(100),
    );
  return addCacheOptions(command);
}

/** Shows the rows that `read` finds at each node, as a table with `columns`, or as JSON. */
export async function showRows<Row extends object>(
  flags: ListingFlags,
  surroundings: Surroundings,
  read: (node: CacheNode, listing: CacheListing) => Promise<CachePage<Row>>,
  columns: readonly string[],
  cells: (answered: Answered<Listed<Row>>) => readonly (readonly string[])[],
): Promise<void> {
  const { out } = surroundings;
  await askNodes(
    flags,
    surroundings,
    (node) => listPages((listing) => read(node, listing), flags),
    async (answers) => {
      if (flags.json === true) {
        for (const { node, answer } of answers) {
          for (const row of answer.rows) await out.json({ node: node.node, instance: node.instance, ...row });
        }
      } else for (const line of table(columns, answers.flatMap(cells))) await out.line(line);
      for (const { label, answer } of answers) {
        if (answer.next !== undefined) surroundings.say(`node ${label} has more: go on with --after ${JSON.stringify(answer.next)}`);
      }
    },
  );
}

/** A node returns at most this many rows at once. */
const pageRowsMax = 1_000;

/** Reads pages until there are `limit` rows, or the node has no more. */
async function listPages<Row>(
  read: (listing: CacheListing) => Promise<CachePage<Row>>,
  { after, limit }: { readonly after?: string; readonly limit: number },
): Promise<Listed<Row>> {
  const rows: Row[] = [];
  let next: string | undefined = after;
  for (;;) {
    const page = await read({ after: next, rowsMax: Math.min(pageRowsMax, limit - rows.length) });
    rows.push(...page.rows);
    next = page.next;
    if (next === undefined || rows.length >= limit) return { rows, next };
  }
}
