import type { Tag } from "../../core/tag.js";
import { agesAmong, type ObjectRead } from "../../core/object-read.js";
import type { Entry, Keeping } from "./entry-store.js";
import type { Ending } from "./expiry.js";
import type { KeptValue } from "./kept-value.js";
import type { Recent } from "./recency.js";
import { roughBytes, stringBytes } from "./rough-bytes.js";
import type { Began, Dependency } from "./tag-trie.js";

/** Bytes that an entry takes beside key and value. */
export const entryOverheadBytes = 350;

/** Bytes that an entry takes in memory, by a rough measure. */
export function entryBytes(key: string, value: unknown): number {
  return entryOverheadBytes + stringBytes(key) + roughBytes(value);
}

/** A key that is looked for again and again: leads to its entry without a look-up, for as long as that one is kept. Of one tier only. */
export class EntrySlot {
  readonly key: string;
  /** For the tier to set. */
  entry: MemoryEntry | undefined = undefined;
  /** For how long what comes here from another tier stays for `last`. */
  readonly graceMs: number;
  /** Where it is kept, and by what: it goes from there with its entry. */
  readonly #home: Pick<Map<unknown, unknown>, "delete"> | undefined;
  readonly #by: unknown;

  constructor(key: string, graceMs = 0, home?: Pick<Map<unknown, unknown>, "delete">, by?: unknown) {
    this.key = key;
    this.graceMs = graceMs;
    this.#home = home;
    this.#by = by;
  }

  /** Its entry is gone for good, as far as this process knows. */
  leave(): void {
    this.#home?.delete(this.#by);
  }
}

/** A kept result in memory. What a hit reads comes first, so that it is one line of the processor's cache. */
export class MemoryEntry implements Entry, Ending {
  /** What the version of this tier was when this was last found not to be stale. */
  checkedAt: number;
  promise: Promise<unknown> | undefined = undefined;
  /** When it expires; undefined: never. Infinity only with `ages`: each entry would have an object of its own for it. */
  endsMs: number | undefined;
  /** When it was found stale or expired. */
  lapsedMs: number | undefined = undefined;
  readonly reads: readonly ObjectRead[] | undefined;
  readonly key: string;
  readonly value: unknown;
  readonly isShared: boolean;
  /** Those of its reads that time alone makes stale; undefined: none. They are asked whenever `endsMs` is compared. */
  readonly ages: readonly ObjectRead[] | undefined;
  readonly tags: readonly Tag[];
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  readonly storedMs: number;
  readonly graceMs: number;
  readonly dependency: Dependency;
  readonly began: Began;
  due: number | undefined = undefined;
  /** When `onSlide` was last told. */
  toldMs: number;
  /** Where it is found without a look-up. */
  slot: EntrySlot | undefined = undefined;

  constructor(
    key: string,
    kept: KeptValue,
    how: Keeping<Began>,
    at: { dependency: Dependency; version: number; nowMs: number; graceMs: number },
  ) {
    const { ttlMs, leftMs = ttlMs } = how;
    this.key = key;
    this.value = kept.value;
    this.isShared = kept.isShared;
    this.tags = how.tags;
    this.reads = how.reads?.length === 0 ? undefined : how.reads;
    this.ttlMs = ttlMs;
    this.slides = how.slides === true && ttlMs !== undefined;
    this.storedMs = at.nowMs;
    this.graceMs = at.graceMs;
    this.dependency = at.dependency;
    this.began = how.began;
    this.ages = agesAmong(this.reads);
    const never = this.ages === undefined ? undefined : Infinity;
    this.endsMs = leftMs === undefined || leftMs === Infinity ? never : at.nowMs + leftMs;
    this.checkedAt = at.version;
    this.toldMs = at.nowMs;
  }

  get expiresMs(): number {
    return this.endsMs ?? Infinity;
  }

  /** When it is of no use any more, not even for `last`. */
  get leavesMs(): number {
    return (this.lapsedMs ?? this.expiresMs) + this.graceMs;
  }
}

/** An entry of a tier with bounds: others need no order, nor its memory. */
export class BoundedEntry extends MemoryEntry implements Recent<BoundedEntry> {
  bytes = 0;
  /** Since it had its turn to make room. */
  isUsed = false;
  newer: BoundedEntry | undefined = undefined;
  older: BoundedEntry | undefined = undefined;
}
