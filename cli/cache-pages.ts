import type { CacheListing, CachePage } from "../cache.js";

/** Rows of one node, as many as were wanted; `next`: there are more after it. */
export type Listed<Row> = CachePage<Row>;

/** Rows of one page: as many as a node gives at once. */
const pageRowsMax = 1_000;

/** Reads pages until there are `limit` rows, or no more. */
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
