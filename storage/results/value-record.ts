import { types } from "node:util";
import { decodeValue, InvalidValueError, limits } from "../../core/index.js";
import { pack, unpack } from "../../core/message-pack.js";
import { keepValue, type KeptValue, type ValueMode } from "./kept-value.js";
import { lengthen } from "./value-copy.js";
import { isDense, isOpen, kindOf, Met, viewTypes } from "./value-kind.js";

/*
 * A value in the form in which a folder or a bucket holds it. Undefined is empty. A value that MessagePack reproduces
 * exactly is MessagePack. Any other value is a byte with which no MessagePack begins, followed by MessagePack of lists,
 * one for each object and for each primitive that MessagePack does not have:
 *
 *     [kind, …]      objects count from 0 as they occur; [reference, n] stands for the n-th, so that cycles are kept
 */
const undefinedKind = 0;
const minusZero = 1;
/** A string that is not well-formed Unicode: its UTF-16 form. */
const text = 2;
/** The digits. */
const bigint = 3;
/** Names and values alternating, also in the next two. */
const plain = 4;
const withoutPrototype = 5;
/** The length comes first. */
const sparse = 6;
const list = 7;
/** Milliseconds; null for an invalid date. */
const date = 8;
const map = 9;
const set = 10;
/** The index of the type in `viewTypes`, and the bytes. */
const view = 11;
const buffer = 12;
const regexp = 13;
const reference = 14;

const structured = 0xc1;
const nothing: Uint8Array = new Uint8Array(0);
// One level more than the value: some primitives in the deepest object are lists, too.
const allowed = { depthMax: limits.valueDepthMax + 1, containersMax: Infinity, extension: "undefined" } as const;
const plainAllowed = { depthMax: limits.valueDepthMax, containersMax: Infinity, extension: "timestamp" } as const;

/**
 * `value` as bytes, from which `decodeRecord` makes an identical value in type and content. Throws InvalidValueError,
 * with the path, for parts that cannot be encoded: foreign objects (see kindOf), symbols, properties that are named by
 * symbols or not enumerable, and parts nested too deep.
 */
export function encodeRecord(value: unknown): Uint8Array {
  if (value === undefined) return nothing;
  if (new PlainCheck().isPlain(value)) return pack(value);
  const packed = pack(new Writing().node(value, 0));
  return Buffer.concat([Uint8Array.of(structured), packed]);
}

/**
 * The value in `bytes`, which it does not alias, in the form for `mode`. Throws InvalidValueError when they hold no
 * value.
 */
export function decodeRecord(bytes: Uint8Array, mode: ValueMode): KeptValue {
  if (bytes.length === 0) return { value: undefined, isShared: true };
  if (bytes[0] !== structured) {
    if (mode === "shared") return { value: unpacked(bytes, plainAllowed), isShared: true };
    const { value, hasUnfreezable } = decodeValue(bytes);
    return { value, isShared: mode === "frozen" && !hasUnfreezable };
  }
  const value = read(unpacked(bytes.subarray(1), allowed));
  // The decoded value belongs to the cache already; it only may have to be frozen.
  return mode === "frozen" ? keepValue(value, mode) : { value, isShared: mode === "shared" };
}

function unpacked(bytes: Uint8Array, what: typeof allowed | typeof plainAllowed): unknown {
  try {
    return unpack(bytes, what);
  } catch (error) {
    throw new InvalidValueError({ path: "", reason: "cannot be decoded" }, error);
  }
}

/**
 * Whether MessagePack reproduces the value exactly: a tree of objects with plain properties and dense arrays, without
 * bytes.
 */
class PlainCheck {
  readonly #met = new Met<true>();

  isPlain(value: unknown, depth = 0): boolean {
    switch (typeof value) {
      case "string":
        return value.isWellFormed();
      case "number":
        return value !== 0 || !Object.is(value, -0);
      case "boolean":
        return true;
      case "bigint":
        return BigInt.asIntN(64, value) === value;
      case "object":
        return value === null || this.#isTree(value, depth);
      case "undefined":
      case "symbol":
      case "function":
        return false;
    }
  }

  #isTree(value: object, depth: number): boolean {
    if (depth >= limits.valueDepthMax || this.#met.get(value) === true) return false;
    this.#met.set(value, true);
    switch (kindOf(value)) {
      case "date":
        return types.isDate(value) && !Number.isNaN(value.getTime()) && isOpen(value, []);
      case "array":
        return isDense(value as readonly unknown[]) && (value as readonly unknown[]).every((part) => this.isPlain(part, depth + 1));
      case "object":
        return Object.getPrototypeOf(value) !== null && this.#isOpen(value as Record<string, unknown>, depth);
      default:
        return false;
    }
  }

  #isOpen(value: Record<string, unknown>, depth: number): boolean {
    const names = Object.keys(value);
    if (!isOpen(value, names)) return false;
    return names.every((name) => !oddNames.has(name) && name.isWellFormed() && this.isPlain(value[name], depth + 1));
  }
}

/** Names with a special meaning to the encoder or the decoder. */
const oddNames: ReadonlySet<string> = new Set(["__proto__", "constructor", "toJSON"]);

/** Encodes a value as lists. */
class Writing {
  readonly #met = new Met<number>();
  readonly #path: string[] = [];
  #count = 0;

  node(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
        return value.isWellFormed() ? value : [text, Buffer.from(value, "utf16le")];
      case "number":
        return Object.is(value, -0) ? [minusZero] : value;
      case "boolean":
        return value;
      case "bigint":
        return BigInt.asIntN(64, value) === value ? value : [bigint, String(value)];
      case "undefined":
        return [undefinedKind];
      case "object":
        return value === null ? null : this.#object(value, depth);
      case "symbol":
      case "function":
        throw this.#refuse(`is a ${typeof value}`);
    }
  }

  #object(value: object, depth: number): readonly unknown[] {
    const met = this.#met.get(value);
    if (met !== undefined) return [reference, met];
    if (depth >= limits.valueDepthMax) throw this.#refuse(`is nested deeper than ${limits.valueDepthMax}`);
    this.#met.set(value, this.#count++);
    const kind = kindOf(value);
    if (kind === "foreign" || types.isArgumentsObject(value)) throw this.#refuse("is an instance of a class, not plain data");
    if (kind === "object") return [Object.getPrototypeOf(value) === null ? withoutPrototype : plain, ...this.#named(value, depth)];
    if (kind === "array") return this.#array(value as readonly unknown[], depth);
    if (kind === "view") return this.#view(value as ArrayBufferView);
    if (!isOpen(value, kind === "regexp" ? ["lastIndex"] : [])) throw this.#refuse("has properties of its own");
    if (types.isDate(value)) return [date, Number.isNaN(value.getTime()) ? null : value.getTime()];
    if (types.isRegExp(value)) return [regexp, this.node(value.source, depth), value.flags, value.lastIndex];
    if (types.isMap(value)) return [map, ...[...value].flat(1).map((part, index) => this.#part(`{${index >> 1}}`, part, depth))];
    if (types.isSet(value)) return [set, ...[...value].map((part, index) => this.#part(`{${index}}`, part, depth))];
    return [buffer, new Uint8Array(value as ArrayBuffer)];
  }

  #array(value: readonly unknown[], depth: number): readonly unknown[] {
    if (!isDense(value)) return [sparse, value.length, ...this.#named(value, depth)];
    return [list, ...value.map((part, index) => this.#part(`[${index}]`, part, depth))];
  }

  #view(value: ArrayBufferView): readonly unknown[] {
    const type = viewTypes.findIndex(({ prototype }) => prototype === Object.getPrototypeOf(value));
    return [view, type, new Uint8Array(value.buffer, value.byteOffset, value.byteLength)];
  }

  #named(value: object, depth: number): readonly unknown[] {
    const names = Object.keys(value);
    const others = Array.isArray(value) ? Object.getOwnPropertySymbols(value).length > 0 : !isOpen(value, names);
    if (others) throw this.#refuse("has properties that are named by symbols, or not enumerable");
    return names.flatMap((name) => [this.node(name, depth), this.#part(`.${name}`, (value as Record<string, unknown>)[name], depth)]);
  }

  #part(name: string, part: unknown, depth: number): unknown {
    this.#path.push(name);
    const node = this.node(part, depth + 1);
    this.#path.pop();
    return node;
  }

  #refuse(reason: string): InvalidValueError {
    return new InvalidValueError({ path: this.#path.join(""), reason });
  }
}

function read(node: unknown): unknown {
  try {
    return new Reading().value(node);
  } catch (error) {
    throw new InvalidValueError({ path: "", reason: "cannot be decoded" }, error);
  }
}

/** Decodes the lists that Writing produced; the input may have been changed since. */
class Reading {
  readonly #objects: object[] = [];

  value(node: unknown): unknown {
    if (!Array.isArray(node)) {
      if (typeof node === "object" && node !== null) throw malformed();
      return node;
    }
    const [kind, ...rest] = node as readonly unknown[];
    switch (kind) {
      case undefinedKind:
        return undefined;
      case minusZero:
        return -0;
      case text:
        return Buffer.from(bytesOf(rest[0])).toString("utf16le");
      case bigint:
        return BigInt(textOf(rest[0]));
      case reference:
        return this.#objects[countOf(rest[0])] ?? fail();
      default:
        return this.#object(kind, rest);
    }
  }

  #object(kind: unknown, rest: readonly unknown[]): object {
    switch (kind) {
      case plain:
        return this.#named(this.#made<object>({}), rest, 0);
      case withoutPrototype:
        return this.#named(this.#made<object>(Object.create(null) as object), rest, 0);
      case sparse: {
        const made = this.#named(this.#made<unknown[]>([]), rest, 1);
        lengthen(made, countOf(rest[0]));
        return made;
      }
      case list: {
        const made = this.#made<unknown[]>([]);
        for (const part of rest) made.push(this.value(part));
        return made;
      }
      case date:
        return this.#made(new Date(rest[0] === null ? Number.NaN : Number(rest[0])));
      case map: {
        const made = this.#made(new Map<unknown, unknown>());
        for (let at = 0; at + 1 < rest.length; at += 2) made.set(this.value(rest[at]), this.value(rest[at + 1]));
        return made;
      }
      case set: {
        const made = this.#made(new Set<unknown>());
        for (const part of rest) made.add(this.value(part));
        return made;
      }
      case view:
        return this.#made((viewTypes[countOf(rest[0])] ?? fail()).on(memoryOf(rest[1])));
      case buffer:
        return this.#made(memoryOf(rest[0]));
      case regexp: {
        const made = this.#made(new RegExp(textOf(this.value(rest[0])), textOf(rest[1])));
        made.lastIndex = countOf(rest[2]);
        return made;
      }
      default:
        throw malformed();
    }
  }

  /** Adds the object to the numbering before its parts. */
  #made<T extends object>(object: T): T {
    this.#objects.push(object);
    return object;
  }

  #named<T extends object>(object: T, rest: readonly unknown[], from: number): T {
    for (let at = from; at + 1 < rest.length; at += 2) {
      const name = textOf(this.value(rest[at]));
      const value = this.value(rest[at + 1]);
      Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
    }
    return object;
  }
}

function memoryOf(part: unknown): ArrayBuffer {
  const memory = new ArrayBuffer(bytesOf(part).length);
  new Uint8Array(memory).set(bytesOf(part));
  return memory;
}

function bytesOf(part: unknown): Uint8Array {
  return part instanceof Uint8Array ? part : fail();
}

function textOf(part: unknown): string {
  return typeof part === "string" ? part : fail();
}

function countOf(part: unknown): number {
  return typeof part === "number" && Number.isSafeInteger(part) && part >= 0 && part < 2 ** 32 ? part : fail();
}

function fail(): never {
  throw malformed();
}

function malformed(): Error {
  return new Error("the record is malformed");
}
