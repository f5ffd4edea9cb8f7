import { TooLargeError } from "./errors.js";

/** Whether `value` is a safe integer from 0. */
export function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Throws TooLargeError if `size`, a number of bytes or of parts, is above `sizeMax`. `what` names the whole. */
export function checkSize(what: string, size: number, sizeMax: number): void {
  if (size > sizeMax) throw new TooLargeError({ what, size, sizeMax });
}
