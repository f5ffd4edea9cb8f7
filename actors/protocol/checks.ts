/**
 * Reads untrusted, decoded messages field by field. Each function throws MalformedMessageError, which names message and
 * field.
 */
import { asKey, isTid, limits, MalformedMessageError, TooLargeError, type Key, type Tid } from "../../core/index.js";

/** 24 hexadecimal digits are 96 bits. */
const secretLengthMin = 24;

function malformed(what: string, reason: string): never {
  throw new MalformedMessageError({ what, reason });
}

/** The fields of a message: an array of exactly `count` elements. */
export function fields(message: unknown, what: string, count: number): readonly unknown[] {
  if (!Array.isArray(message)) malformed(what, "is not an array");
  if (message.length !== count) malformed(what, `has ${message.length} fields, not ${count}`);
  return message as unknown[];
}

/** A list of at most `countMax` elements. A longer one is TooLargeError. */
export function list(value: unknown, what: string, countMax: number): readonly unknown[] {
  if (!Array.isArray(value)) malformed(what, "is not an array");
  if (value.length > countMax) throw new TooLargeError({ what, size: value.length, sizeMax: countMax });
  return value as unknown[];
}

export function tid(value: unknown, what: string): Tid {
  if (!isTid(value)) malformed(what, "is not a tid");
  return value;
}

/** A tid, or undefined for null. */
export function tidOrNone(value: unknown, what: string): Tid | undefined {
  return value === null ? undefined : tid(value, what);
}

/** A safe integer, at least 0. */
export function count(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) malformed(what, "is not a whole number");
  return value;
}

/** Milliseconds between two ticks of a timer: a safe integer, at least 1. */
export function interval(value: unknown, what: string): number {
  const read = count(value, what);
  if (read < 1) malformed(what, "is no interval");
  return read;
}

export function flag(value: unknown, what: string): boolean {
  if (typeof value !== "boolean") malformed(what, "is not true or false");
  return value;
}

/** A name or id: 1 to nameBytesMax printable ASCII characters. */
export function id(value: unknown, what: string): string {
  if (typeof value !== "string" || value.length === 0 || value.length > limits.nameBytesMax || !/^[\x21-\x7e]+$/.test(value)) {
    malformed(what, "is not an id");
  }
  return value;
}

/** A secret that is long enough to be unguessable. */
export function secret(value: unknown, what: string): string {
  if (id(value, what).length < secretLengthMin) malformed(what, "is too short");
  return value as string;
}

/** A name that is one token of a subject: letters, digits, `_` and `-`. */
export function name(value: unknown, what: string): string {
  if (typeof value !== "string" || value.length > limits.nameBytesMax || !/^[A-Za-z0-9_-]+$/.test(value)) malformed(what, "is not a name");
  return value;
}

const digestPattern = /^[0-9a-f]{16}$/;

export function digest(value: unknown, what: string): string {
  if (typeof value !== "string" || !digestPattern.test(value)) malformed(what, "is not a digest");
  return value;
}

export function key(value: unknown, what: string): Key {
  if (typeof value !== "string") malformed(what, "is not a string");
  return asKey(value);
}

export function keys(value: unknown, what: string, countMax: number): readonly Key[] {
  const all = list(value, what, countMax);
  for (const each of all) key(each, what);
  return all as readonly Key[];
}

/** End of a range: any string of at most a key's length, even one that is not a valid key. */
export function bound(value: unknown, what: string): string {
  if (typeof value !== "string" || value.includes("\0") || !value.isWellFormed() || Buffer.byteLength(value) > limits.keyBytesMax + 4) {
    malformed(what, "is not the end of a range");
  }
  return value;
}

export function bytes(value: unknown, what: string): Uint8Array {
  if (!(value instanceof Uint8Array)) malformed(what, "is not bytes");
  return value;
}

/** The encoded value of an object, which fits into an answer. A longer one is TooLargeError. */
export function value(read: unknown, what: string): Uint8Array {
  const encoded = bytes(read, what);
  if (encoded.length > limits.valueBytesMax) throw new TooLargeError({ what, size: encoded.length, sizeMax: limits.valueBytesMax });
  return encoded;
}

export function oneOf<T extends string>(value: unknown, what: string, choices: readonly T[]): T {
  if (typeof value !== "string" || !(choices as readonly string[]).includes(value)) malformed(what, `is not one of ${choices.join(", ")}`);
  return value as T;
}
