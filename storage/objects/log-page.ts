import { asTid, limits, type LoggedTransaction, type Tid } from "../../core/index.js";
import type { View } from "../kv/ordered-store.js";
import { decodeKeys, decodeLogHead, decodeLogKeys, keysKey, keysPerPart, logFrom } from "./records.js";

/** A transaction for a client that missed it. `keys` undefined: too many for a page; the client reads them in parts. */
export interface PagedTransaction extends Omit<LoggedTransaction, "id" | "keys"> {
  readonly keyCount: number;
  readonly keys: readonly string[] | undefined;
}

/** A part of the chain of transactions, read in one step. */
export interface LogPageAfter {
  /** In the order of commits; the first one follows the requested tid. */
  readonly transactions: readonly PagedTransaction[];
  /** Whether they reach the last durable tid. */
  readonly whole: boolean;
}

/** Content of a page: within its bounds, the step that reads and writes it takes a few milliseconds. */
class LogPage {
  readonly transactions: PagedTransaction[] = [];
  #expected: Tid;
  #keys = 0;
  #bytes = 0;

  constructor(after: Tid) {
    this.#expected = after;
  }

  /** Whether a transaction with this predecessor and size is the next one and has room. */
  takes({ previous, keyCount }: { readonly previous: Tid; readonly keyCount: number }, bytes: number): boolean {
    // The first one has another predecessor if the requested tid was pruned or never existed.
    if (previous !== this.#expected) return false;
    this.#keys += keyCount;
    this.#bytes += bytes;
    const { logPageTransactionsMax, invalidationKeysMax, logPageBytesMax } = limits;
    const isFull = this.transactions.length >= logPageTransactionsMax || this.#keys > invalidationKeysMax || this.#bytes > logPageBytesMax;
    return !isFull || this.transactions.length === 0;
  }

  append(transaction: PagedTransaction): void {
    this.transactions.push(transaction);
    this.#expected = transaction.tid;
  }

  upTo(last: Tid): LogPageAfter {
    return { transactions: this.transactions, whole: this.#expected === last };
  }
}

/** A page of the transactions in the invalidation queue after `tid`. */
export function pageOfQueue(following: readonly LoggedTransaction[], tid: Tid, last: Tid): LogPageAfter {
  const page = new LogPage(tid);
  for (const { previous, tid: next, digest, keys } of following) {
    let bytes = 0;
    for (const key of keys) bytes += key.length;
    const keyCount = keys.length;
    if (!page.takes({ previous, keyCount }, bytes)) break;
    page.append({ previous, tid: next, digest, keyCount, keys: keyCount > limits.invalidationKeysMax ? undefined : keys });
  }
  return page.upTo(last);
}

/**
 * A page of the log after `tid`, at most up to `last`: a view may be ahead of it. Pages end at the same transactions
 * for all clients.
 */
export function pageOfLog(view: View, tid: Tid, last: Tid): LogPageAfter {
  const page = new LogPage(tid);
  for (const [key, record] of view.range(logFrom(asTid(tid + 1)))) {
    const head = decodeLogHead(key, record);
    if (head.tid > last || !page.takes(head, record.length)) break;
    const { previous, digest, keyCount } = head;
    const keys = keyCount > limits.invalidationKeysMax ? undefined : keysIn(view, head.tid, record, keyCount);
    page.append({ previous, tid: head.tid, digest, keyCount, keys });
    if (head.place % limits.logPageTransactionsMax === 0) break;
  }
  return page.upTo(last);
}

function keysIn(view: View, tid: Tid, record: Uint8Array, keyCount: number): readonly string[] {
  const keys = decodeLogKeys(record);
  for (let part = 1; part * keysPerPart < keyCount; part++) {
    const bytes = view.get(keysKey(tid, part));
    if (bytes === undefined) break;
    keys.push(...decodeKeys(bytes));
  }
  return keys;
}
