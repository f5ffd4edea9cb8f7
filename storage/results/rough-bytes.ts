import { types } from "node:util";
import { isDense, kindOf } from "./value-kind.js";

/**
 * What `value` takes in memory, roughly, by the layout of objects in V8; views and buffers with all of the memory behind them. Foreign objects
 * (see kindOf) are measured by their data properties, up to a bound: they may lead to all there is in the process. No accessor of theirs is
 * called, and no proxy is asked.
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

/** What a value that is no object takes beside its place. */
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

/** Characters take two bytes each as soon as one of them is not of Latin 1. The beginning stands for the whole. */
export function stringBytes(text: string): number {
  return stringHeadBytes + (wide.test(text.length > sampleLength ? text.slice(0, sampleLength) : text) ? 2 : 1) * text.length;
}

function memoryBytes(part: object, seen: Set<object>): number {
  const memory = ArrayBuffer.isView(part) ? part.buffer : (part as ArrayBuffer);
  if (memory !== part && seen.has(memory)) return 0;
  seen.add(memory);
  return backingBytes + memory.byteLength;
}

/** Of one foreign object; what it refers to is put among what is still to do. */
function ownBytes(part: object, todo: unknown[]): number {
  if (ArrayBuffer.isView(part)) return backingBytes + part.byteLength;
  const names = Reflect.ownKeys(part);
  for (const name of names) {
    const { value } = Object.getOwnPropertyDescriptor(part, name) ?? {};
    // The code of a function is not its result's.
    if (value !== undefined && typeof value !== "function") todo.push(value);
  }
  return names.length * wordBytes;
}

export const wordBytes = 8;
export const objectBytes = 4 * wordBytes;
/** Of a map or set, with the room that its table has in reserve. */
export const tableEntryBytes = 5 * wordBytes;
/** Of the memory behind a view, beside what it holds. */
export const backingBytes = 200;
const stringHeadBytes = 16;
/** Integers below it stand in their place; other numbers have one of their own. */
const smallIntegerEnd = 2 ** 31;
/** Foreign objects that are looked into for one value. */
const foreignMax = 1_000;
const wide = /[^\u0000-\u00ff]/;
const sampleLength = 4_096;
