import { type Tid, tidZero } from "./tid.js";

/** What happened to the storages that clients of this process read, all of them together. Both counts only rise. */
export const objectChanges = {
  /** Reads that became stale: a read that was not stale at one count is not stale while the count stands. */
  count: 0,
  /**
   * Changes that were applied, whether or not something that they touch was read. A computation may have taken its snapshot before a
   * change and note what it reads only afterwards: it is known to be as new as a call only if this count stands between their beginnings.
   */
  applied: 0,
};

/** What was read: a key, all keys that begin with a prefix, or a snapshot that was to be no older than so many milliseconds. */
export type ReadKind = "key" | "prefix" | "age";

/** Learns which of its reads kept results depend on. */
export interface ObjectReadOwner {
  /** The first kept result depends on `read`. */
  used(read: ObjectRead): void;
  /** No kept result depends on `read` any more. */
  unused(read: ObjectRead): void;
}

/** What was read of a storage, as it has been since a transaction: all who read it meanwhile, and depend on it, share it until it is stale. */
export class ObjectRead {
  readonly kind: ReadKind;
  readonly text: string;
  /** Nothing that it says was changed from this transaction on: what was read as of it, or as of a later one, is so now. */
  since: Tid;
  /** It was changed, or may have been, as nobody looks any more. For good: who reads the same again gets another. */
  isStale = false;
  /** Results that are kept and depend on it. */
  holds = 0;
  /** Of an age: whether the snapshot is older by now. To be asked at each use: a timer is late when the event loop was blocked. */
  readonly isPast: (() => boolean) | undefined;
  readonly #owner: ObjectReadOwner | undefined;

  constructor(kind: ReadKind, text: string, since: Tid, owner: ObjectReadOwner | undefined, isPast?: () => boolean) {
    this.isPast = isPast;
    this.kind = kind;
    this.text = text;
    this.since = since;
    this.#owner = owner;
  }

  /** A result that depends on it is kept. */
  hold(): void {
    this.holds++;
    if (this.holds === 1) this.#owner?.used(this);
  }

  /** Once for each `hold`. */
  release(): void {
    this.holds--;
    if (this.holds === 0) this.#owner?.unused(this);
  }
}

/** What was read of no snapshot that is known to be the last: stale from the beginning. */
export const staleRead: ObjectRead = new ObjectRead("key", "", tidZero, undefined);
staleRead.isStale = true;

/** Whether anything that was read of an object store was changed since, or was read of a snapshot that is too old by now. */
export function isAnyStale(reads: readonly ObjectRead[] | undefined): boolean {
  if (reads !== undefined) for (const read of reads) if (read.isStale || read.isPast?.() === true) return true;
  return false;
}

/** Those of `reads` that time alone makes stale; undefined: there are none. */
export function agesAmong(reads: readonly ObjectRead[] | undefined): readonly ObjectRead[] | undefined {
  if (reads === undefined) return undefined;
  return reads.some(isAge) ? reads.filter(isAge) : undefined;
}

function isAge({ isPast }: ObjectRead): boolean {
  return isPast !== undefined;
}

/** Whether a snapshot that one of `ages` was to be of is too old by now. */
export function isAnyPast(ages: readonly ObjectRead[] | undefined): boolean {
  if (ages !== undefined) for (const age of ages) if (age.isPast?.() === true) return true;
  return false;
}
