import type { RecordKeys } from "./entry-records.js";
import type { ByteRange, Change, OrderedStore } from "./ordered-store.js";

/** Removed by one batch: a few milliseconds of the process. */
const removedByBatchMax = 1_000;

/** What is in a store and does not count any more. It goes a bounded number of records at a time. */
export class Leftovers {
  readonly #store: OrderedStore;
  /** Known by their keys. */
  readonly #keys: Uint8Array[];
  /** Where more may be. */
  #ranges: readonly ByteRange[];

  constructor(store: OrderedStore, spoilt: readonly Uint8Array[], keys: RecordKeys) {
    this.#store = store;
    this.#keys = [...spoilt];
    this.#ranges = keys.earlier;
  }

  /** There may be some. */
  get areLeft(): boolean {
    return this.#keys.length > 0 || this.#ranges.length > 0;
  }

  /** A generation ended: `keys` are those of the next. */
  noteEnd(keys: RecordKeys): void {
    this.#ranges = keys.earlier;
  }

  /** Removals for the next batch. To be asked when no batch is in the air. */
  take(): Change[] {
    const changes = this.#keys.splice(-removedByBatchMax).map(removal);
    if (this.#ranges.length === 0) return changes;
    this.#ranges = this.#store.read((view) =>
      this.#ranges.filter((range) => {
        if (changes.length >= removedByBatchMax) return true;
        for (const [key] of view.range(range)) {
          changes.push(removal(key));
          if (changes.length >= removedByBatchMax) return true;
        }
        return false;
      }),
    );
    return changes;
  }
}

const removal = (key: Uint8Array): Change => ({ key, value: undefined });
