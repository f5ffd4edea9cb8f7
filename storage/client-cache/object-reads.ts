import {
  keptWhenFull,
  limits,
  objectChanges,
  ObjectRead,
  type ObjectReadOwner,
  type ReadKind,
  staleRead,
  type Tid,
} from "../../core/index.js";

/** Bounds for the reads of one storage; default: those in `limits`. */
export interface ObjectReadsOptions {
  readonly readsMax?: number | undefined;
  readonly unusedMax?: number | undefined;
  readonly prefixLengthsMax?: number | undefined;
  /** Called when there is no room for a new read; called again when there was room in between. */
  readonly onFull?: (() => void) | undefined;
}

/**
 * The reads of one storage by computations of this process, through one client, and whether they became stale. A commit
 * costs one look-up for each of its keys, plus one for each length of a prefix here; results that depend on a touched
 * key are found to be stale when they are requested.
 *
 *     1. A read in this set is not stale, and a read that left the set is stale: the ObjectRead itself shows it.
 *     2. A read that a kept result holds leaves only when it is touched. Other reads belong to running or finished
 *        computations: the oldest leave, as if they were touched.
 *     3. Beyond a bound no new read is added: further reads are stale from the beginning, so that the result is
 *        returned and not kept.
 *
 * Source: DESIGN, "With the object store". It is equivalent to a version for each storage that is compared with the
 * last change of each key a result read: in both cases the data of a valid result did not change. The tids are compared
 * when the data is read.
 */
export class ObjectReads implements ObjectReadOwner {
  readonly #readsMax: number;
  readonly #unusedMax: number;
  readonly #prefixLengthsMax: number;
  readonly #all: Readonly<Record<ReadKind, Map<string, ObjectRead>>> = { key: new Map(), prefix: new Map(), age: new Map() };
  /** Number of prefixes of each length. */
  readonly #prefixLengths = new Map<number, number>();
  /** Reads that no kept result holds, in the order of their last use. */
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

  /** Number of reads of all kinds. */
  get size(): number {
    const { key, prefix, age } = this.#all;
    return key.size + prefix.size + age.size;
  }

  /** The read of `key` as of `last`, the last applied transaction. Call it before the value is looked up elsewhere. */
  key(key: string, last: Tid): ObjectRead {
    return this.#find("key", key) ?? this.#add("key", key, last);
  }

  /**
   * The read of all keys that begin with `prefix`, including absent ones. When there are too many different lengths, a
   * shorter prefix replaces it.
   */
  prefix(prefix: string, last: Tid): ObjectRead {
    const text = this.#hasRoomForLength(prefix.length) ? prefix : prefix.slice(0, this.#nextShorter(prefix.length));
    const found = this.#find("prefix", text);
    if (found !== undefined) return found;
    const added = this.#add("prefix", text, last);
    if (!added.isStale) this.#prefixLengths.set(text.length, (this.#prefixLengths.get(text.length) ?? 0) + 1);
    return added;
  }

  /**
   * The read of a snapshot no older than `maxStaleMs`. Only the caller knows when that is past; if the read `isNew`,
   * the caller ends it then.
   */
  age(maxStaleMs: number, last: Tid, isPast: () => boolean): { readonly read: ObjectRead; readonly isNew: boolean } {
    const text = String(maxStaleMs);
    const found = this.#find("age", text);
    if (found !== undefined) return { read: found, isNew: false };
    if (this.#all.age.size >= limits.objectAgesMax) return { read: staleRead, isNew: false };
    const read = this.#add("age", text, last, isPast);
    return { read, isNew: !read.isStale };
  }

  /** A transaction wrote, created or deleted `keys`. Call it before anything is read as of it. */
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

  /** Any key may have changed. */
  touchAll(): void {
    objectChanges.applied++;
    for (const reads of Object.values(this.#all)) for (const read of reads.values()) this.end(read);
  }

  /** Everything is stale from now on, because changes are no longer reported. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.touchAll();
  }

  /** For `hold`: a kept result depends on `read` now. */
  used(read: ObjectRead): void {
    this.#unused.delete(read);
  }

  /** For `release`: no kept result depends on `read` any more; a running computation may. */
  unused(read: ObjectRead): void {
    if (read.isStale) return;
    this.#unused.add(read);
    this.#makeRoom();
  }

  /** Makes `read` stale and removes it. Idempotent. */
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

  /** A read that is found becomes the most recently used one. */
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
      const { size } = this.#unused;
      if (size === 0) return this.#refused();
      this.#endOldest(Math.min(keptWhenFull(size), size - 1));
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
    if (this.#unused.size > this.#unusedMax) this.#endOldest(keptWhenFull(this.#unusedMax));
  }

  /** Leaves `kept` of the reads that no kept result holds. */
  #endOldest(kept: number): void {
    for (const oldest of this.#unused) {
      if (this.#unused.size <= kept) return;
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
