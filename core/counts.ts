import { TooLargeError } from "./errors.js";

/** Whether `value` is a safe integer from 0. */
export function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Throws TooLargeError if `size`, a number of bytes or of parts, is above `sizeMax`. `what` names the whole. */
export function checkSize(what: string, size: number, sizeMax: number): void {
  if (size > sizeMax) throw new TooLargeError({ what, size, sizeMax });
}

/**
 * How many entries stay when a Map or Set that may hold `max` evicts its oldest. Several leave at a time: a new
 * iteration walks over all deleted entries before the first living one, which takes 10 µs with 10,000 entries.
 */
export function keptWhenFull(max: number): number {
  return Math.ceil((max * 15) / 16);
}
