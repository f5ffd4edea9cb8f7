import { InvalidKeyError } from "./errors.js";
import { limits } from "./limits.js";

declare const keyBrand: unique symbol;

/** Key of an object: 1 to 512 UTF-8 bytes, no NUL, ordered by bytes. */
export type Key = string & { readonly [keyBrand]: true };

/** Keys from `from` (included) to `to` (not included; undefined: no end), in the order of their UTF-8 bytes. */
export interface KeyRange {
  readonly from: string;
  readonly to: string | undefined;
}

/** `value` as a Key. Throws InvalidKeyError. */
export function asKey(value: unknown): Key {
  if (typeof value !== "string") throw new InvalidKeyError({ key: typeof value, reason: "is not a string" });
  if (value.length === 0) throw new InvalidKeyError({ key: value, reason: "is empty" });
  // A UTF-16 unit takes at most three bytes, so the length alone shows that most keys are short enough.
  if (value.length * 3 > limits.keyBytesMax && Buffer.byteLength(value) > limits.keyBytesMax) {
    throw new InvalidKeyError({ key: value.slice(0, 64), reason: `is longer than ${limits.keyBytesMax} bytes` });
  }
  if (value.includes("\0")) throw new InvalidKeyError({ key: value, reason: "contains NUL" });
  if (!value.isWellFormed()) throw new InvalidKeyError({ key: value, reason: "contains half a surrogate pair" });
  return value as Key;
}

/** Order of keys: by UTF-8 bytes, which is the order of code points, not of UTF-16 units. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    if (x === y) continue;
    const xHigh = x >= 0xd800 && x <= 0xdfff;
    const yHigh = y >= 0xd800 && y <= 0xdfff;
    return xHigh === yHigh ? x - y : xHigh ? 1 : -1;
  }
  return a.length - b.length;
}

/** Range of all keys that begin with `prefix`; the empty prefix is all keys. */
export function prefixRange(prefix: string): KeyRange {
  // The end is the prefix with its last code point raised by one. U+10FFFF cannot be raised, so it is dropped and the
  // code point before it is raised.
  const points = [...prefix];
  while (points.length > 0) {
    const last = points.pop()?.codePointAt(0) ?? 0;
    if (last === 0x10ffff) continue;
    const next = last === 0xd7ff ? 0xe000 : last + 1;
    return { from: prefix, to: points.join("") + String.fromCodePoint(next) };
  }
  return { from: prefix, to: undefined };
}

/** Whether `key` lies in `range`. */
export function rangeHas(range: KeyRange, key: string): boolean {
  return compareKeys(key, range.from) >= 0 && (range.to === undefined || compareKeys(key, range.to) < 0);
}
