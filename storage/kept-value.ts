import { InvalidValueError } from "../words/errors.js";

/**
 * How callers get what is kept: "frozen", the value itself, which nobody can change; "shared", the value itself, as changeable as it
 * was; "cloned", a copy of their own.
 */
export type ValueMode = "frozen" | "shared" | "cloned";

/** A value as it is kept. */
export interface KeptValue {
  readonly value: unknown;
  /** All callers may be given `value` itself. */
  readonly isShared: boolean;
}

/** `value` so that no caller's change reaches what is kept. Throws InvalidValueError for what is to be cloned and cannot be. */
export function keepValue(value: unknown, mode: ValueMode): KeptValue {
  if (mode === "shared" || typeof value !== "object" || value === null) return { value, isShared: true };
  if (mode === "cloned") return { value: clone(value), isShared: false };
  // Dates, bytes, maps and sets cannot be frozen: a value with such a part is kept as a copy, and given out as one.
  return freeze(value, undefined) ? { value, isShared: true } : { value: copyFrozen(value, new Map()), isShared: false };
}

/** The value for one caller. */
export function valueOf({ value, isShared }: KeptValue, mode: ValueMode): unknown {
  if (isShared) return value;
  return mode === "cloned" ? clone(value) : copyFrozen(value, new Map());
}

/** What `value` takes in memory, roughly: by the layout of objects in V8. */
export function roughBytes(value: unknown): number {
  return bytesOf(value, new Set());
}

function clone(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch (error) {
    throw new InvalidValueError({ path: "", reason: "cannot be cloned" }, error);
  }
}

function isUnfreezable(value: object): boolean {
  return value instanceof Date || ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Map || value instanceof Set;
}

/** Freezes all that can be; false: a part cannot. */
function freeze(value: object, seen: Set<object> | undefined): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype && isUnfreezable(value)) return false;
  // What is frozen when it is met was so before, and may hold what is not, or is above: only then has anything to be remembered.
  const wasFrozen = Object.isFrozen(value);
  if (!wasFrozen) Object.freeze(value);
  let isRemembered = !wasFrozen;
  let isWhole = true;
  for (const part of Object.values(value) as unknown[]) {
    if (typeof part !== "object" || part === null) continue;
    if (!isRemembered) {
      if (seen?.has(value) === true) return true;
      (seen ??= new Set()).add(value);
      isRemembered = true;
    }
    if (!freeze(part, seen)) isWhole = false;
  }
  return isWhole;
}

/** A copy with parts of its own wherever they could be changed. Instances of classes are frozen already, and stay who they are. */
function copyFrozen(value: unknown, copies: Map<object, unknown>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    copies.set(value, copy);
    for (const [key, part] of value) copy.set(copyFrozen(key, copies), copyFrozen(part, copies));
    return copy;
  }
  if (value instanceof Set) {
    const copy = new Set<unknown>();
    copies.set(value, copy);
    for (const part of value) copy.add(copyFrozen(part, copies));
    return copy;
  }
  if (isUnfreezable(value)) {
    // A Buffer is a part of a pool, all of which would be cloned with it.
    const copy = value instanceof Uint8Array ? new Uint8Array(value) : structuredClone(value);
    copies.set(value, copy);
    return copy;
  }
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    copies.set(value, copy);
    for (const part of value as unknown[]) copy.push(copyFrozen(part, copies));
    return Object.freeze(copy);
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const copy = Object.create(prototype) as Record<string, unknown>;
  copies.set(value, copy);
  for (const [name, part] of Object.entries(value)) {
    // A plain assignment to a property that is called __proto__ would be something else.
    Object.defineProperty(copy, name, { value: copyFrozen(part, copies), enumerable: true });
  }
  return Object.freeze(copy);
}

const wordBytes = 8;
const headerBytes = 24;

function bytesOf(value: unknown, seen: Set<object>): number {
  if (typeof value === "string") return headerBytes + value.length;
  if (typeof value !== "object" || value === null) return wordBytes;
  if (seen.has(value)) return wordBytes;
  seen.add(value);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return 4 * headerBytes + value.byteLength;
  let bytes = 2 * headerBytes;
  if (value instanceof Map) {
    for (const [key, part] of value) bytes += 2 * wordBytes + bytesOf(key, seen) + bytesOf(part, seen);
  } else if (value instanceof Set) {
    for (const part of value) bytes += 2 * wordBytes + bytesOf(part, seen);
  }
  for (const name of Object.keys(value)) bytes += wordBytes + bytesOf((value as Record<string, unknown>)[name], seen);
  return bytes;
}
