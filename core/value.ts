import { InvalidValueError } from "./errors.js";
import { limits } from "./limits.js";
import { pack, unpack } from "./message-pack.js";

/** A value that can be stored: structured data without functions, classes, undefined or cycles. */
export type Value = null | boolean | number | string | bigint | Date | Uint8Array | readonly Value[] | { readonly [name: string]: Value };

/**
 * A decoded value. Its arrays and objects are frozen. Dates and bytes cannot be frozen, so a value that contains them
 * is copied for each caller.
 */
export interface Decoded {
  readonly value: Value;
  /** Whether it contains a Date or bytes. */
  readonly hasUnfreezable: boolean;
}

// Any number of arrays and maps is allowed: the client that stored the value had room for all of it.
const allowed = { depthMax: limits.valueDepthMax, containersMax: Infinity, extension: "timestamp" } as const;
const bigintMin = -(2n ** 63n);
const bigintMax = 2n ** 63n - 1n;

/**
 * MessagePack of `value`. Throws InvalidValueError with the path of a part that cannot be stored; `undefined`
 * properties are left out.
 */
export function encodeValue(value: unknown): Buffer {
  return pack(check(value, "", 0, undefined));
}

/**
 * The frozen value in `bytes`, which it does not alias. Throws InvalidValueError when they hold anything except a
 * Value.
 */
export function decodeValue(bytes: Uint8Array): Decoded {
  let value: unknown;
  try {
    value = unpack(bytes, allowed);
  } catch (error) {
    throw new InvalidValueError({ path: "", reason: "cannot be decoded" }, error);
  }
  return freeze(value);
}

/** A copy of `value` for a caller that may change Dates and bytes in it. */
export function copyValue(value: Value): Value {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return new Date(value);
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return Object.freeze((value as readonly Value[]).map(copyValue));
  const copy: Record<string, Value> = {};
  for (const [name, part] of Object.entries(value)) copy[name] = copyValue(part);
  return Object.freeze(copy);
}

interface Ancestors {
  readonly value: object;
  readonly above: Ancestors | undefined;
}

function check(value: unknown, path: string, depth: number, above: Ancestors | undefined): unknown {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) throw new InvalidValueError({ path, reason: "contains half a surrogate pair" });
      return value;
    case "number":
    case "boolean":
      return value;
    case "bigint":
      if (value < bigintMin || value > bigintMax) throw new InvalidValueError({ path, reason: "is a bigint of more than 64 bits" });
      return value;
    case "object":
      return value === null ? null : checkObject(value, path, depth, above);
    case "undefined":
    case "function":
    case "symbol":
      throw new InvalidValueError({ path, reason: `is ${typeof value === "undefined" ? "undefined" : `a ${typeof value}`}` });
  }
}

function checkObject(value: object, path: string, depth: number, above: Ancestors | undefined): unknown {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new InvalidValueError({ path, reason: "is an invalid Date" });
    return value;
  }
  if (value instanceof Uint8Array) return value;
  if (depth >= limits.valueDepthMax) throw new InvalidValueError({ path, reason: `is nested deeper than ${limits.valueDepthMax}` });
  for (let ancestor = above; ancestor !== undefined; ancestor = ancestor.above) {
    if (ancestor.value === value) throw new InvalidValueError({ path, reason: "is a cycle" });
  }
  const ancestors = { value, above };
  if (Array.isArray(value)) {
    return Array.from(value as unknown[], (part, index) => check(part, `${path}[${index}]`, depth + 1, ancestors));
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new InvalidValueError({ path, reason: `is an instance of ${value.constructor?.name ?? "a class"}, not a plain object` });
  }
  const copy: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(value)) {
    if (name === "__proto__") throw new InvalidValueError({ path, reason: "has a property __proto__" });
    if (part !== undefined) copy[name] = check(part, `${path}.${name}`, depth + 1, ancestors);
  }
  return copy;
}

function freeze(value: unknown): Decoded {
  const found = { unfreezable: false };
  return { value: freezePart(value, 0, found), hasUnfreezable: found.unfreezable };
}

/**
 * The replacement for `part`: frozen `part` itself, or a copy for bytes. Only changed parts are written back: most
 * parts are as they were decoded.
 */
function freezePart(part: unknown, depth: number, found: { unfreezable: boolean }): Value {
  switch (typeof part) {
    case "string":
    case "number":
    case "boolean":
    case "bigint":
      return part;
    case "object":
      return part === null ? null : freezeObject(part, depth, found);
    case "undefined":
    case "function":
    case "symbol":
      throw new InvalidValueError({ path: "", reason: `holds ${typeof part}` });
  }
}

function freezeObject(part: object, depth: number, found: { unfreezable: boolean }): Value {
  if (depth > limits.valueDepthMax) throw new InvalidValueError({ path: "", reason: "is nested too deep" });
  if (Array.isArray(part)) {
    const parts = part as unknown[];
    for (let index = 0; index < parts.length; index++) {
      const inner = parts[index];
      if (typeof inner === "string" || typeof inner === "number") continue;
      const frozen = freezePart(inner, depth + 1, found);
      if (frozen !== inner) parts[index] = frozen;
    }
    return Object.freeze(parts) as readonly Value[];
  }
  if (Object.getPrototypeOf(part) === Object.prototype) {
    const record = part as Record<string, unknown>;
    for (const name in record) {
      const inner = record[name];
      if (typeof inner === "string" || typeof inner === "number") continue;
      const frozen = freezePart(inner, depth + 1, found);
      if (frozen !== inner) record[name] = frozen;
    }
    return Object.freeze(record) as { readonly [name: string]: Value };
  }
  if (part instanceof Uint8Array) {
    found.unfreezable = true;
    // A decoded part aliases the buffer of the message, which belongs to a pool.
    return new Uint8Array(part);
  }
  if (part instanceof Date) {
    found.unfreezable = true;
    return part;
  }
  throw new InvalidValueError({ path: "", reason: "holds an unknown extension" });
}
