import { assert, firstIndex, type Tid } from "../../core/index.js";
import type { HeldRevision } from "./revision.js";

interface ClosedRevision {
  readonly key: string;
  readonly revision: HeldRevision;
  /** Known to be valid for snapshots in [revision.serial, next). */
  next: Tid;
}

interface OpenSnapshot {
  readonly tid: Tid;
  count: number;
  /** Closed revisions that this snapshot keeps; other snapshots may need them too. */
  readonly keeps: ClosedRevision[];
}

/** Bytes that a closed revision counts in addition to its value. */
const closedOverheadBytes = 128;

/**
 * The snapshots that transactions have open, and the closed revisions kept for them.
 *
 *     1. Each closed revision is kept by exactly one open snapshot that needs it: the newest, because it lives longest.
 *     2. When that snapshot closes, another snapshot that needs the revision keeps it; without one, the revision is
 *        dropped.
 *     3. Kept revisions are bounded by bytes; a revision that does not fit is loaded again.
 */
export class OpenSnapshots {
  readonly #bytesMax: number;
  /** By tid, ascending. */
  readonly #open: OpenSnapshot[] = [];
  readonly #closedByKey = new Map<string, ClosedRevision[]>();
  #bytes = 0;
  #count = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get oldest(): Tid | undefined {
    return this.#open[0]?.tid;
  }

  get closedCount(): number {
    return this.#count;
  }

  open(tid: Tid): void {
    const index = this.#after(tid);
    const before = this.#open[index - 1];
    if (before?.tid === tid) before.count++;
    else this.#open.splice(index, 0, { tid, count: 1, keeps: [] });
  }

  close(tid: Tid): void {
    const index = this.#after(tid) - 1;
    const snapshot = this.#open[index];
    assert(snapshot?.tid === tid, "a snapshot is closed only while it is open");
    if (--snapshot.count > 0) return;
    this.#open.splice(index, 1);
    for (const closed of snapshot.keeps) {
      const heir = this.#newestThatNeeds(closed.revision.serial, closed.next);
      if (heir === undefined) this.#drop(closed);
      else heir.keeps.push(closed);
    }
  }

  /** Whether an open snapshot lies in [serial, next). */
  need(serial: Tid, next: Tid): boolean {
    return this.#newestThatNeeds(serial, next) !== undefined;
  }

  /** Keeps a revision valid in [its serial, next) as long as an open snapshot needs it. */
  keep(key: string, revision: HeldRevision, next: Tid): void {
    const holder = this.#newestThatNeeds(revision.serial, next);
    if (holder === undefined) return;
    const others = this.#closedByKey.get(key);
    const same = others?.find((closed) => closed.revision.serial === revision.serial);
    if (same !== undefined) {
      if (next > same.next) same.next = next;
      return;
    }
    const bytes = revision.bytes + closedOverheadBytes;
    if (this.#bytes + bytes > this.#bytesMax) return;
    const closed = { key, revision, next };
    if (others === undefined) this.#closedByKey.set(key, [closed]);
    else others.push(closed);
    holder.keeps.push(closed);
    this.#bytes += bytes;
    this.#count++;
  }

  /** The kept revision of `key` valid at `snapshot`. */
  find(key: string, snapshot: Tid): HeldRevision | undefined {
    if (this.#count === 0) return undefined;
    return this.#closedByKey.get(key)?.find((closed) => closed.revision.serial <= snapshot && snapshot < closed.next)?.revision;
  }

  /** Drops all kept revisions; the snapshots stay open. */
  forgetRevisions(): void {
    for (const snapshot of this.#open) snapshot.keeps.length = 0;
    this.#closedByKey.clear();
    this.#bytes = 0;
    this.#count = 0;
  }

  #drop(closed: ClosedRevision): void {
    const all = this.#closedByKey.get(closed.key);
    assert(all !== undefined, "a kept revision is found by its key");
    if (all.length === 1) this.#closedByKey.delete(closed.key);
    else all.splice(all.indexOf(closed), 1);
    this.#bytes -= closed.revision.bytes + closedOverheadBytes;
    this.#count--;
  }

  #newestThatNeeds(serial: Tid, next: Tid): OpenSnapshot | undefined {
    const newest = this.#open[this.#after((next - 1) as Tid) - 1];
    return newest !== undefined && newest.tid >= serial ? newest : undefined;
  }

  /** Index of the first open snapshot after `tid`. Most calls are for the end of the list. */
  #after(tid: Tid): number {
    const { length } = this.#open;
    if (length > 0 && (this.#open[length - 1] as OpenSnapshot).tid <= tid) return length;
    return firstIndex(length, (index) => (this.#open[index] as OpenSnapshot).tid <= tid);
  }
}
