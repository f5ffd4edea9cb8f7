import { limits } from "../words/limits.js";
import type { Tid } from "../words/tid.js";

/**
 * How often something that was read of a storage became stale, in this process, whatever storage it is: what was not stale at one count
 * is not as long as the count stands.
 */
export const objectChanges = { count: 0 };

/** A key or a prefix of a storage, as it has been since a transaction: all who read it meanwhile, and depend on it, share it until it is stale. */
export class ObjectRead {
  readonly text: string;
  /** Nothing that it says was changed from this transaction on: what was read as of it, or as of a later one, is so now. */
  since: Tid;
  /** It was changed, or may have been, as nobody looks any more. For good: who reads the same again gets another. */
  isStale = false;
  /** Results that are kept and depend on it. */
  holds = 0;
  readonly #reads: ObjectReads | undefined;

  constructor(text: string, since: Tid, reads: ObjectReads | undefined) {
    this.text = text;
    this.since = since;
    this.#reads = reads;
  }

  /** A result that depends on it is kept. */
  hold(): void {
    this.holds++;
    if (this.holds === 1) this.#reads?.used(this);
  }

  /** Once for each `hold`. */
  release(): void {
    this.holds--;
    if (this.holds === 0) this.#reads?.unused(this);
  }
}

/** What was read of no picture that is known to be the last: stale from the beginning. */
export const staleRead: ObjectRead = new ObjectRead("", 0 as Tid, undefined);
staleRead.isStale = true;

/** Bounds of what is remembered of one storage; default: those in limits. */
export interface ObjectReadsBounds {
  readonly readsMax?: number | undefined;
  readonly unusedMax?: number | undefined;
  readonly prefixLengthsMax?: number | undefined;
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
export class ObjectReads {
  readonly #readsMax: number;
  readonly #unusedMax: number;
  readonly #prefixLengthsMax: number;
  readonly #keys = new Map<string, ObjectRead>();
  readonly #prefixes = new Map<string, ObjectRead>();
  /** How many prefixes there are of each length. */
  readonly #prefixLengths = new Map<number, number>();
  /** What no kept result holds, the one longest ago first. */
  readonly #unused = new Set<ObjectRead>();
  #isClosed = false;

  constructor(bounds: ObjectReadsBounds = {}) {
    this.#readsMax = bounds.readsMax ?? limits.objectReadsMax;
    this.#unusedMax = bounds.unusedMax ?? limits.objectReadsUnusedMax;
    this.#prefixLengthsMax = bounds.prefixLengthsMax ?? limits.objectPrefixLengthsMax;
  }

  /** Keys and prefixes that are remembered. */
  get size(): number {
    return this.#keys.size + this.#prefixes.size;
  }

  /** The key as it is now, that is: as of `last`, the last transaction applied. To be called before its value is asked for elsewhere. */
  key(key: string, last: Tid): ObjectRead {
    return this.#found(this.#keys.get(key)) ?? this.#add(this.#keys, key, last);
  }

  /** All keys that begin with `prefix`, those that are not there among them. Past the bound on lengths a shorter prefix stands in for it. */
  prefix(prefix: string, last: Tid): ObjectRead {
    const text = this.#hasRoomForLength(prefix.length) ? prefix : prefix.slice(0, this.#nextShorter(prefix.length));
    const found = this.#found(this.#prefixes.get(text));
    if (found !== undefined) return found;
    const added = this.#add(this.#prefixes, text, last);
    if (!added.isStale) this.#prefixLengths.set(text.length, (this.#prefixLengths.get(text.length) ?? 0) + 1);
    return added;
  }

  /** A transaction wrote, created or deleted `keys`. To be called before anything is read as of it. */
  touch(keys: readonly string[]): void {
    if (this.size === 0) return;
    for (const key of keys) {
      this.#touch(this.#keys.get(key));
      for (const length of this.#prefixLengths.keys()) {
        if (length <= key.length) this.#touch(this.#prefixes.get(key.slice(0, length)));
      }
    }
  }

  /** Anything may have been changed. */
  touchAll(): void {
    for (const read of this.#keys.values()) this.#touch(read);
    for (const read of this.#prefixes.values()) this.#touch(read);
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

  /** Who reads it is the last that did. */
  #found(read: ObjectRead | undefined): ObjectRead | undefined {
    if (read?.holds === 0) {
      this.#unused.delete(read);
      this.#unused.add(read);
    }
    return read;
  }

  #add(reads: Map<string, ObjectRead>, text: string, last: Tid): ObjectRead {
    if (this.#isClosed) return staleRead;
    if (this.size >= this.#readsMax) {
      const [oldest] = this.#unused;
      if (oldest === undefined) return staleRead;
      this.#touch(oldest);
    }
    const read = new ObjectRead(text, last, this);
    reads.set(text, read);
    this.#unused.add(read);
    this.#makeRoom();
    return read;
  }

  #makeRoom(): void {
    for (const oldest of this.#unused) {
      if (this.#unused.size <= this.#unusedMax) return;
      this.#touch(oldest);
    }
  }

  #touch(read: ObjectRead | undefined): void {
    if (read === undefined) return;
    read.isStale = true;
    objectChanges.count++;
    this.#unused.delete(read);
    if (this.#keys.get(read.text) === read) {
      this.#keys.delete(read.text);
      return;
    }
    this.#prefixes.delete(read.text);
    const { length } = read.text;
    const others = (this.#prefixLengths.get(length) ?? 0) - 1;
    if (others > 0) this.#prefixLengths.set(length, others);
    else this.#prefixLengths.delete(length);
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
