import { type Clock, ClosedError, limits, Pace } from "../../../core/index.js";
import type { CachePage } from "./messages.js";

/** Options of `listPage`. */
export interface ListingOptions<Item, Row> {
  /** All items, in any order. An item that changes during the listing may be included or not. */
  readonly items: Iterable<Item>;
  /** Approximate number of items. */
  readonly count: number;
  /** Unique text that orders the rows; undefined: the request does not ask for this item. */
  readonly orderOf: (item: Item) => string | undefined;
  /** Undefined: the item no longer exists. Called for few more items than the page lists. */
  readonly rowOf: (item: Item) => Row | undefined;
  /** Name of a row in `next` of a page. */
  readonly nameOf: (row: Row) => string;
  readonly bytesOf: (row: Row) => number;
  /** The page holds only rows whose order is after this text. */
  readonly after: string | undefined;
  readonly rowsMax: number;
  readonly clock: Clock;
  readonly isClosed: () => boolean;
}

/** Items between two checks of the clock. */
const stride = 256;

/**
 * The first `rowsMax` rows after `after`, ordered. The items have no order, so this reads all of them, in steps that
 * let other work run, and holds at most about twice `rowsMax` rows in memory. A page of large rows has fewer rows, but
 * at least one. Rejects with ClosedError.
 */
export async function listPage<Item, Row>(options: ListingOptions<Item, Row>): Promise<CachePage<Row>> {
  const { items, orderOf, rowOf, after, rowsMax, clock } = options;
  // One row more than the page shows whether another page follows.
  const wanted = rowsMax + 1;
  // Iteration reaches items that are added meanwhile after all others. The limit ends it even if additions never stop.
  let left = 2 * (options.count + stride);
  let kept = new Map<string, Row>();
  let last: string | undefined;
  const pace = new Pace(clock);
  for (const item of items) {
    if (left-- === 0) break;
    if (left % stride === 0 && pace.isOver) {
      await pace.rest();
      if (options.isClosed()) throw new ClosedError({ what: "cache" });
    }
    const order = orderOf(item);
    if (order === undefined || (after !== undefined && order <= after) || (last !== undefined && order > last)) continue;
    const row = rowOf(item);
    if (row === undefined) continue;
    kept.set(order, row);
    if (kept.size < 2 * wanted) continue;
    const first = inOrder(kept).slice(0, wanted);
    kept = new Map(first);
    last = first.at(-1)?.[0];
  }
  return pageOf(
    inOrder(kept).map(([, row]) => row),
    options,
  );
}

function inOrder<Row>(rows: ReadonlyMap<string, Row>): readonly (readonly [order: string, row: Row])[] {
  return [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function pageOf<Item, Row>(rows: readonly Row[], { rowsMax, bytesOf, nameOf }: ListingOptions<Item, Row>): CachePage<Row> {
  let bytes = 0;
  let count = 0;
  for (const row of rows.slice(0, rowsMax)) {
    bytes += bytesOf(row);
    if (count > 0 && bytes > limits.listPageBytesMax) break;
    count++;
  }
  const listed = rows.slice(0, count);
  const final = listed.at(-1);
  return { rows: listed, next: final === undefined || count === rows.length ? undefined : nameOf(final) };
}
