import { types } from "node:util";
import { assert } from "../../core/assert.js";
import { backingBytes, objectBytes, primitiveBytes, roughBytes, tableEntryBytes, wordBytes } from "./rough-bytes.js";
import { isDense, isOpen, kindOf, Met, viewTypes } from "./value-kind.js";

/** A copy of a value, with new objects for all parts that could be changed. */
export interface ValueCopy {
  readonly value: unknown;
  /** It contains dates, maps, sets, regular expressions or bytes, which cannot be frozen. */
  readonly hasUnfreezable: boolean;
  /** It contains foreign objects, as the same references. */
  readonly hasForeign: boolean;
  /** Approximate size in memory. */
  readonly bytes: number;
}

/** How a copy is made. */
export interface Copied {
  /**
   * Everything that can be frozen is frozen in the copy, and deeply frozen data of some size is used itself, not
   * copied.
   */
  readonly isFrozen: boolean;
  /** `value` is a copy that was made here, so that it has no accessors. */
  readonly isOfCopy: boolean;
}

/**
 * A copy of `value` and of all its parts. Types, contents, cycles, and parts that occur in several places are
 * preserved. Accessors become their values. Foreign objects (see kindOf) are not copied.
 */
export function copyOf(value: unknown, how: Copied): ValueCopy {
  try {
    return flatCopyOf(value, how) ?? new Copying(how, how.isFrozen).whole(value);
  } catch (error) {
    if (error !== cycleOfFrozen) throw error;
    return new Copying(how, false).whole(value);
  }
}

/**
 * The copy of a plain object with few properties; undefined: `value` is not one. As long as none of its properties is
 * an object, the state that `Copying` keeps is not needed. Checking whether such an object is deeply frozen would take
 * longer than copying it.
 */
function flatCopyOf(value: unknown, how: Copied): ValueCopy | undefined {
  if (typeof value !== "object" || value === null || types.isProxy(value)) return undefined;
  if (Object.getPrototypeOf(value) !== Object.prototype) return undefined;
  const names = Object.keys(value);
  if (names.length > flatPropertiesMax || !isOpen(value, names)) return undefined;
  const copy: Record<string, unknown> = {};
  let bytes = objectBytes + names.length * wordBytes;
  for (let at = 0; at < names.length; at++) {
    const name = names[at] as string;
    const part = named(value)[name];
    if ((typeof part === "object" && part !== null) || typeof part === "function") {
      if (how.isFrozen && Object.isFrozen(value)) return undefined;
      return new Copying(how, how.isFrozen).rest(value, { copy, names, at, bytes });
    }
    bytes += primitiveBytes(part);
    put(copy, name, part);
  }
  return { value: how.isFrozen ? Object.freeze(copy) : copy, hasUnfreezable: false, hasForeign: false, bytes };
}

const flatPropertiesMax = 32;

/**
 * Thrown for a frozen object that contains itself: whether it can be used itself would be known only after it was
 * needed.
 */
const cycleOfFrozen = new Error("a frozen object holds itself");
/** Stands for a frozen object while it is not known whether it can be used itself. */
const undecided = {};

class Copying {
  readonly #isFrozen: boolean;
  readonly #isOfCopy: boolean;
  readonly #takesFrozen: boolean;
  readonly #met = new Met<object>();
  #hasUnfreezable = false;
  #hasForeign = false;
  #bytes = 0;

  constructor({ isFrozen, isOfCopy }: Copied, takesFrozen: boolean) {
    this.#isFrozen = isFrozen;
    this.#isOfCopy = isOfCopy;
    this.#takesFrozen = takesFrozen;
  }

  whole(value: unknown): ValueCopy {
    const copy = this.#copy(value);
    return { value: copy, hasUnfreezable: this.#hasUnfreezable, hasForeign: this.#hasForeign, bytes: this.#bytes };
  }

  /** Continues with a plain object whose properties before `at` are already in `copy`. */
  rest(
    value: object,
    { copy, names, at, bytes }: { copy: Record<string, unknown>; names: readonly string[]; at: number; bytes: number },
  ): ValueCopy {
    this.#bytes = bytes;
    this.#met.set(value, copy);
    for (; at < names.length; at++) {
      const name = names[at] as string;
      put(copy, name, this.#copy(named(value)[name]));
    }
    if (this.#isFrozen) Object.freeze(copy);
    return { value: copy, hasUnfreezable: this.#hasUnfreezable, hasForeign: this.#hasForeign, bytes: this.#bytes };
  }

  #copy(value: unknown): unknown {
    if (typeof value === "object" && value !== null) return this.#object(value);
    if (typeof value === "function") return this.#foreign(value);
    this.#bytes += primitiveBytes(value);
    return value;
  }

  #object(value: object): object {
    const met = this.#met.get(value);
    if (met === undecided) throw cycleOfFrozen;
    if (met !== undefined) return met;
    const kind = kindOf(value);
    switch (kind) {
      case "object":
        return this.#plain(named(value));
      case "array":
        return this.#array(value as readonly unknown[]);
      case "foreign":
        return this.#foreign(value);
      default:
        this.#hasUnfreezable = true;
        return this.#withNamed(value, this.#unfreezable(value));
    }
  }

  /** The same reference; nothing in it is changed. */
  #foreign(value: object): object {
    this.#hasForeign = true;
    this.#bytes += roughBytes(value);
    return value;
  }

  #plain(value: Record<string, unknown>): object {
    const names = Object.keys(value);
    if (!isOpen(value, names)) return types.isArgumentsObject(value) ? this.#foreign(value) : this.#named(value);
    this.#bytes += objectBytes + names.length * wordBytes;
    if (this.#takesFrozen && Object.isFrozen(value) && this.#isData(value, names)) return this.#frozen(value, names);
    const copy = emptyLike(value);
    this.#met.set(value, copy);
    for (const name of names) put(copy, name, this.#copy(value[name]));
    return this.#isFrozen ? Object.freeze(copy) : copy;
  }

  #array(value: readonly unknown[]): object {
    if (!isDense(value)) return this.#sparse(value);
    this.#bytes += objectBytes + value.length * wordBytes;
    if (this.#takesFrozen && Object.isFrozen(value)) {
      const names = Object.keys(value);
      if (this.#isData(value, names)) return this.#frozen(named(value), names);
    }
    const copy = value.slice();
    this.#met.set(value, copy);
    for (let index = 0; index < copy.length; index++) {
      const part = copy[index];
      if (typeof part === "number") continue;
      const partCopy = this.#copy(part);
      if (partCopy !== part) copy[index] = partCopy;
    }
    return this.#isFrozen ? Object.freeze(copy) : copy;
  }

  /**
   * Whether none of these properties is an accessor: an accessor of a frozen object may still return other values
   * later.
   */
  #isData(value: object, names: readonly string[]): boolean {
    return this.#isOfCopy || !names.some((name) => isAccessor(value, name));
  }

  /** `value` itself, if all its parts are the same in a copy; otherwise a frozen copy. */
  #frozen(value: Record<string, unknown>, names: readonly string[]): object {
    this.#met.set(value, undecided);
    let copy: Record<string, unknown> | undefined;
    for (let at = 0; at < names.length; at++) {
      const name = names[at] as string;
      const part = value[name];
      const partCopy = this.#copy(part);
      if (copy === undefined) {
        if (partCopy === part || typeof part === "number") continue;
        copy = Array.isArray(value) ? named([]) : emptyLike(value);
        for (const before of names.slice(0, at)) put(copy, before, value[before]);
      }
      put(copy, name, partCopy);
    }
    const whole = copy === undefined ? value : Object.freeze(copy);
    this.#met.set(value, whole);
    return whole;
  }

  /** For objects with properties that are named by symbols, or not enumerable. */
  #named(value: object): object {
    const copy = emptyLike(value);
    this.#bytes += objectBytes;
    this.#met.set(value, copy);
    this.#putNamed(value, copy);
    return this.#isFrozen ? Object.freeze(copy) : copy;
  }

  /**
   * For arrays with holes, or with properties in addition to the elements. Cost: the existing elements, for any length.
   */
  #sparse(value: readonly unknown[]): object {
    const copy: unknown[] = [];
    this.#bytes += objectBytes;
    this.#met.set(value, copy);
    this.#putNamed(value, copy);
    lengthen(copy, value.length);
    return this.#isFrozen ? Object.freeze(copy) : copy;
  }

  #unfreezable(value: object): object {
    this.#bytes += objectBytes;
    if (types.isDate(value)) return this.#standing(value, new Date(Date.prototype.getTime.call(value)));
    if (types.isRegExp(value)) {
      const copy = new RegExp(value.source, value.flags);
      copy.lastIndex = value.lastIndex;
      return this.#standing(value, copy);
    }
    if (types.isMap(value)) {
      const copy = new Map<unknown, unknown>();
      this.#standing(value, copy);
      this.#bytes += value.size * tableEntryBytes;
      for (const [key, part] of Map.prototype.entries.call(value)) copy.set(this.#copy(key), this.#copy(part));
      return copy;
    }
    if (types.isSet(value)) {
      const copy = new Set<unknown>();
      this.#standing(value, copy);
      this.#bytes += value.size * tableEntryBytes;
      for (const part of Set.prototype.values.call(value)) copy.add(this.#copy(part));
      return copy;
    }
    return this.#standing(value, this.#bytesCopy(value));
  }

  /** A Buffer is part of a pool, and any view may show part of a larger buffer: only the bytes it shows are copied. */
  #bytesCopy(value: object): object {
    if (types.isArrayBuffer(value)) {
      this.#bytes += backingBytes + value.byteLength;
      return value.slice(0);
    }
    assert(ArrayBuffer.isView(value), "a value that is no date, map, set, expression or buffer is a view");
    this.#bytes += backingBytes + value.byteLength;
    return sliceOf(value);
  }

  #standing(value: object, copy: object): object {
    this.#met.set(value, copy);
    return copy;
  }

  /**
   * A date, map or set with properties of its own. Those of views are not copied, because finding them would take a
   * look at each byte.
   */
  #withNamed(value: object, copy: object): object {
    if (!ArrayBuffer.isView(value) && !isOpen(value, types.isRegExp(value) ? lastIndexOnly : [])) this.#putNamed(value, copy);
    return copy;
  }

  #putNamed(value: object, copy: object): void {
    for (const name of Reflect.ownKeys(value)) {
      if (Object.hasOwn(copy, name)) continue;
      const enumerable = Object.prototype.propertyIsEnumerable.call(value, name);
      this.#bytes += namedBytes;
      const part = this.#copy(Reflect.get(value, name));
      Object.defineProperty(copy, name, { value: part, enumerable, writable: true, configurable: true });
    }
  }
}

function isAccessor(value: object, name: string): boolean {
  const property = Object.getOwnPropertyDescriptor(value, name);
  return property === undefined || property.get !== undefined || property.set !== undefined;
}

/** The bytes that `view` shows, as a view of the same type on memory of its own. */
function sliceOf(view: ArrayBufferView): ArrayBufferView {
  const { buffer, byteOffset, byteLength } = view;
  const type = viewTypes.find(({ prototype }) => prototype === Object.getPrototypeOf(view));
  assert(type !== undefined && types.isArrayBuffer(buffer), "a view has a known type and is on an ArrayBuffer");
  return type.on(buffer.slice(byteOffset, byteOffset + byteLength));
}

/** Extends `list` to `length` with holes, without allocating them: a few bytes of input can name a great length. */
export function lengthen(list: unknown[], length: number): void {
  if (list.length >= length) return;
  list[length - 1] = 0;
  // oxlint-disable-next-line no-array-delete
  delete list[length - 1];
}

/** An empty object with the same prototype. */
function emptyLike(value: object): Record<string, unknown> {
  return Object.getPrototypeOf(value) === null ? (Object.create(null) as Record<string, unknown>) : {};
}

function named(value: object): Record<string, unknown> {
  return value as Record<string, unknown>;
}

function put(object: Record<string, unknown>, name: string, value: unknown): void {
  // A plain assignment to a property with this name would set the prototype.
  if (name === "__proto__") Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
  else object[name] = value;
}

const lastIndexOnly = ["lastIndex"];
const namedBytes = 3 * wordBytes;
