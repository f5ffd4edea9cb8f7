/**
 * The fields that messages are made of. Reading one throws MalformedMessageError, which names message and field, for
 * anything that its type and its docstring do not allow.
 */
import { asKey, checkSize, isTid, isWhole, type KeyRange, limits, MalformedMessageError, type Position } from "../../core/index.js";
import type { Field } from "./message.js";

/** 24 hexadecimal digits are 96 bits. */
const secretLengthMin = 24;
const digestPattern = /^[0-9a-f]{16}$/;

// ---- Fields of one element

/** A field of one element, which is sent as it is. */
export interface Element<T> extends Field<T> {
  /** Returns `value`, or throws an error that names the field `what`. */
  check(value: unknown, what: string): T;
}

/** The element that `check` accepts. */
export function element<T>(check: Element<T>["check"]): Element<T> {
  return {
    slots: 1,
    check,
    write(value, into) {
      into.push(value);
    },
    read: (from, at, what) => check(from[at], what),
  };
}

/** The element with one more condition: `more` throws if a value does not meet it. */
export function refined<T>({ check }: Element<T>, more: (value: T, what: string) => void): Element<T> {
  return element((element, what) => {
    const value = check(element, what);
    more(value, what);
    return value;
  });
}

export const tid = element((value, what) => (isTid(value) ? value : malformed(what, "is not a tid")));

/** A safe integer, at least 0. */
export const count = element((value, what) => (isWhole(value) ? value : malformed(what, "is not a whole number")));

/** Milliseconds between two ticks of a timer: a safe integer, at least 1. */
export const interval = refined(count, (ms, what) => {
  if (ms < 1) malformed(what, "is no interval");
});

export const flag = element((value, what) => (typeof value === "boolean" ? value : malformed(what, "is not true or false")));

/** Any string. */
export const text = element((value, what) => (typeof value === "string" ? value : malformed(what, "is not a string")));

/** A name or id: 1 to nameBytesMax printable ASCII characters. */
export const id = element((value, what) => {
  if (typeof value !== "string" || value.length === 0 || value.length > limits.nameBytesMax || !/^[\x21-\x7e]+$/.test(value)) {
    malformed(what, "is not an id");
  }
  return value;
});

/** A secret that is long enough to be unguessable. */
export const secret = refined(id, (read, what) => {
  if (read.length < secretLengthMin) malformed(what, "is too short");
});

/** A name that is one token of a subject: letters, digits, `_` and `-`. */
export const name = element((value, what) => {
  if (typeof value !== "string" || value.length > limits.nameBytesMax || !/^[A-Za-z0-9_-]+$/.test(value)) malformed(what, "is not a name");
  return value;
});

export const digest = element((value, what) => (isDigest(value) ? value : malformed(what, "is not a digest")));

/** Key of an object. One that no object can have is InvalidKeyError. */
export const key = element<string>((value, what) => asKey(typeof value === "string" ? value : malformed(what, "is not a string")));

/** End of a range: any string of at most a key's length, even one that is not a valid key. */
export const bound = element((value, what) => {
  if (typeof value !== "string" || value.includes("\0") || !value.isWellFormed() || Buffer.byteLength(value) > limits.keyBytesMax + 4) {
    malformed(what, "is not the end of a range");
  }
  return value;
});

export const bytes = element((value, what) => (value instanceof Uint8Array ? value : malformed(what, "is not bytes")));

/** The encoded value of an object, which fits into an answer. A longer one is TooLargeError. */
export const objectValue = refined(bytes, ({ length }, what) => {
  checkSize(what, length, limits.valueBytesMax);
});

/** One of these strings. */
export function oneOf<const T extends string>(...choices: readonly T[]): Element<T> {
  return element((value, what) => {
    if (!(choices as readonly unknown[]).includes(value)) malformed(what, `is not one of ${choices.join(", ")}`);
    return value as T;
  });
}

// ---- Fields of several elements

/**
 * Some properties as one field, without an array of their own, read and written by hand. The loop that `message` uses
 * takes about 20 ns longer for each property, a tenth of the time of a small message: messages of loads, listings and
 * commits are described so. `write` appends exactly `slots` elements.
 */
export function row<T>(slots: number, read: (from: readonly unknown[], at: number) => T, write: Field<T>["write"]): Field<Readonly<T>> {
  return { slots, write, read };
}

/** A place in a history, in two elements. */
export const position: Field<Position> = {
  slots: 2,
  write(value, into) {
    into.push(value.tid, value.digest);
  },
  read(from, at, what) {
    const [tid, digest] = [from[at], from[at + 1]];
    if (!isTid(tid)) malformed(`${what}.tid`, "is not a tid");
    if (!isDigest(digest)) malformed(`${what}.digest`, "is not a digest");
    return { tid, digest };
  },
};

const boundOrNone = optional(bound);

/** A range of keys, in two elements. */
export const range: Field<KeyRange> = {
  slots: 2,
  write({ from, to }, into) {
    into.push(from, to ?? null);
  },
  read: (from, at, what) => ({ from: bound.check(from[at], what), to: boundOrNone.read(from, at + 1, what) }),
};

// ---- Fields made of others

/** The field or undefined, which is null on the wire. The field has one element. */
export function optional<T>(field: Field<T>): Field<T | undefined> {
  return {
    slots: 1,
    write(value, into) {
      if (value === undefined) into.push(null);
      else field.write(value, into);
    },
    read: (from, at, what) => (from[at] === null ? undefined : field.read(from, at, what)),
  };
}

/**
 * An array of at most `countMax` values of the field. The elements of all values stand in one array without
 * separation, also where a value has several. A longer array is TooLargeError.
 */
export function list<T>(field: Field<T>, countMax: number): Field<readonly T[]> {
  const { slots } = field;
  const sizeMax = slots * countMax;
  return {
    slots: 1,
    write(values, into) {
      const elements: unknown[] = [];
      for (const value of values) field.write(value, elements);
      into.push(elements);
    },
    read(from, at, what) {
      const elements = arrayOf(from[at], what, sizeMax);
      const values: T[] = [];
      for (let index = 0; index < elements.length; index += slots) values.push(field.read(elements, index, what));
      return values;
    },
  };
}

/** A list of at most `countMax` keys of objects. */
export function keys(countMax: number): Element<readonly string[]> {
  return element((value, what) => {
    const all = arrayOf(value, what, countMax);
    for (const each of all) key.check(each, what);
    return all as readonly string[];
  });
}

function arrayOf(value: unknown, what: string, sizeMax: number): readonly unknown[] {
  if (!Array.isArray(value)) malformed(what, "is not an array");
  checkSize(what, value.length, sizeMax);
  return value as unknown[];
}

function isDigest(value: unknown): value is string {
  return typeof value === "string" && digestPattern.test(value);
}

function malformed(what: string, reason: string): never {
  throw new MalformedMessageError({ what, reason });
}
