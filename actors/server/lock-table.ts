import type { CommitRequest } from "../../core/index.js";
import { RangeSet } from "../../storage/objects/range-set.js";

/**
 * The objects that voted transactions hold. A voted transaction holds the objects that it writes against every reader
 * and writer. It holds the objects that it read, with absent keys and ranges, against every writer.
 *
 * Two holders never hold the same object against each other: the later transaction waits before its vote.
 * Source: INTERLEAVINGS A2.
 */
export class LockTable<Holder> {
  readonly #written = new Map<string, Holder>();
  readonly #read = new Map<string, Set<Holder>>();
  readonly #ranges = new Map<Holder, RangeSet>();
  #holders = 0;

  /** Number of holders. At 0, callers can skip `blockerOf`. */
  get count(): number {
    return this.#holders;
  }

  hold(holder: Holder, request: CommitRequest): void {
    this.#holders++;
    for (const { key } of request.writes) this.#written.set(key, holder);
    if (!request.serializable) return;
    for (const key of request.reads) {
      const readers = this.#read.get(key);
      if (readers === undefined) this.#read.set(key, new Set([holder]));
      else readers.add(holder);
    }
    if (request.ranges.length > 0) this.#ranges.set(holder, new RangeSet(request.ranges));
  }

  /** `request` must be the one that was passed to `hold`. */
  release(holder: Holder, request: CommitRequest): void {
    this.#holders--;
    for (const { key } of request.writes) if (this.#written.get(key) === holder) this.#written.delete(key);
    if (!request.serializable) return;
    for (const key of request.reads) {
      const readers = this.#read.get(key);
      readers?.delete(holder);
      if (readers?.size === 0) this.#read.delete(key);
    }
    this.#ranges.delete(holder);
  }

  /** A holder of an object that `request` writes or reads and must wait for; undefined: there is none. */
  blockerOf(request: CommitRequest): Holder | undefined {
    if (this.#holders === 0) return undefined;
    for (const { key } of request.writes) {
      const holder = this.#written.get(key) ?? this.#reader(key);
      if (holder !== undefined) return holder;
    }
    if (!request.serializable) return undefined;
    for (const key of request.reads) {
      const holder = this.#written.get(key);
      if (holder !== undefined) return holder;
    }
    return request.ranges.length === 0 ? undefined : this.#writerIn(new RangeSet(request.ranges));
  }

  #reader(key: string): Holder | undefined {
    const readers = this.#read.get(key);
    if (readers !== undefined) for (const reader of readers) return reader;
    for (const [holder, ranges] of this.#ranges) {
      if (ranges.has(key)) return holder;
    }
    return undefined;
  }

  #writerIn(ranges: RangeSet): Holder | undefined {
    for (const [key, holder] of this.#written) {
      if (ranges.has(key)) return holder;
    }
    return undefined;
  }
}
