import type { ClientCache } from "../../storage/client-cache/client-cache.js";
import {
  asKey,
  decodeValue,
  compareKeys,
  InvalidOptionError,
  isWhole,
  limits,
  MalformedMessageError,
  prefixRange,
  rangeHas,
  type KeyRange,
  type Tid,
  type Value,
} from "../../core/index.js";
import type { ClientConnection } from "./connection/connection.js";
import type { ClosingSignal } from "./closing.js";
import type { ListAnswer } from "../protocol/messages.js";
import { noteReading } from "./tracked-reads.js";
import type { ListOptions } from "./object-access.js";
import type { ServerLink } from "./connection/server-link.js";
import { written, type Writes } from "./write-set.js";
import * as wire from "../protocol/codec.js";

/** The part of a range that was read: a change in this part is a conflict. */
export interface ReadRange {
  readonly from: string;
  to: string | undefined;
}

export interface ListingContext {
  readonly snapshot: Tid;
  readonly cache: ClientCache;
  readonly writes: Writes;
  readonly signal: AbortSignal | undefined;
  readonly ending: ClosingSignal;
  readonly connection: ClientConnection;
  /** Throws when the transaction has ended. */
  readonly check: () => void;
  /** Adds the listing to the reads of the calling computations. Called for each page and after each row. */
  readonly note: () => void;
  /** Records that the rows of a range were read. */
  readonly record: (range: ReadRange) => void;
}

/** The range of keys that a listing with these options covers. Throws InvalidOptionError, InvalidKeyError. */
export function listedRange(prefix: string, options: ListOptions): KeyRange {
  if (prefix !== "") asKey(prefix);
  const { after, limit } = options;
  if (limit !== undefined && !isWhole(limit)) {
    throw new InvalidOptionError({ option: "limit", reason: "is not a whole number" });
  }
  const range = prefixRange(prefix);
  if (after === undefined) return range;
  const from = justAfter(asKey(after));
  return compareKeys(from, range.from) > 0 ? { from, to: range.to } : range;
}

/** The smallest key that can follow `key`, because no key contains NUL. */
function justAfter(key: string): string {
  return `${key}\u0001`;
}

/**
 * Yields the rows of `range` at the snapshot, with the transaction's own writes, page by page from the server. Records
 * only the consumed part of the range as read.
 */
export async function* listRows(
  context: ListingContext,
  range: KeyRange,
  limit: number,
): AsyncGenerator<readonly [key: string, value: Value], void, undefined> {
  const read: ReadRange = { from: range.from, to: range.from };
  const { writes } = context;
  let rows = 0;
  let isRecorded = false;
  let last: string | undefined;
  let from: string | undefined = range.from;
  /** Only the first page is cached: a long listing would evict entries that are in use. */
  let isFirstPage = true;

  const consumed = (to: string | undefined) => {
    read.to = to;
    if (!isRecorded) context.record(read);
    isRecorded = true;
  };

  while (from !== undefined && rows < limit) {
    context.note();
    const rowsMax = Math.min(limits.listPageRowsMax, limit - rows + writes.size);
    const page: ListAnswer = await noteReading(loadPage(context, { from, to: range.to }, rowsMax, isFirstPage));
    isFirstPage = false;
    const pageRange: KeyRange = { from, to: page.end ?? range.to };
    for (const row of merged(page, pageRange, writes, () => last)) {
      if (rows >= limit) return;
      context.check();
      last = row.key;
      const value = row.value();
      consumed(justAfter(row.key));
      if (value === undefined) continue;
      rows++;
      yield [row.key, value];
      context.note();
    }
    if (rows < limit) consumed(pageRange.to);
    from = page.end;
  }
}

interface ListedRow {
  readonly key: string;
  readonly value: () => Value | undefined;
}

/** Stored rows and own writes in the order of keys. An own write replaces the stored row of its key. */
function* merged(page: ListAnswer, range: KeyRange, writes: Writes, last: () => string | undefined): Generator<ListedRow> {
  const ownUpTo = function* (to: string | undefined): Generator<ListedRow> {
    for (;;) {
      const key = writes.size === 0 ? undefined : writes.first({ from: range.from, to }, last());
      const write = key === undefined ? undefined : writes.get(key);
      if (write === undefined) return;
      yield { key: write.key, value: () => written(write) };
    }
  };
  for (const { key, value } of page.rows) {
    yield* ownUpTo(key);
    const write = writes.get(key);
    yield { key, value: () => (write === undefined ? decodeValue(value).value : written(write)) };
  }
  yield* ownUpTo(range.to);
}

/**
 * Throws MalformedMessageError unless its rows belong to the range and are in order, and the rest of the range begins
 * after them. Otherwise a listing might not end.
 */
function checkPage({ rows, end }: ListAnswer, range: KeyRange): void {
  const answered: KeyRange = { from: range.from, to: end ?? range.to };
  let previous: string | undefined;
  for (const { key } of rows) {
    const follows = previous === undefined || compareKeys(key, previous) > 0;
    if (!follows || !rangeHas(answered, key))
      throw new MalformedMessageError({ what: "list answer", reason: "has rows that are not of its range" });
    previous = key;
  }
  const isFurther = end === undefined || (compareKeys(end, range.from) > 0 && (range.to === undefined || compareKeys(end, range.to) <= 0));
  if (!isFurther) throw new MalformedMessageError({ what: "list answer", reason: "does not end after it begins" });
}

function loadPage(context: ListingContext, range: KeyRange, rowsMax: number, isKept: boolean): Promise<ListAnswer> {
  const { ending, connection, signal } = context;
  return ending.sooner(connection.overReconnects((link) => askForPage(context, link, range, rowsMax, isKept), { signal }));
}

async function askForPage(
  context: ListingContext,
  link: ServerLink,
  range: KeyRange,
  rowsMax: number,
  isKept: boolean,
): Promise<ListAnswer> {
  context.check();
  const { snapshot, cache } = context;
  const ticket = cache.beginLoad(snapshot);
  try {
    const payload = wire.list.write({ session: link.session, snapshot, range, rowsMax: Math.min(rowsMax, limits.listPageRowsMax) });
    const page = await link.request("list", payload, wire.listAnswer);
    checkPage(page, range);
    if (isKept) for (const { key, ...revision } of page.rows) cache.admit(ticket, key, revision, page.asOf);
    return page;
  } finally {
    cache.endLoad(ticket);
  }
}
