import { type RecordKeys, valueKeyBeside } from "./entry-records.js";
import type { ByteRange, StoreChange, OrderedStore } from "../kv/ordered-store.js";

/** Removed by one batch, a few milliseconds of the process; an entry is two. */
const removedByBatchMax = 1_000;

/** What is in a store and does not count any more. It goes a bounded number of records at a time; values are not read for it. */
export class Leftovers {
  readonly #store: OrderedStore;
  /** Known by their keys. */
  readonly #spoilt: Uint8Array[];
  /** Where more may be. */
  #abouts: ByteRange | undefined;
  #versions: ByteRange | undefined;

  constructor(store: OrderedStore, spoilt: readonly Uint8Array[], keys: RecordKeys) {
    this.#store = store;
    this.#spoilt = [...spoilt];
    this.noteEnd(keys);
  }

  /** There may be some. */
  get areLeft(): boolean {
    return this.#spoilt.length > 0 || this.#abouts !== undefined || this.#versions !== undefined;
  }

  /** A generation ended: `keys` are those of the next. */
  noteEnd(keys: RecordKeys): void {
    this.#abouts = keys.earlierAbouts;
    this.#versions = keys.earlierVersions;
  }

  /** Removals for the next batch. To be asked when no batch is in the air. */
  nextRemovals(): StoreChange[] {
    const keys = this.#spoilt.splice(-removedByBatchMax);
    if (this.#abouts !== undefined && !this.#read(this.#abouts, keys, (key) => keys.push(key, valueKeyBeside(key))))
      this.#abouts = undefined;
    if (this.#versions !== undefined && !this.#read(this.#versions, keys, (key) => keys.push(key))) this.#versions = undefined;
    return keys.map((key) => ({ key, value: undefined }));
  }

  /** Gives `take` what is in `range` until there are enough `keys`; true: there may be more. */
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
