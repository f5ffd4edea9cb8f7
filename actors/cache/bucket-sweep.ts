import type { Bucket, BucketItem } from "../../transport/bucket.js";
import { type Clock, limits } from "../../core/index.js";

/** What a sweep needs of its surroundings. */
export interface BucketSweepDeps {
  readonly bucket: Bucket;
  readonly clock: Clock;
  /** Whether it is worth asking now. */
  readonly isUsable: () => boolean;
  readonly hasExpired: (item: BucketItem) => boolean;
  readonly onFail: (error: unknown) => void;
}

/**
 * Removes from a bucket what has expired in it, where its broker does not do that itself.
 *
 * 1. Oldest first, a page at a time. A round that takes too long ends, and the next one goes on at its page; after the last page it is the oldest's
 *    turn again.
 * 2. What is removed is the revision that was judged: what was written in its place meanwhile stays.
 */
export class BucketSweep {
  readonly #deps: BucketSweepDeps;
  /** Revision that the next page begins at. */
  #from = 1;

  constructor(deps: BucketSweepDeps) {
    this.#deps = deps;
  }

  /** One round: how many it removed. A request that fails ends it. */
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

  /** Sweeps the next page; whether there is another one. */
  async #page(isOver: () => boolean, remove: (item: BucketItem) => Promise<void>): Promise<boolean> {
    const { bucketSweepItemsMax: itemsMax, bucketSweepRemovalsMax: removalsMax } = limits;
    const { bucket, hasExpired } = this.#deps;
    const items = await bucket.list(this.#from, itemsMax);
    const expired = items.filter(hasExpired);
    for (let first = 0; first < expired.length; first += removalsMax) {
      // The page is the next round's too: what is removed by then is not in it any more.
      if (isOver()) return false;
      await Promise.all(expired.slice(first, first + removalsMax).map(remove));
    }
    const last = items.length < itemsMax ? undefined : items.at(-1);
    this.#from = last === undefined ? 1 : last.revision + 1;
    return last !== undefined;
  }
}
