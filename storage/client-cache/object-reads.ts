import { limits } from "../../core/limits.js";
import { objectChanges, ObjectRead, type ObjectReadOwner, type ReadKind, staleRead } from "../../core/object-read.js";
import type { Tid } from "../../core/tid.js";

/** Bounds of what is remembered of one storage; default: those in limits. */
export interface ObjectReadsOptions {
  readonly readsMax?: number | undefined;
  readonly unusedMax?: number | undefined;
  readonly prefixLengthsMax?: number | undefined;
  /** There is no room from now on: for people. Told again when there was some in between. */
  readonly onFull?: (() => void) | undefined;
}

/**
 * What computations here have read of one storage, through one client, and what became of it. A commit costs a look-up for each of its keys,
 * and one more for each length that a prefix here has; what depends on what it touched is found stale when it is asked for.
 *
 *     1. What is here is not stale, and what is not here any more is: whoever has it can tell by it alone.
 *     2. What a kept result holds goes only when it is touched. The rest is of computations under way, or was: the oldest go, as if touched.
 *     3. Past a bound nothing new is remembered: what is read then is stale from the beginning, so that the result is given and not kept.
 *
 * Source: DESIGN, "With the object store". A version for each storage, compared with the last change of each key, comes to the same: what
 * a result read is not stale. The tids are compared when it is read.
 */
export class ObjectReads implements ObjectReadOwner {
  readonly #readsMax: number;
  readonly #unusedMax: number;
  readonly #prefixLengthsMax: number;
  readonly #all: Readonly<Record<ReadKind, Map<string, ObjectRead>>> = { key: new Map(), prefix: new Map(), age: new Map() };
  /** How many prefixes there are of each length. */
  readonly #prefixLengths = new Map<number, number>();
  /** What no kept result holds, the one longest ago first. */
  readonly #unused = new Set<ObjectRead>();
  readonly #onFull: (() => void) | undefined;
  #isFull = false;
  #isClosed = false;

  constructor(options: ObjectReadsOptions = {}) {
    this.#readsMax = options.readsMax ?? limits.objectReadsMax;
    this.#unusedMax = options.unusedMax ?? limits.objectReadsUnusedMax;
    this.#prefixLengthsMax = options.prefixLengthsMax ?? limits.objectPrefixLengthsMax;
    this.#onFull = options.onFull;
  }

  /** How much is remembered, of all kinds. */
  get size(): number {
    const { key, prefix, age } = this.#all;
    return key.size + prefix.size + age.size;
  }

  /** The key as it is now, that is: as of `last`, the last transaction applied. To be called before its value is asked for elsewhere. */
  key(key: string, last: Tid): ObjectRead {
    return this.#find("key", key) ?? this.#add("key", key, last);
  }

  /** All keys that begin with `prefix`, those that are not there among them. Past the bound on lengths a shorter prefix stands in for it. */
  prefix(prefix: string, last: Tid): ObjectRead {
    const text = this.#hasRoomForLength(prefix.length) ? prefix : prefix.slice(0, this.#nextShorter(prefix.length));
    const found = this.#find("prefix", text);
    if (found !== undefined) return found;
    const added = this.#add("prefix", text, last);
    if (!added.isStale) this.#prefixLengths.set(text.length, (this.#prefixLengths.get(text.length) ?? 0) + 1);
    return added;
  }

  /** A snapshot no older than `maxStaleMs`. Only the caller knows whether it is past; if the read `isNew`, the caller ends it then. */
  age(maxStaleMs: number, last: Tid, isPast: () => boolean): { readonly read: ObjectRead; readonly isNew: boolean } {
    const text = String(maxStaleMs);
    const found = this.#find("age", text);
    if (found !== undefined) return { read: found, isNew: false };
    if (this.#all.age.size >= limits.objectAgesMax) return { read: staleRead, isNew: false };
    const read = this.#add("age", text, last, isPast);
    return { read, isNew: !read.isStale };
  }

  /** A transaction wrote, created or deleted `keys`. To be called before anything is read as of it. */
  touch(keys: readonly string[]): void {
    objectChanges.applied++;
    const { key: read, prefix } = this.#all;
    if (read.size + prefix.size === 0) return;
    for (const key of keys) {
      this.end(read.get(key));
      for (const length of this.#prefixLengths.keys()) {
        if (length <= key.length) this.end(prefix.get(key.slice(0, length)));
      }
    }
  }

  /** Anything may have been changed. */
  touchAll(): void {
    objectChanges.applied++;
    for (const reads of Object.values(this.#all)) for (const read of reads.values()) this.end(read);
  }

  /** Everything is stale, and stays so: nobody will tell what is changed. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.touchAll();
  }

  /** For `hold`: a kept result depends on it now. */
  used(read: ObjectRead): void {
    this.#unused.delete(read);
  }

  /** For `release`: no kept result depends on it any more; a computation under way may. */
  unused(read: ObjectRead): void {
    if (read.isStale) return;
    this.#unused.add(read);
    this.#makeRoom();
  }

  /** `read` is stale from now on, and not remembered any more. Idempotent. */
  end(read: ObjectRead | undefined): void {
    if (read === undefined || read.isStale) return;
    read.isStale = true;
    objectChanges.count++;
    this.#unused.delete(read);
    this.#all[read.kind].delete(read.text);
    if (read.kind !== "prefix") return;
    const { length } = read.text;
    const others = (this.#prefixLengths.get(length) ?? 0) - 1;
    if (others > 0) this.#prefixLengths.set(length, others);
    else this.#prefixLengths.delete(length);
  }

  /** Who finds it is the last that read it. */
  #find(kind: ReadKind, text: string): ObjectRead | undefined {
    const read = this.#all[kind].get(text);
    if (read?.holds === 0) {
      this.#unused.delete(read);
      this.#unused.add(read);
    }
    return read;
  }

  #add(kind: ReadKind, text: string, last: Tid, isPast?: () => boolean): ObjectRead {
    if (this.#isClosed) return staleRead;
    if (this.size >= this.#readsMax) {
      const [oldest] = this.#unused;
      if (oldest === undefined) return this.#refused();
      this.end(oldest);
    }
    this.#isFull = false;
    const read = new ObjectRead(kind, text, last, this, isPast);
    this.#all[kind].set(text, read);
    this.#unused.add(read);
    this.#makeRoom();
    return read;
  }

  #refused(): ObjectRead {
    if (!this.#isFull) this.#onFull?.();
    this.#isFull = true;
    return staleRead;
  }

  #makeRoom(): void {
    for (const oldest of this.#unused) {
      if (this.#unused.size <= this.#unusedMax) return;
      this.end(oldest);
    }
  }

  #hasRoomForLength(length: number): boolean {
    return length === 0 || this.#prefixLengths.has(length) || this.#prefixLengths.size < this.#prefixLengthsMax;
  }

  #nextShorter(length: number): number {
    let shorter = 0;
    for (const held of this.#prefixLengths.keys()) if (held < length && held > shorter) shorter = held;
    return shorter;
  }
}
