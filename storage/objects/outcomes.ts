import { tidZero, type Tid } from "../../core/tid.js";
import type { Outcome } from "../../core/transaction.js";

/** Commits forgotten at a time: after a long rest a million may be due at the next commit. The rest follow with those that come. */
const forgottenMax = 10_000;

/**
 * What became of transaction ids, in memory, down to the id floor.
 *
 * 1. A commit at T began at a snapshot before T: once the floor has reached T, a late copy is refused by its snapshot and T may be forgotten.
 * 2. A transaction fenced when the last tid was L began at L or before: once the floor is above L, its fence may go.
 * 3. The floor is the tid of a transaction: whoever began at the last one there was, however long ago that was, is not below it.
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

  /** Ids of transactions that began before it are not known here. Never goes back. */
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

  /** Remembers a commit; those come in the order of tids. Past the bound the floor rises. */
  addCommit(id: string, tid: Tid): void {
    if (tid <= this.#floor) return;
    this.#tids.set(id, tid);
    this.#commits.push(id, tid);
    const surplus = this.#commits.at(this.#commits.count - 1 - this.#commitsMax);
    if (surplus !== undefined) this.raiseFloor(surplus);
  }

  /** Remembers a fence written when the last tid was `last`. */
  addFence(id: string, last: Tid): void {
    this.#fenceTids.set(id, last);
    this.#fences.push(id, last);
  }

  /** Commits at or before `floor`, the tid of a transaction, may be forgotten. Fences stay until they are gone from the disk too. */
  raiseFloor(floor: Tid): void {
    if (floor <= this.#floor) return;
    this.forgetTo(floor);
    this.#floor = floor;
  }

  /**
   * Forgets commits at or before `tid`, which need not be that of a transaction: the floor rises to the last of them. What is left to be
   * forgotten when the step is over is still known, and is forgotten by later calls.
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

  /** At most `countMax` fences that the floor has passed, oldest first. */
  fencesBelowFloor(countMax: number): readonly string[] {
    return this.#fences.firstWhile((tid) => tid < this.#floor, countMax);
  }

  /** Forgets the fences that fencesBelowFloor gave, after they were removed from the disk. */
  dropFences(count: number): void {
    let left = count;
    this.#fences.dropWhile(
      () => left-- > 0,
      (id) => this.#fenceTids.delete(id),
    );
  }
}

/** Ids by tid, taken off at the front: a Map cannot be, for its iterators walk over what was deleted there. */
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
    // Moving what is left costs no more than what was dropped.
    if (this.#first > this.#ids.length - this.#first) {
      this.#ids = this.#ids.slice(this.#first);
      this.#tids = this.#tids.slice(this.#first);
      this.#first = 0;
    }
  }
}
