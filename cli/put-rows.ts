import { InvalidValueError, type Value } from "../index.js";
import { badLine, type NumberedRow } from "./ndjson.js";

/** Rows in one transaction. They share the cost of a commit, and stay far below the size of one message. */
export const rowsPerTransaction = 500;
/** A transaction stays well below messageBytesMax, encoded or as JSON. */
const transactionBytesMax = 4 * 1024 * 1024;
/** The server always has the next transactions while it writes one. More would only wait in its queue. */
const transactionsInFlightMax = 6;

/** Takes the rows. An ObjectClient is one. */
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
  /** Whether the rows of a transaction are stored already. Then it is not written, and `onDurable` is not called. */
  readonly isThere?: (rows: readonly NumberedRow[]) => boolean;
}

/** `lastLine`: this line and all lines before it are stored; 0 when none is. */
export interface PutRowsResult {
  readonly rows: number;
  readonly bytes: number;
  readonly lastLine: number;
  /** The error that ended it before the last row. */
  readonly error: Error | undefined;
}

/**
 * Puts rows in large transactions, several at a time. Each transaction is stored as a whole or not at all, and the
 * limits between transactions depend on the rows alone. A bad row or a failed commit ends it; the result then has the
 * error and `lastLine`. Transactions after that line may be stored, too: an import that goes on from there puts their
 * rows again.
 */
export async function putRows(store: RowStore, rows: AsyncIterable<NumberedRow>, options: PutRowsOptions = {}): Promise<PutRowsResult> {
  const inFlight = new Set<Promise<void>>();
  /** Transactions that are not stored yet, in order. A failed one stays, and keeps `lastLine` before it. */
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
  // The rows before a bad line are good: store them. After a failed commit, begin no other.
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
