import { asTid, type LoggedTransaction, type Tid, tidZero } from "../../core/index.js";
import type { View } from "../kv/ordered-store.js";
import { decodeKeys, decodeLogHead, decodeLogKeys, keysKey, keysPerPart, type LogHead, logFrom, logKey } from "./records.js";

/** The log in a view. Pruned transactions are not in it; the rest is a chain without gaps. */

/** A part of the chain of transactions. */
export interface TransactionsAfter {
  /** In the order of commits; the first one follows the requested tid. */
  readonly transactions: readonly LoggedTransaction[];
  /** Whether they reach the last durable tid. */
  readonly whole: boolean;
}

/** Heads of transactions after `tid`, in the order of commits; lazy. */
export function* headsAfter(view: View, tid: Tid): Generator<LogHead> {
  for (const [key, record] of view.range(logFrom(asTid(tid + 1)))) yield decodeLogHead(key, record);
}

/** Transactions after `tid`, in the order of commits; lazy. */
export function* transactionsAfter(view: View, tid: Tid): Generator<LoggedTransaction> {
  for (const [key, record] of view.range(logFrom(asTid(tid + 1)))) yield loggedTransaction(view, key, record);
}

/** Transactions in reverse order of commits; lazy. */
export function* transactionsBackwards(view: View): Generator<LoggedTransaction> {
  for (const [key, record] of view.range({ ...logFrom(asTid(0)), reverse: true })) yield loggedTransaction(view, key, record);
}

/** Head of the first transaction after `tid` in the log. */
export function firstAfter(view: View, tid: Tid): LogHead | undefined {
  const [first] = headsAfter(view, tid);
  return first;
}

/** Head of transaction `tid`; undefined when the log does not have it. */
export function headAt(view: View, tid: Tid): LogHead | undefined {
  const key = logKey(tid);
  const record = view.get(key);
  return record === undefined ? undefined : decodeLogHead(key, record);
}

/** Tid of the last transaction at or before `tid`; undefined when the log has none. */
export function lastAt(view: View, tid: Tid): Tid | undefined {
  for (const [key, record] of view.range({ from: logKey(tidZero), to: logKey(asTid(tid + 1)), reverse: true })) {
    return decodeLogHead(key, record).tid;
  }
  return undefined;
}

/** Keys `from` to `from + countMax` of a transaction; undefined when the log does not have it. */
export function keysAt(view: View, tid: Tid, from: number, countMax: number): readonly string[] | undefined {
  const record = view.get(logKey(tid));
  if (record === undefined) return undefined;
  const firstPart = Math.floor(from / keysPerPart);
  const keys: string[] = [];
  for (let part = firstPart; keys.length < from - firstPart * keysPerPart + countMax; part++) {
    const partKeys = keysOfPart(view, tid, record, part);
    if (partKeys === undefined) break;
    keys.push(...partKeys);
  }
  const start = from - firstPart * keysPerPart;
  return keys.slice(start, start + countMax);
}

/** Keys of one part of a log record; undefined when it has no such part. */
export function keysOfPart(view: View, tid: Tid, record: Uint8Array, part: number): readonly string[] | undefined {
  if (part === 0) return decodeLogKeys(record);
  const bytes = view.get(keysKey(tid, part));
  return bytes === undefined ? undefined : decodeKeys(bytes);
}

/**
 * Transactions of `following` that continue the chain after `tid`, at most up to `last`: as many as the bounds allow,
 * but at least one, with any number of keys.
 */
export function chainAfter(
  following: Iterable<LoggedTransaction>,
  tid: Tid,
  last: Tid,
  countMax: number,
  keysMax: number,
): TransactionsAfter {
  const transactions: LoggedTransaction[] = [];
  let expected = tid;
  let keys = 0;
  for (const transaction of following) {
    // The first one has another predecessor if `tid` was pruned or never existed. A view may also be ahead of the last
    // tid.
    if (transaction.previous !== expected || transaction.tid > last) break;
    keys += transaction.keys.length;
    if (transactions.length > 0 && (transactions.length >= countMax || keys > keysMax)) break;
    transactions.push(transaction);
    expected = transaction.tid;
  }
  return { transactions, whole: expected === last };
}

function loggedTransaction(view: View, key: Uint8Array, record: Uint8Array): LoggedTransaction {
  const { previous, tid, digest, id, keyCount } = decodeLogHead(key, record);
  const keys = decodeLogKeys(record);
  for (let part = 1; keys.length < keyCount; part++) {
    const partKeys = keysOfPart(view, tid, record, part);
    if (partKeys === undefined) break;
    keys.push(...partKeys);
  }
  return { previous, tid, digest, id, keys };
}
