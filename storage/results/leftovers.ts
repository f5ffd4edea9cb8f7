import { type RecordKeys, valueKeyBeside } from "./entry-records.js";
import type { ByteRange, StoreChange, OrderedStore } from "../kv/ordered-store.js";

/** Records removed by one batch, which takes a few milliseconds; an entry has two. */
const removedByBatchMax = 1_000;

/** Records in a store that no longer count. They are removed a bounded number at a time; their values are not read. */
export class Leftovers {
  readonly #store: OrderedStore;
  /** Keys of unusable records. */
  readonly #unusable: Uint8Array[];
  /** Ranges that may still contain such records. */
  #abouts: ByteRange | undefined;
  #versions: ByteRange | undefined;

  constructor(store: OrderedStore, unusable: readonly Uint8Array[], keys: RecordKeys) {
    this.#store = store;
    this.#unusable = [...unusable];
    this.noteEnd(keys);
  }

  /** Whether there may be such records. */
  get areLeft(): boolean {
    return this.#unusable.length > 0 || this.#abouts !== undefined || this.#versions !== undefined;
  }

  /** A generation ended: `keys` are those of the next one. */
  noteEnd(keys: RecordKeys): void {
    this.#abouts = keys.earlierAbouts;
    this.#versions = keys.earlierVersions;
  }

  /** Removals for the next batch. Call it when no batch is in flight. */
  nextRemovals(): StoreChange[] {
    const keys = this.#unusable.splice(-removedByBatchMax);
    if (this.#abouts !== undefined && !this.#read(this.#abouts, keys, (key) => keys.push(key, valueKeyBeside(key))))
      this.#abouts = undefined;
    if (this.#versions !== undefined && !this.#read(this.#versions, keys, (key) => keys.push(key))) this.#versions = undefined;
    return keys.map((key) => ({ key, value: undefined }));
  }

  /** Calls `take` for each key in `range` until there are enough `keys`; true: there may be more. */
  #read(range: ByteRange, keys: readonly Uint8Array[], take: (key: Uint8Array) => void): boolean {
    if (keys.length >= removedByBatchMax) return true;
    return this.#store.read((view) => {
      for (const [key] of view.range(range)) {
        take(key);
        if (keys.length >= removedByBatchMax) return true;
      }
      return false;
    });
  }
}
