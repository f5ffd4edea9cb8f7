import type { Command } from "commander";
import type { CacheListing, CacheNode, CachePage } from "../cache.js";
import { addCacheOptions, askNodes, type CacheFlags } from "./cache-nodes.js";
import { option, parseInteger } from "./parsing.js";
import type { Surroundings } from "./surroundings.js";

/** Flags of every command that lists rows of the nodes of a cache. */
export interface ListingFlags extends CacheFlags {
  readonly after?: string;
  readonly limit: number;
}

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
export function showRows<Row extends object>(
  flags: ListingFlags,
  surroundings: Surroundings,
  read: (node: CacheNode, listing: CacheListing) => Promise<CachePage<Row>>,
  columns: readonly string[],
  cells: (row: Row) => readonly string[],
): Promise<void> {
  return askNodes(flags, surroundings, (node) => listPages((listing) => read(node, listing), flags), {
    columns,
    cells: ({ rows }) => rows.map(cells),
    rows: ({ rows }) => rows,
    next: ({ next }) => next,
  });
}

/** A node returns at most this many rows at once. */
const pageRowsMax = 1_000;

/** Reads pages until there are `limit` rows, or the node has no more. */
async function listPages<Row>(
  read: (listing: CacheListing) => Promise<CachePage<Row>>,
  { after, limit }: { readonly after?: string; readonly limit: number },
): Promise<CachePage<Row>> {
  const rows: Row[] = [];
  let next: string | undefined = after;
  for (;;) {
    const page = await read({ after: next, rowsMax: Math.min(pageRowsMax, limit - rows.length) });
    rows.push(...page.rows);
    next = page.next;
    if (next === undefined || rows.length >= limit) return { rows, next };
  }
}
