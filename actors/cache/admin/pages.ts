import { type Clock, ClosedError, limits } from "../../../core/index.js";
import type { CachePage } from "./messages.js";

/** Of what a page is to be made. */
export interface ListingOptions<Item, Row> {
  /** All there is, in any order. What changes meanwhile may be in it or not. */
  readonly items: Iterable<Item>;
  /** How many of them there are, more or less. */
  readonly count: number;
  /** Text that rows are ordered by, which no two have in common; undefined: not one of those asked for. */
  readonly orderOf: (item: Item) => string | undefined;
  /** Undefined: it is not there any more. Called for few more than are listed. */
  readonly rowOf: (item: Item) => Row | undefined;
  /** What `next` names a row by. */
  readonly nameOf: (row: Row) => string;
  readonly bytesOf: (row: Row) => number;
  /** Only what comes after this, by its order. */
  readonly after: string | undefined;
  readonly rowsMax: number;
  readonly clock: Clock;
  readonly isClosed: () => boolean;
}

/** Items looked at between two looks at the clock. */
const stride = 256;

/**
 * The first `rowsMax` rows after one, in their order, of items that have none: looks at all of them, in steps between which others run,
 * and never has more than twice as many in hand. Fewer rows than asked for when they are large, but at least one. Rejects with ClosedError.
 */
export async function listPage<Item, Row>(options: ListingOptions<Item, Row>): Promise<CachePage<Row>> {
  const { items, orderOf, rowOf, after, rowsMax, clock } = options;
  // One more tells whether there are more.
  const wanted = rowsMax + 1;
  // What is put meanwhile is met behind all else: this ends even when that goes on for ever.
  let left = 2 * (options.count + stride);
  let kept = new Map<string, Row>();
  let last: string | undefined;
  let endMs = clock.monotonic() + limits.pruningStepMsMax;
  for (const item of items) {
    if (left-- === 0) break;
    if (left % stride === 0 && clock.monotonic() >= endMs) {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 0));
      if (options.isClosed()) throw new ClosedError({ what: "cache" });
      endMs = clock.monotonic() + limits.pruningStepMsMax;
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
