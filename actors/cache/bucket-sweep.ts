import type { Bucket, BucketItem } from "../../transport/bucket.js";
import { type Clock, limits } from "../../core/index.js";

/** Dependencies of a sweep. */
export interface BucketSweepDeps {
  readonly bucket: Bucket;
  readonly clock: Clock;
  /** Whether the bucket can be used now. */
  readonly isUsable: () => boolean;
  readonly hasExpired: (item: BucketItem) => boolean;
  readonly onFail: (error: unknown) => void;
}

/**
 * Removes expired items from a bucket whose broker does not remove them itself.
 *
 * 1. Oldest first, a page at a time. A round that takes too long ends, and the next round continues at its page. After
 *    the last page, the sweep begins again with the oldest items.
 * 2. It removes exactly the revision that it checked: a later revision of the same key stays.
 */
export class BucketSweep {
  readonly #deps: BucketSweepDeps;
  /** Revision at which the next page begins. */
  #from = 1;

  constructor(deps: BucketSweepDeps) {
    this.#deps = deps;
  }

  /** Runs one round and returns the number of removed items. A failed request ends the round. */
  async round(): Promise<number> {
    const { bucket, clock, isUsable, onFail } = this.#deps;
    const endsMs = clock.monotonic() + limits.bucketSweepMsMax;
    const isOver = () => clock.monotonic() >= endsMs || !isUsable();
    let removed = 0;
    const remove = async (item: BucketItem): Promise<void> => {
      if (await bucket.remove(item.revision)) removed++;
    };
    try {
      if (isOver() || !(await bucket.keepsExpired())) return removed;
      while (!isOver() && (await this.#page(isOver, remove)));
    } catch (error) {
      onFail(error);
    }
    return removed;
  }

  /** Sweeps the next page and returns whether another page follows. */
  async #page(isOver: () => boolean, remove: (item: BucketItem) => Promise<void>): Promise<boolean> {
    const { bucketSweepItemsMax: itemsMax, bucketSweepRemovalsMax: removalsMax } = limits;
    const { bucket, hasExpired } = this.#deps;
    const items = await bucket.list(this.#from, itemsMax);
    const expired = items.filter(hasExpired);
    for (let first = 0; first < expired.length; first += removalsMax) {
      // The next round lists this page again, without the items that are removed by then.
      if (isOver()) return false;
      await Promise.all(expired.slice(first, first + removalsMax).map(remove));
    }
    const last = items.length < itemsMax ? undefined : items.at(-1);
    this.#from = last === undefined ? 1 : last.revision + 1;
    return last !== undefined;
  }
}
