import { type Tid, tidZero } from "./tid.js";

/** Changes of the storages that clients of this process read, counted over all of them. Both counts only rise. */
export const objectChanges = {
  /** Number of reads that became stale. A read that is not stale stays so as long as this count stands still. */
  count: 0,
  /**
   * Number of changes that were applied, whether or not they touch anything that was read. A computation may take its
   * snapshot before a change and register its reads only after it: its result is known to be as new as a call only if
   * this count is the same when the computation begins and when the call begins.
   */
  applied: 0,
};

/**
 * A read of one key, of all keys that begin with a prefix, or of a snapshot that must not be older than a number of
 * milliseconds.
 */
export type ReadKind = "key" | "prefix" | "age";

/** Gets a call when the first kept result depends on one of its reads, and when the last one is gone. */
export interface ObjectReadOwner {
  /** The first kept result depends on `read`. */
  used(read: ObjectRead): void;
  /** No kept result depends on `read` any more. */
  unused(read: ObjectRead): void;
}

/**
 * One read of a storage, unchanged since a transaction. All results that made the same read since then, and depend on
 * it, share this object until it is stale.
 */
export class ObjectRead {
  readonly kind: ReadKind;
  readonly text: string;
  /**
   * The data did not change from this transaction on: a read as of this transaction, or of a later one, gives the same.
   */
  since: Tid;
  /**
   * The data was changed, or may have been changed without notice, because no client tracks it any more. Never reset:
   * the next read of the same data gets a new ObjectRead.
   */
  isStale = false;
  /** Number of kept results that depend on it. */
  holds = 0;
  /**
   * For an age: whether the snapshot is too old now. Check it at each use: a timer is late when the event loop was
   * blocked.
   */
  readonly isPast: (() => boolean) | undefined;
  readonly #owner: ObjectReadOwner | undefined;

  constructor(kind: ReadKind, text: string, since: Tid, owner: ObjectReadOwner | undefined, isPast?: () => boolean) {
    this.isPast = isPast;
    this.kind = kind;
    this.text = text;
    this.since = since;
    this.#owner = owner;
  }

  /** Call it when a result that depends on this read is kept. */
  hold(): void {
    this.holds++;
    if (this.holds === 1) this.#owner?.used(this);
  }

  /** Call it once for each `hold`. */
  release(): void {
    this.holds--;
    if (this.holds === 0) this.#owner?.unused(this);
  }
}

/** A read of a snapshot that is not known to be the latest: stale from the beginning. */
export const staleRead: ObjectRead = new ObjectRead("key", "", tidZero, undefined);
staleRead.isStale = true;

/** Whether any of `reads` changed since it was read, or is of a snapshot that is too old by now. */
export function isAnyStale(reads: readonly ObjectRead[] | undefined): boolean {
  if (reads !== undefined) for (const read of reads) if (read.isStale || read.isPast?.() === true) return true;
  return false;
}

/** The reads among `reads` that become stale by time alone; undefined: there are none. */
export function agesAmong(reads: readonly ObjectRead[] | undefined): readonly ObjectRead[] | undefined {
  if (reads === undefined) return undefined;
  return reads.some(isAge) ? reads.filter(isAge) : undefined;
}

function isAge({ isPast }: ObjectRead): boolean {
  return isPast !== undefined;
}

/** Whether a snapshot behind one of `ages` is too old by now. */
export function isAnyPast(ages: readonly ObjectRead[] | undefined): boolean {
  if (ages !== undefined) for (const age of ages) if (age.isPast?.() === true) return true;
  return false;
}
