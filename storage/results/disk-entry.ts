import type { Tag } from "../../core/tag.js";
import type { AboutEntry } from "./entry-records.js";
import type { Entry } from "./entry-store.js";
import type { Ending } from "./expiry.js";
import type { Recent } from "../../core/recency.js";

/** Facts in memory about an entry on disk. Times are on the monotonic clock. */
interface About extends Pick<AboutEntry, "tags" | "sequence" | "ttlMs" | "slides" | "valueBytes"> {
  readonly storedMs: number;
  readonly expiresMs: number;
  readonly usedMs: number;
}

/** Overhead of the two records of an entry: LMDB's node headers and index, kind and generation. */
const overheadBytes = 48;
/** Size of LMDB's pages. A value larger than half a page has pages of its own. */
const pageBytes = 4_096;
const valueBytesInPageMax = 2_000;
/** Size of the record about an entry, without its tags. */
const headBytes = 53;

/** An entry that is on disk, or is about to be written, without its value. */
export class DiskEntry implements Recent<DiskEntry>, Ending {
  readonly key: string;
  readonly tags: readonly Tag[];
  readonly sequence: number;
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  readonly storedMs: number;
  readonly valueBytes: number;
  /** Approximate size of its records on disk. */
  readonly bytes: number;
  expiresMs: number;
  usedMs: number;
  /** `usedMs` as last written, or as the next batch writes it. */
  writtenMs: number;
  /** The encoded value, until a batch has written it. */
  record: Uint8Array | undefined = undefined;
  /** Version of all tags at the last check that found this entry valid. */
  checkedAt = -1;
  due: number | undefined = undefined;
  newer: DiskEntry | undefined = undefined;
  older: DiskEntry | undefined = undefined;

  constructor(key: string, about: About) {
    this.key = key;
    this.tags = about.tags;
    this.sequence = about.sequence;
    this.ttlMs = about.ttlMs;
    this.slides = about.slides;
    this.storedMs = about.storedMs;
    this.valueBytes = about.valueBytes;
    this.bytes = DiskEntry.bytesOf(key, about.tags, about.valueBytes);
    this.expiresMs = about.expiresMs;
    this.usedMs = about.usedMs;
    this.writtenMs = about.usedMs;
  }

  static bytesOf(key: string, tags: readonly Tag[], valueBytes: number): number {
    let bytes = 2 * Buffer.byteLength(key) + headBytes + overheadBytes;
    bytes += valueBytes <= valueBytesInPageMax ? valueBytes : Math.ceil(valueBytes / pageBytes) * pageBytes;
    for (const tag of tags) bytes += tag.length + 1;
    return bytes;
  }

  /** `wallOffsetMs`: how far the wall clock is ahead of the monotonic one. */
  about(wallOffsetMs: number): AboutEntry {
    const { key, tags, sequence, ttlMs, slides, valueBytes } = this;
    return {
      key,
      tags,
      sequence,
      ttlMs,
      slides,
      valueBytes,
      storedAt: this.storedMs + wallOffsetMs,
      expiresAt: this.expiresMs + wallOffsetMs,
      usedAt: this.usedMs + wallOffsetMs,
    };
  }

  /**
   * The entry as it was written, converted to the current clocks. If the wall clock was put back, no entry lives longer
   * than its time to live.
   */
  static from(about: AboutEntry, wallOffsetMs: number, nowMs: number): DiskEntry {
    return new DiskEntry(about.key, {
      ...about,
      storedMs: Math.min(nowMs, about.storedAt - wallOffsetMs),
      expiresMs: Math.min(nowMs + (about.ttlMs ?? Infinity), about.expiresAt - wallOffsetMs),
      usedMs: Math.min(nowMs, about.usedAt - wallOffsetMs),
    });
  }
}

/** An entry on disk with its value, as a reader gets it. */
export function storedResult(entry: DiskEntry, value: unknown, isShared: boolean): Entry {
  const { key, tags, ttlMs, slides, storedMs, expiresMs } = entry;
  return { key, value, isShared, tags, ttlMs, slides, storedMs, expiresMs, promise: undefined };
}
