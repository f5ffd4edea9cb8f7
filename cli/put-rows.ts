import { InvalidValueError, type Value } from "../index.js";
import { badLine, type NumberedRow } from "./ndjson.js";

/** Rows of one transaction: the cost of a commit is spread over them, and it stays far below one message. */
export const rowsPerTransaction = 500;
/** Encoded or written as JSON, a transaction stays well below messageBytesMax. */
const transactionBytesMax = 4 * 1024 * 1024;
/** While one is written, others are on their way; more would only wait in the server's queue. */
const transactionsInFlightMax = 6;

/** What rows are put into: an object client is one. */
export interface RowStore {
  transact(
    fn: (tx: { put(key: string, value: Value): Promise<void> | void }) => Promise<void> | void,
    options?: { readonly isolation?: "snapshot"; readonly signal?: AbortSignal },
  ): Promise<unknown>;
}

export interface PutRowsOptions {
  readonly signal?: AbortSignal;
  /** Called for each transaction when it is durable. */
  readonly onDurable?: (rows: number, bytes: number) => void;
  /** Whether the rows of a transaction are there already: it is not written then, and not told of. */
  readonly isThere?: (rows: readonly NumberedRow[]) => boolean;
}

/** `lastLine`: this line and all before it are in; 0 when none is. */
export interface PutRowsResult {
  readonly rows: number;
  readonly bytes: number;
  readonly lastLine: number;
  /** What ended it before the end of the rows. */
  readonly error: Error | undefined;
}

/**
 * Puts rows in transactions of many, several in flight. Each transaction is in whole or not at all, and the bounds
 * between them depend on the rows alone. What stops it, a bad row or a failed commit, is told with the last line up
 * to which everything is in; transactions after that one may be in too, so going on from there puts them again.
 */
export async function putRows(store: RowStore, rows: AsyncIterable<NumberedRow>, options: PutRowsOptions = {}): Promise<PutRowsResult> {
  const inFlight = new Set<Promise<void>>();
  /** Last lines of the transactions that are not in yet, in order; a failed one stays and holds `lastLine` back. */
  const waiting: { readonly lastLine: number; in: boolean }[] = [];
  let lastLine = 0;
  let rowsIn = 0;
  let bytesIn = 0;
  let commitError: unknown;
  let inputError: unknown;

  const put = (batch: readonly NumberedRow[]) => {
    const entry = { lastLine: batch.at(-1)?.line ?? 0, in: false };
    waiting.push(entry);
    const bytes = batch.reduce((sum, row) => sum + row.bytes, 0);
    const landed = () => {
      entry.in = true;
      for (let first = waiting[0]; first?.in === true; first = waiting[0]) {
        lastLine = first.lastLine;
        waiting.shift();
      }
      rowsIn += batch.length;
      bytesIn += bytes;
    };
    if (options.isThere?.(batch) === true) {
      landed();
      return;
    }
    const commit = store
      .transact(
        async (tx) => {
          for (const row of batch) await putRow(tx, row);
        },
        { isolation: "snapshot", ...(options.signal === undefined ? {} : { signal: options.signal }) },
      )
      .then(() => {
        landed();
        options.onDurable?.(batch.length, bytes);
      })
      .catch((reason: unknown) => {
        commitError ??= reason;
      })
      .finally(() => inFlight.delete(commit));
    inFlight.add(commit);
  };

  let batch: NumberedRow[] = [];
  let batchBytes = 0;
  const close = async () => {
    if (batch.length > 0) put(batch);
    batch = [];
    batchBytes = 0;
    if (inFlight.size >= transactionsInFlightMax) await Promise.race(inFlight);
  };
  try {
    for await (const row of rows) {
      options.signal?.throwIfAborted();
      if (batch.length >= rowsPerTransaction || batchBytes + row.bytes > transactionBytesMax) await close();
      if (commitError !== undefined) break;
      batch.push(row);
      batchBytes += row.bytes;
    }
  } catch (reason) {
    inputError = reason;
  }
  // What stands before a bad line is good: it goes in. After a failed commit nothing more is begun.
  if (commitError === undefined && options.signal?.aborted !== true) await close();
  await Promise.all(inFlight);
  return { rows: rowsIn, bytes: bytesIn, lastLine, error: asError(commitError ?? inputError) };
}

async function putRow(tx: { put(key: string, value: Value): Promise<void> | void }, row: NumberedRow): Promise<void> {
  try {
    await tx.put(row.key, row.value);
  } catch (error) {
    throw error instanceof InvalidValueError ? badLine(row.line, error) : error;
  }
}

function asError(reason: unknown): Error | undefined {
  return reason === undefined || reason instanceof Error ? reason : new Error(String(reason));
}
