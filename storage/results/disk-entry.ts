import type { Tag } from "../../core/tag.js";
import type { AboutEntry } from "./entry-records.js";
import type { Entry } from "./entry-store.js";
import type { Ending } from "./expiry.js";
import type { Recent } from "./recency.js";

/** What is known in memory about an entry on disk. Times are the monotonic clock's. */
interface About {
  readonly tags: readonly Tag[];
  readonly sequence: number;
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  readonly storedMs: number;
  readonly expiresMs: number;
  readonly usedMs: number;
  readonly valueBytes: number;
}

/** Of two records: LMDB's node headers and index, kind and generation. */
const overheadBytes = 48;
/** LMDB's pages. A value that is larger than half of one has pages of its own. */
const pageBytes = 4_096;
const valueBytesInPageMax = 2_000;
/** Of the record about an entry, without its tags. */
const headBytes = 53;

/** An entry on disk, or on its way there, without its value. */
export class DiskEntry implements Recent<DiskEntry>, Ending {
  readonly key: string;
  readonly tags: readonly Tag[];
  readonly sequence: number;
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  readonly storedMs: number;
  readonly valueBytes: number;
  /** What its records take on disk, as good as. */
  readonly bytes: number;
  expiresMs: number;
  usedMs: number;
  /** `usedMs` as it was last written, or is about to be. */
  writtenMs: number;
  /** The encoded value, until a batch has written it. */
  record: Uint8Array | undefined = undefined;
  /** What the version of all tags was when this was last found not to be stale. */
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

  /** `wallOffsetMs`: by how much the wall clock is ahead of the monotonic one. */
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

  /** As it was written, on the clocks of now. A wall clock that was put back lets no entry live longer than its time to live. */
  static from(about: AboutEntry, wallOffsetMs: number, nowMs: number): DiskEntry {
    const { key, tags, sequence, ttlMs, slides, valueBytes } = about;
    return new DiskEntry(key, {
      tags,
      sequence,
      ttlMs,
      slides,
      valueBytes,
      storedMs: Math.min(nowMs, about.storedAt - wallOffsetMs),
      expiresMs: Math.min(nowMs + (ttlMs ?? Infinity), about.expiresAt - wallOffsetMs),
      usedMs: Math.min(nowMs, about.usedAt - wallOffsetMs),
    });
  }
}

/** What a reader gets of an entry on disk. */
export class StoredResult implements Entry {
  readonly key: string;
  readonly value: unknown;
  readonly isShared: boolean;
  readonly tags: readonly Tag[];
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  readonly storedMs: number;
  readonly expiresMs: number;
  promise: Promise<unknown> | undefined = undefined;

  constructor(entry: DiskEntry, value: unknown, isShared: boolean) {
    this.key = entry.key;
    this.value = value;
    this.isShared = isShared;
    this.tags = entry.tags;
    this.ttlMs = entry.ttlMs;
    this.slides = entry.slides;
    this.storedMs = entry.storedMs;
    this.expiresMs = entry.expiresMs;
  }
}
