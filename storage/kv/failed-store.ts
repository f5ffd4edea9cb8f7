import type { StoreChange, OpenStore, OrderedStore } from "./ordered-store.js";

/** A store whose last write is in doubt. */
export interface DoubtedStore {
  readonly store: OrderedStore;
  /** Resolves when nothing more is written to it. */
  readonly ended: Promise<void>;
  readonly open: OpenStore;
  /** Changes that mark the content of the store as invalid. */
  readonly mark: readonly StoreChange[];
  /** Removes all data of the store. */
  readonly remove: (() => Promise<void>) | undefined;
}

/**
 * Makes sure that the data of the store is not used again: marks it as invalid, or removes it when the disk accepts not
 * even the mark.
 * Resolves to true. Rejects with the error of the mark when the data could be neither marked nor removed.
 */
export async function giveUp({ store, ended, open, mark, remove }: DoubtedStore): Promise<boolean> {
  await ended;
  await store.close();
  try {
    const again = await open();
    try {
      await again.batch(mark);
    } finally {
      await again.close();
    }
  } catch (failure) {
    if (remove === undefined) throw failure;
    await remove().catch(() => {
      throw failure;
    });
  }
  return true;
}
