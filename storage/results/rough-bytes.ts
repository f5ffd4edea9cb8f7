import { types } from "node:util";
import { isDense, kindOf } from "./value-kind.js";

/**
 * Approximate size of `value` in memory, by the layout of objects in V8; views and buffers count with all the memory
 * behind them. Foreign objects (see kindOf) are measured by their data properties, up to a bound, because they may
 * refer to everything in the process. Their accessors are not called, and proxies are not inspected.
 */
export function roughBytes(value: unknown): number {
  const todo: unknown[] = [value];
  const seen = new Set<object>();
  let bytes = 0;
  let foreign = 0;
  while (todo.length > 0) {
    const part = todo.pop();
    bytes += wordBytes;
    if ((typeof part !== "object" || part === null) && typeof part !== "function") {
      bytes += primitiveBytes(part);
      continue;
    }
    if (seen.has(part)) continue;
    seen.add(part);
    bytes += objectBytes;
    const kind = typeof part === "function" ? "foreign" : kindOf(part);
    if (kind === "foreign") {
      if (types.isProxy(part) || foreign++ >= foreignMax) continue;
      bytes += ownBytes(part, todo);
    } else if (kind === "view" || kind === "buffer") bytes += memoryBytes(part, seen);
    else {
      if (types.isMap(part)) for (const [key, item] of Map.prototype.entries.call(part)) todo.push(key, item);
      else if (types.isSet(part)) for (const item of Set.prototype.values.call(part)) todo.push(item);
      if (types.isMap(part) || types.isSet(part)) bytes += part.size * tableEntryBytes;
      const holds = Array.isArray(part) && isDense(part) ? part : Object.keys(part).map((name) => (part as Record<string, unknown>)[name]);
      for (const item of holds) {
        if (typeof item === "object" || typeof item === "function") todo.push(item);
        else bytes += wordBytes + primitiveBytes(item);
      }
    }
  }
  return bytes;
}

/** Bytes that a primitive value takes in addition to its slot. */
export function primitiveBytes(value: unknown): number {
  switch (typeof value) {
    case "string":
      return stringBytes(value);
    case "number":
      return Number.isInteger(value) && Math.abs(value) < smallIntegerEnd ? 0 : 2 * wordBytes;
    case "bigint":
      return BigInt.asIntN(64, value) === value ? 3 * wordBytes : 2 * wordBytes + value.toString(16).length / 2;
    default:
      return 0;
  }
}

/** Each character takes two bytes if any of them is outside Latin 1. Only the beginning is examined. */
export function stringBytes(text: string): number {
  return stringHeadBytes + (wide.test(text.length > sampleLength ? text.slice(0, sampleLength) : text) ? 2 : 1) * text.length;
}

function memoryBytes(part: object, seen: Set<object>): number {
  const memory = ArrayBuffer.isView(part) ? part.buffer : (part as ArrayBuffer);
  if (memory !== part && seen.has(memory)) return 0;
  seen.add(memory);
  return backingBytes + memory.byteLength;
}

/** Size of one foreign object; adds the objects that it refers to to `todo`. */
function ownBytes(part: object, todo: unknown[]): number {
  if (ArrayBuffer.isView(part)) return backingBytes + part.byteLength;
  const names = Reflect.ownKeys(part);
  for (const name of names) {
    const { value } = Object.getOwnPropertyDescriptor(part, name) ?? {};
    // Functions do not count: their code does not belong to the result.
    if (value !== undefined && typeof value !== "function") todo.push(value);
  }
  return names.length * wordBytes;
}

export const wordBytes = 8;
export const objectBytes = 4 * wordBytes;
/** Entry of a map or set, including the reserve of its table. */
export const tableEntryBytes = 5 * wordBytes;
/** Memory behind a view, without its content. */
export const backingBytes = 200;
const stringHeadBytes = 16;
/** Smaller integers are stored in the slot; other numbers are objects on the heap. */
const smallIntegerEnd = 2 ** 31;
/** Maximum number of foreign objects that are inspected for one value. */
const foreignMax = 1_000;
const wide = /[^\u0000-\u00ff]/;
const sampleLength = 4_096;
