import { hash } from "node:crypto";
import { types } from "node:util";
import { InvalidKeyArgumentError, limits, type Tag } from "../../core/index.js";
import { viewTypes } from "./value-kind.js";

/**
 * Key of a call among those of one function, for a Map: equal for equal arguments, different for different ones.
 * One primitive argument is its own key; anything else is a text that begins with NUL.
 */
export type ArgumentsKey = string | number | boolean | bigint | null | undefined;

/** Function whose results share the beginning of their keys. */
export interface KeyScope {
  readonly namespace?: string;
  readonly name: string;
  readonly version?: string | number;
}

/**
 * Marks a written-out text. A string argument that begins with it is written out too, so that no argument's own key
 * equals such a text.
 */
const writtenOut = "\0";

/** Marks the hash of arguments that are too long for a key: no argument's text begins with it. */
const hashed = "#";

/** Longest text of arguments that becomes part of a key unchanged; a longer text is replaced by its hash. */
const readableLengthMax = 256;

/** First level of the tags of keys. No cached function should depend on it directly: it has only keys below it. */
const keyTagLevel = ".key:";
const levelLengthMax = limits.tagLengthMax - keyTagLevel.length;

const notPlain = /[^\w]/;

const plainName = /^[\w.-]+$/;

const typedArrays = new Map<unknown, string>(
  viewTypes.filter(({ prototype }) => prototype !== DataView.prototype).map(({ prototype }) => [prototype, prototype.constructor.name]),
);

/**
 * Key of the arguments of one call. The order of properties, and of the entries of Maps and Sets, does not count;
 * `f()`, `f(undefined)` and `f({ a: undefined })` differ from `f({})`, and -0 differs from 0. Throws
 * InvalidKeyArgumentError for functions, symbols, instances of classes, cycles, and texts longer than
 * cacheKeyLengthMax.
 */
export function argumentsKey(args: readonly unknown[]): ArgumentsKey {
  if (args.length === 1) {
    const only = args[0];
    switch (typeof only) {
      case "string":
        if (only.charCodeAt(0) !== 0) return only;
        break;
      case "number":
        if (only !== 0 || !Object.is(only, -0)) return only;
        break;
      case "boolean":
      case "bigint":
      case "undefined":
        return only;
      default:
        if (only === null) return null;
    }
  }
  return writtenOut + new ArgumentsText().of(args);
}

/** The arguments as a text, different for different arguments: `"DE",{"limit":3}`. */
export function argumentsText(key: ArgumentsKey): string {
  return typeof key === "string" && key.startsWith(writtenOut) ? key.slice(writtenOut.length) : primitiveText(key);
}

/** The beginning of the keys of a function's results, different for different scopes: `cities/population@2`. */
export function scopeText({ namespace, name, version }: KeyScope): string {
  return `${namespace === undefined ? "" : `${nameText(namespace)}/`}${nameText(name)}${version === undefined ? "" : `@${nameText(String(version))}`}`;
}

/**
 * Key of a result, the same in every process: `cities/population@2("DE")`. Long arguments are replaced by their
 * SHA-256.
 */
export function resultKey(scope: string, key: ArgumentsKey): string {
  const text = argumentsText(key);
  // The parts are joined because the key is kept: join makes one flat string, a template a tree of strings three times
  // as large.
  return [scope, "(", text.length <= readableLengthMax ? text : hashed + hash("sha256", text), ")"].join("");
}

/** Whether `text` can be a result of `resultKey`. */
export function isResultKey(text: string): boolean {
  return text.endsWith(")") && text.includes("(");
}

/** The tag of a single key, below `.key`: different for different keys. Long keys are replaced by their SHA-256. */
export function keyTag(key: string): Tag {
  const level = key.length <= levelLengthMax ? escaped(key) : "";
  // No escape is empty, so no escaped key begins with two points like the hash.
  return (keyTagLevel +
    (level !== "" && level.length <= levelLengthMax ? level : `..${hash("sha256", Buffer.from(key, "utf16le"))}`)) as Tag;
}

/**
 * `key` with letters, digits and `_` unchanged, and every other UTF-16 unit written as its number between two points.
 */
function escaped(key: string): string {
  if (!notPlain.test(key)) return key;
  let text = "";
  let from = 0;
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at);
    if ((unit >= 97 && unit <= 122) || (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || unit === 95) continue;
    text += `${key.slice(from, at)}.${unit.toString(36)}.`;
    from = at + 1;
  }
  return text + key.slice(from);
}

function nameText(name: string): string {
  return plainName.test(name) ? name : JSON.stringify(name);
}

function primitiveText(value: ArgumentsKey): string {
  switch (typeof value) {
    case "string":
      // JSON escapes half a surrogate pair, so that different strings give different texts, which all have a UTF-8
      // form.
      return JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    default:
      return String(value);
  }
}

/** Writes arguments as text, and tracks the length so far and the path of the current part. */
class ArgumentsText {
  #length = 0;
  readonly #path: (string | number)[] = [];
  readonly #ancestors: object[] = [];

  of(args: readonly unknown[]): string {
    return this.#parts(args);
  }

  #parts(parts: readonly unknown[]): string {
    let text = "";
    for (let index = 0; index < parts.length; index++) {
      if (index > 0) text += ",";
      text += index in parts ? this.#at(index, parts[index]) : this.#count("hole");
    }
    return text;
  }

  #at(name: string | number, value: unknown): string {
    this.#path.push(name);
    const text = this.#text(value);
    this.#path.pop();
    return text;
  }

  #text(value: unknown): string {
    switch (typeof value) {
      case "object":
        return value === null ? this.#count("null") : this.#objectText(value);
      case "function":
      case "symbol":
        throw this.#refuse(`is a ${typeof value}`);
      case "string":
        // The length is checked first, so that a string that is too long is not written.
        this.#need(value.length);
        return this.#count(primitiveText(value));
      case "number":
      case "boolean":
      case "bigint":
      case "undefined":
        return this.#count(primitiveText(value));
    }
  }

  #objectText(value: object): string {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Date.prototype && types.isDate(value)) return this.#count(`Date(${value.getTime()})`);
    const array = typedArrays.get(prototype);
    if (array !== undefined && ArrayBuffer.isView(value)) return this.#bytesText(array, value);
    if (this.#ancestors.includes(value)) throw this.#refuse("is a cycle");
    if (this.#ancestors.length >= limits.valueDepthMax) throw this.#refuse(`is nested deeper than ${limits.valueDepthMax}`);
    this.#count("{}");
    this.#ancestors.push(value);
    const text = this.#containerText(value, prototype);
    this.#ancestors.pop();
    return text;
  }

  #containerText(value: object, prototype: unknown): string {
    if (prototype === Array.prototype && Array.isArray(value)) return `[${this.#parts(value)}]`;
    if (prototype === Object.prototype || prototype === null) return `{${this.#propertiesText(value as Record<string, unknown>)}}`;
    if (prototype === Map.prototype && types.isMap(value)) {
      const entries = Array.from(value, ([key, part], index) => `${this.#at(index, key)}:${this.#at(index, part)}`);
      return `Map{${entries.sort().join(",")}}`;
    }
    if (prototype === Set.prototype && types.isSet(value)) {
      const parts = Array.from(value, (part, index) => this.#at(index, part));
      return `Set{${parts.sort().join(",")}}`;
    }
    throw this.#refuse(`is an instance of ${value.constructor?.name ?? "a class"}, not a plain object`);
  }

  #propertiesText(value: Record<string, unknown>): string {
    if (Object.getOwnPropertySymbols(value).length > 0) throw this.#refuse("has a property named by a symbol");
    const names = Object.keys(value).sort();
    return names.map((name) => `${this.#count(JSON.stringify(name))}:${this.#at(name, value[name])}`).join(",");
  }

  #bytesText(array: string, { buffer, byteOffset, byteLength }: ArrayBufferView): string {
    this.#need(byteLength);
    return this.#count(`${array}(${Buffer.from(buffer, byteOffset, byteLength).toString("base64")})`);
  }

  #count(text: string): string {
    this.#need(text.length);
    this.#length += text.length + 1;
    return text;
  }

  #need(length: number): void {
    if (this.#length + length > limits.cacheKeyLengthMax) {
      throw this.#refuse(`makes the key longer than ${limits.cacheKeyLengthMax} characters`);
    }
  }

  #refuse(reason: string): InvalidKeyArgumentError {
    const path = this.#path.map((name, depth) => (typeof name === "string" ? `.${name}` : depth === 0 ? String(name) : `[${name}]`));
    return new InvalidKeyArgumentError({ path: path.join(""), reason });
  }
}
