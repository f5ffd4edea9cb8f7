import { assert } from "./assert.js";

declare const tidBrand: unique symbol;

/**
 * Transaction id: milliseconds since 1970 × 1024 + a counter, a safe integer until the year 2248.
 * Order of tids is order of commits. 0 stands before the first transaction.
 */
export type Tid = number & { readonly [tidBrand]: true };

const tidsPerMs = 1024;

/** Latest time that a tid can have, milliseconds since 1970: in the year 2248. */
export const tidMsMax = Math.floor(Number.MAX_SAFE_INTEGER / tidsPerMs) - 1;

/** The tid before every transaction: the last tid of an empty storage, and the serial of a missing revision. */
export const tidZero = 0 as Tid;

/** Whether `value` is a safe integer from 0. */
export function isTid(value: unknown): value is Tid {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** `value` as a Tid. Any other value than a safe integer from 0 is a bug. */
export function asTid(value: number): Tid {
  assert(isTid(value), `a tid is a safe integer from 0, not ${value}`);
  return value;
}

/** First tid of the millisecond `ms` (wall clock). */
export function tidAt(ms: number): Tid {
  return asTid(Math.max(0, Math.floor(ms)) * tidsPerMs);
}

/**
 * Tid of the transaction after `last`: the first one of `nowMs`, or `last` + 1 when the clock went back or a burst
 * outran it.
 */
export function tidAfter(last: Tid, nowMs: number): Tid {
  return asTid(Math.max(tidAt(nowMs), last + 1));
}

/** Tid that lies `ms` milliseconds before `tid`, at least 0. */
export function tidMinus(tid: Tid, ms: number): Tid {
  return asTid(Math.max(0, tid - Math.floor(ms) * tidsPerMs));
}

/**
 * Time of `tid` in milliseconds since 1970, by the clock of its server. It equals the wall clock unless that clock was
 * wrong or was set: times of tids never go back, and advance as real time does (`tidsAheadMs` of a server's status).
 */
export function tidToMs(tid: Tid): number {
  return Math.floor(tid / tidsPerMs);
}
