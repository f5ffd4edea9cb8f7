import { inspect, types } from "node:util";

/** A type of view on bytes. */
export interface ViewType {
  readonly prototype: object;
  /** A view of this type on all of `buffer`. */
  readonly on: (buffer: ArrayBuffer) => ArrayBufferView;
}

/** The order is part of the format of records: new types come last. */
export const viewTypes: readonly ViewType[] = [
  viewType(Uint8Array),
  { prototype: Buffer.prototype, on: (buffer) => Buffer.from(buffer) },
  viewType(Uint8ClampedArray),
  viewType(Int8Array),
  viewType(Uint16Array),
  viewType(Int16Array),
  viewType(Uint32Array),
  viewType(Int32Array),
  viewType(Float32Array),
  viewType(Float64Array),
  viewType(BigInt64Array),
  viewType(BigUint64Array),
  viewType(DataView),
  // Exists in Node 24 and later. An older Node finds a record with it malformed, and computes the result anew.
  ...[Reflect.get(globalThis, "Float16Array") as unknown].filter(isViewClass).map(viewType),
];

interface ViewClass {
  readonly prototype: object;
  new (buffer: ArrayBuffer): ArrayBufferView;
}

function isViewClass(value: unknown): value is ViewClass {
  return typeof value === "function";
}

function viewType(Type: ViewClass): ViewType {
  return { prototype: Type.prototype, on: (buffer) => new Type(buffer) };
}

export type ValueKind = "object" | "array" | "date" | "map" | "set" | "regexp" | "view" | "buffer" | "foreign";

const kinds = new Map<unknown, { readonly kind: ValueKind; readonly isOne: (value: unknown) => boolean }>([
  [Date.prototype, { kind: "date", isOne: types.isDate }],
  [Map.prototype, { kind: "map", isOne: types.isMap }],
  [Set.prototype, { kind: "set", isOne: types.isSet }],
  [RegExp.prototype, { kind: "regexp", isOne: types.isRegExp }],
  [ArrayBuffer.prototype, { kind: "buffer", isOne: isFixedBuffer }],
  ...viewTypes.map(({ prototype }) => [prototype, { kind: "view", isOne: isFixedView }] as const),
]);

/**
 * How a tier can handle an object: copy it with all its parts, or, when it is "foreign", only keep the reference. An
 * object with behaviour or state of its own is foreign: an instance of a class, an error, a function, a proxy, or
 * memory that threads share.
 */
export function kindOf(value: object): ValueKind {
  // Checked first: a proxy would intercept all other checks.
  if (types.isProxy(value)) return "foreign";
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return "object";
  if (prototype === Array.prototype && Array.isArray(value)) return "array";
  const known = kinds.get(prototype);
  return known?.isOne(value) === true ? known.kind : "foreign";
}

/** Whether the own enumerable properties of an array are exactly its elements 0 to `length - 1`. */
export function isDense(value: readonly unknown[]): boolean {
  if (value.length > keysMax) return isLongDense(value);
  const names = Object.keys(value);
  // Names other than indices come after the indices.
  if (names.length !== value.length || (names.length > 0 && names[names.length - 1] !== String(names.length - 1))) return false;
  return !hasSymbols(value);
}

/**
 * V8 creates a string for each index that is listed; beyond some thousands, these cost a hundred times as much as a
 * look at the elements.
 */
const keysMax = 10_000;

/**
 * `inspect` lists the properties in addition to the elements; it is configured to show no element. It runs in native
 * code and calls nothing of the value.
 */
function isLongDense(value: readonly unknown[]): boolean {
  if (inspect(value, elementsOnly) !== `[ ... ${value.length} more items ]`) return false;
  for (let index = 0; index < value.length; index++) if (value[index] === undefined && !Object.hasOwn(value, index)) return false;
  return !hasSymbols(value);
}

const elementsOnly = { maxArrayLength: 0, depth: 0, customInspect: false, breakLength: Infinity } as const;

/** Whether all own properties of an object are enumerable and named by strings. */
export function isOpen(value: object, names: readonly string[]): boolean {
  return Object.getOwnPropertyNames(value).length === names.length && !hasSymbols(value);
}

function hasSymbols(value: object): boolean {
  return Object.getOwnPropertySymbols(value).length > 0;
}

function isFixedBuffer(value: unknown): boolean {
  return types.isArrayBuffer(value) && !("resizable" in value && value.resizable === true);
}

function isFixedView(value: unknown): boolean {
  return ArrayBuffer.isView(value) && isFixedBuffer(value.buffer);
}

/**
 * Objects that were visited, each with an associated value. Many values consist of one object, for which no Map is
 * created.
 */
export class Met<T> {
  #first: object | undefined;
  #firstStanding: T | undefined;
  #all: Map<object, T> | undefined;

  get(object: object): T | undefined {
    return object === this.#first ? this.#firstStanding : this.#all?.get(object);
  }

  set(object: object, standing: T): void {
    if (this.#first === undefined || this.#first === object) {
      this.#first = object;
      this.#firstStanding = standing;
    } else (this.#all ??= new Map()).set(object, standing);
  }
}

/** Path and kind of the first foreign part of `value`. */
export function foreignPart(value: unknown): { readonly path: string; readonly reason: string } {
  const todo: { readonly part: unknown; readonly path: string }[] = [{ part: value, path: "" }];
  const seen = new Set<unknown>();
  for (const { part, path } of todo) {
    if (typeof part === "function") return { path, reason: "is a function" };
    if (typeof part !== "object" || part === null || seen.has(part)) continue;
    seen.add(part);
    const kind = kindOf(part);
    if (kind === "foreign" || types.isArgumentsObject(part)) return { path, reason: describe(part) };
    if (types.isMap(part))
      for (const [key, item] of part) todo.push({ part: key, path: `${path}.key` }, { part: item, path: `${path}.value` });
    if (types.isSet(part)) for (const item of part) todo.push({ part: item, path: `${path}.item` });
    if (kind === "view") continue;
    for (const name of Reflect.ownKeys(part)) {
      const at = typeof name === "string" && Array.isArray(part) ? `[${name}]` : `.${String(name)}`;
      todo.push({ part: Reflect.get(part, name), path: path + at });
    }
  }
  return { path: "", reason: "holds a part that cannot be copied" };
}

function describe(part: object): string {
  if (types.isProxy(part)) return "is a proxy";
  const name: unknown = (part as { readonly constructor?: { readonly name?: unknown } }).constructor?.name;
  return `is an instance of ${typeof name === "string" && name !== "" ? name : "a class"}, not plain data`;
}
