import type { DiskEntry } from "./disk-entry.js";
import { Expiry } from "./expiry.js";
import { Recency } from "../../core/recency.js";

/** Bounds of a tier; beyond either, the least recently used entries are removed. */
export interface DiskBounds {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/**
 * All entries of a tier on disk, without their values: by key, in the order of their last use, and within their bounds.
 */
export class DiskIndex {
  readonly bounds: DiskBounds;
  /** Entries by the time at which they expire, or were due to expire at the last check. */
  readonly expiry = new Expiry<DiskEntry>();
  readonly #entries = new Map<string, DiskEntry>();
  readonly #recency = new Recency<DiskEntry>();
  /**
   * Position of the current round over all entries; undefined between rounds, because a paused iterator keeps every
   * table that the map has outgrown since.
   */
  #hand: Iterator<DiskEntry> | undefined;
  #bytes = 0;

  constructor(bounds: DiskBounds) {
    this.bounds = bounds;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The least recently used entry, if a bound is exceeded. */
  get surplus(): DiskEntry | undefined {
    const { entriesMax, bytesMax } = this.bounds;
    return this.#entries.size > entriesMax || this.#bytes > bytesMax ? this.#recency.oldest : undefined;
  }

  get newest(): DiskEntry | undefined {
    return this.#recency.newest;
  }

  get(key: string): DiskEntry | undefined {
    return this.#entries.get(key);
  }

  keys(): Iterable<string> {
    return this.#entries.keys();
  }

  /** The key must not have an entry yet. */
  addEntry(entry: DiskEntry): void {
    this.#entries.set(entry.key, entry);
    this.#recency.addNewest(entry);
    this.expiry.schedule(entry, entry.expiresMs);
    this.#bytes += entry.bytes;
  }

  use(entry: DiskEntry): void {
    this.#recency.use(entry);
  }

  remove(entry: DiskEntry): void {
    this.#entries.delete(entry.key);
    this.#recency.remove(entry);
    this.expiry.remove(entry);
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#recency.clear();
    this.expiry.clear();
    this.#hand = undefined;
    this.#bytes = 0;
  }

  /** Visits all entries one after the other; undefined: the round is complete, and the next call begins another. */
  next(): DiskEntry | undefined {
    const { value, done } = (this.#hand ??= this.#entries.values()).next();
    if (done === true) this.#hand = undefined;
    return value;
  }
}
