import type { CacheListing, CachePage } from "../cache.js";

/** Rows of one node. `next`: the last key read, when there are more rows. */
export type Listed<Row> = CachePage<Row>;

/** A node returns at most this many rows at once. */
const pageRowsMax = 1_000;

/** Reads pages until there are `limit` rows, or the node has no more. */
export async function listPages<Row>(
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
