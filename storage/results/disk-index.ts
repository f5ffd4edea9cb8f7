import type { DiskEntry } from "./disk-entry.js";
import { Expiry } from "./expiry.js";
import { Recency } from "./recency.js";

/** How much a tier holds; past either the least recently used go. */
export interface DiskBounds {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/** All entries of a tier on disk, without their values: by key, in the order of their last use, and within their bounds. */
export class DiskIndex {
  readonly bounds: DiskBounds;
  /** Entries by when they expire, or were to when they were last looked at. */
  readonly expiry = new Expiry<DiskEntry>();
  readonly #entries = new Map<string, DiskEntry>();
  readonly #recency = new Recency<DiskEntry>();
  /** Where a round of looking at all stands; none while there is no round: an iterator at rest keeps every table that the map has outgrown since. */
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

  /** The least recently used, if there is more than there may be. */
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

  /** Its key has no entry yet. */
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

  /** Entries one after the other; undefined: that was the last, and the next round begins. */
  next(): DiskEntry | undefined {
    const { value, done } = (this.#hand ??= this.#entries.values()).next();
    if (done !== true) return value;
    this.#hand = undefined;
    return undefined;
  }
}
