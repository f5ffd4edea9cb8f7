import { type Outcome, type Tid, tidZero } from "../../core/index.js";

/**
 * Maximum number of commits forgotten in one step: after a long pause a million may be due at the next commit. Later
 * steps forget the rest.
 */
const forgottenMax = 10_000;

/**
 * Outcomes of transaction ids, in memory, down to the id floor.
 *
 * 1. A commit at T has a snapshot before T. Once the floor has reached T, a late copy is refused because of its
 *    snapshot, and T may be forgotten.
 * 2. A transaction that was fenced when the last tid was L has a snapshot at or before L. Once the floor is above L,
 *    its fence may be removed.
 * 3. The floor is the tid of a transaction. Therefore a commit whose snapshot is the last tid is never below the floor,
 *    however old that tid is.
 */
export class Outcomes {
  readonly #commitsMax: number;
  readonly #tids = new Map<string, Tid>();
  readonly #commits = new Entries();
  readonly #fenceTids = new Map<string, Tid>();
  readonly #fences = new Entries();
  #floor: Tid = tidZero;

  constructor(commitsMax: number) {
    this.#commitsMax = commitsMax;
  }

  /** Ids of transactions with a snapshot below it may be unknown here. Never goes back. */
  get floor(): Tid {
    return this.#floor;
  }

  get commitCount(): number {
    return this.#tids.size;
  }

  get fenceCount(): number {
    return this.#fenceTids.size;
  }

  get(id: string): Outcome | undefined {
    const tid = this.#tids.get(id);
    if (tid !== undefined) return { type: "committed", tid };
    return this.#fenceTids.has(id) ? { type: "fenced" } : undefined;
  }

  /** Remembers a commit; commits come in the order of tids. Beyond the bound the floor rises. */
  addCommit(id: string, tid: Tid): void {
    if (tid <= this.#floor) return;
    this.#tids.set(id, tid);
    this.#commits.push(id, tid);
    const surplus = this.#commits.at(this.#commits.count - 1 - this.#commitsMax);
    if (surplus !== undefined) this.raiseFloor(surplus);
  }

  /** Remembers a fence that was written when the last tid was `last`. */
  addFence(id: string, last: Tid): void {
    this.#fenceTids.set(id, last);
    this.#fences.push(id, last);
  }

  /**
   * Allows commits at or before `floor`, the tid of a transaction, to be forgotten. Fences stay until they are removed
   * from the disk too.
   */
  raiseFloor(floor: Tid): void {
    if (floor <= this.#floor) return;
    this.forgetTo(floor);
    this.#floor = floor;
  }

  /**
   * Forgets commits at or before `tid`, which need not be the tid of a transaction: the floor rises to the last of
   * them. Commits that remain after this step are still known; later calls forget them.
   */
  forgetTo(tid: Tid): void {
    const to = Math.max(tid, this.#floor);
    let left = forgottenMax;
    this.#commits.dropWhile(
      (each) => each <= to && left-- > 0,
      (id, forgotten) => {
        this.#tids.delete(id);
        if (forgotten > this.#floor) this.#floor = forgotten;
      },
    );
  }

  /** At most `countMax` fences below the floor, the oldest first. */
  fencesBelowFloor(countMax: number): readonly string[] {
    return this.#fences.firstWhile((tid) => tid < this.#floor, countMax);
  }

  /** Forgets the fences that fencesBelowFloor returned, after they were removed from the disk. */
  dropFences(count: number): void {
    let left = count;
    this.#fences.dropWhile(
      () => left-- > 0,
      (id) => this.#fenceTids.delete(id),
    );
  }
}

/**
 * Ids by tid, removed from the front. A Map is unsuitable: its iterators visit entries that were deleted at its front.
 */
class Entries {
  #ids: string[] = [];
  #tids: Tid[] = [];
  #first = 0;

  get count(): number {
    return this.#ids.length - this.#first;
  }

  push(id: string, tid: Tid): void {
    this.#ids.push(id);
    this.#tids.push(tid);
  }

  at(index: number): Tid | undefined {
    return index < 0 ? undefined : this.#tids[this.#first + index];
  }

  firstWhile(holds: (tid: Tid) => boolean, countMax: number): readonly string[] {
    let end = this.#first;
    while (end < this.#ids.length && end - this.#first < countMax && holds(this.#tids[end] ?? tidZero)) end += 1;
    return this.#ids.slice(this.#first, end);
  }

  dropWhile(holds: (tid: Tid) => boolean, drop: (id: string, tid: Tid) => void): void {
    for (; this.#first < this.#ids.length; this.#first++) {
      const tid = this.#tids[this.#first] ?? tidZero;
      if (!holds(tid)) break;
      drop(this.#ids[this.#first] ?? "", tid);
    }
    // Moving the rest costs no more than the removals before.
    if (this.#first > this.#ids.length - this.#first) {
      this.#ids = this.#ids.slice(this.#first);
      this.#tids = this.#tids.slice(this.#first);
      this.#first = 0;
    }
  }
}
