import type { StoreChange, OpenStore, OrderedStore } from "./ordered-store.js";

/** A store whose last write is in doubt. */
export interface DoubtedStore {
  readonly store: OrderedStore;
  /** Nothing more is written to it. */
  readonly ended: Promise<void>;
  readonly open: OpenStore;
  /** What says in it that the rest is not to be trusted. */
  readonly mark: readonly StoreChange[];
  /** Takes all that it holds out of the way. */
  readonly remove: (() => Promise<void>) | undefined;
}

/**
 * Makes sure that nothing in the store is used again: by a mark, or, on a disk that takes not even that, by removing what is there.
 * Resolves to true when that is so. Rejects with the reason why it could not be marked when it could not be removed either.
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
