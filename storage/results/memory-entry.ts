import { agesAmong, type ObjectRead, type Tag } from "../../core/index.js";
import type { Entry, Keeping } from "./entry-store.js";
import type { Ending } from "./expiry.js";
import type { KeptValue } from "./kept-value.js";
import type { Recent } from "../../core/recency.js";
import { roughBytes, stringBytes } from "./rough-bytes.js";
import type { Began, Dependency } from "./tag-trie.js";

/** Bytes of an entry in addition to its key and value. */
export const entryOverheadBytes = 350;

/** Approximate bytes of an entry in memory. */
export function entryBytes(key: string, value: unknown): number {
  return entryOverheadBytes + stringBytes(key) + roughBytes(value);
}

/**
 * A key that is looked up repeatedly: it refers to its entry without a look-up, as long as the entry is kept. A slot
 * belongs to one tier.
 */
export class EntrySlot {
  readonly key: string;
  /** Set by the tier. */
  entry: MemoryEntry | undefined = undefined;
  /** Grace for entries that come from another tier: time for which `last` still returns them. */
  readonly graceMs: number;
  /** Map that holds the slot, and its key there: the slot is removed from it together with its entry. */
  readonly #home: Pick<Map<unknown, unknown>, "delete"> | undefined;
  readonly #by: unknown;

  constructor(key: string, graceMs = 0, home?: Pick<Map<unknown, unknown>, "delete">, by?: unknown) {
    this.key = key;
    this.graceMs = graceMs;
    this.#home = home;
    this.#by = by;
  }

  /** The entry is removed for good: removes the slot from its map. */
  leave(): void {
    this.#home?.delete(this.#by);
  }
}

/** How long entries are kept: one object for all entries in a row that are kept alike. */
export interface Lifetime {
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  readonly graceMs: number;
}

/** Object-store reads that an entry depends on. */
interface Uses {
  readonly reads: readonly ObjectRead[];
  /** Reads that become stale by time alone; undefined: none. They are checked together with `endsMs`. */
  readonly ages: readonly ObjectRead[] | undefined;
}

/**
 * A kept result in memory. The fields that a hit reads come first, so that they share one line of the processor's
 * cache. A cache has up to millions of entries, and each field costs 8 bytes of each.
 */
export class MemoryEntry implements Entry, Ending {
  /** Version of this tier at the last check that found the entry valid. */
  checkedAt: number;
  promise: Promise<unknown> | undefined = undefined;
  /**
   * When it expires; undefined: never. Infinity only with `ages`, because Infinity in each entry would need an object
   * on the heap.
   */
  endsMs: number | undefined;
  /** When it was found stale or expired. */
  lapsedMs: number | undefined = undefined;
  readonly #uses: Uses | undefined;
  readonly key: string;
  readonly value: unknown;
  readonly isShared: boolean;
  readonly tags: readonly Tag[];
  readonly #lifetime: Lifetime;
  readonly storedMs: number;
  readonly dependency: Dependency;
  readonly began: Began;
  due: number | undefined = undefined;
  /** The slot that leads to this entry. */
  slot: EntrySlot | undefined = undefined;

  constructor(
    key: string,
    kept: KeptValue,
    how: Keeping<Began>,
    at: { readonly dependency: Dependency; readonly version: number; readonly nowMs: number; readonly lifetime: Lifetime },
  ) {
    const { reads, leftMs = at.lifetime.ttlMs } = how;
    this.key = key;
    this.value = kept.value;
    this.isShared = kept.isShared;
    this.tags = how.tags;
    this.#uses = reads === undefined || reads.length === 0 ? undefined : { reads, ages: agesAmong(reads) };
    this.#lifetime = at.lifetime;
    this.storedMs = at.nowMs;
    this.dependency = at.dependency;
    this.began = how.began;
    const never = this.ages === undefined ? undefined : Infinity;
    this.endsMs = leftMs === undefined || leftMs === Infinity ? never : at.nowMs + leftMs;
    this.checkedAt = at.version;
  }

  get reads(): readonly ObjectRead[] | undefined {
    return this.#uses?.reads;
  }

  get ages(): readonly ObjectRead[] | undefined {
    return this.#uses?.ages;
  }

  get ttlMs(): number | undefined {
    return this.#lifetime.ttlMs;
  }

  get slides(): boolean {
    return this.#lifetime.slides;
  }

  get graceMs(): number {
    return this.#lifetime.graceMs;
  }

  get expiresMs(): number {
    return this.endsMs ?? Infinity;
  }

  /** When it can be removed: its grace for `last` is over. */
  get leavesMs(): number {
    return (this.lapsedMs ?? this.expiresMs) + this.graceMs;
  }
}

/** An entry of a tier with bounds. Other tiers need no order, and save the memory for it. */
export class BoundedEntry extends MemoryEntry implements Recent<BoundedEntry> {
  bytes = 0;
  /** Whether it was used since its last turn in eviction. */
  isUsed = false;
  newer: BoundedEntry | undefined = undefined;
  older: BoundedEntry | undefined = undefined;
}
