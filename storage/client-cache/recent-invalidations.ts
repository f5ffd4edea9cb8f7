import { assert, type Tid } from "../../core/index.js";

/** A load in flight. Invalidations newer than the oldest load in flight are remembered until it ends. */
export interface LoadTicket {
  readonly snapshot: Tid;
}

class Ticket implements LoadTicket {
  readonly snapshot: Tid;
  /** Last tid applied when the load began. */
  readonly begun: Tid;

  constructor(snapshot: Tid, begun: Tid) {
    this.snapshot = snapshot;
    this.begun = begun;
  }
}

/**
 * The loads in flight, and the invalidations that may overlap any of them.
 *
 *     1. All invalidations in (after, position] are remembered while a load is in flight.
 *     2. `after` is at most the position at which the oldest load in flight began, unless the bound on keys was
 *        reached.
 */
export class RecentInvalidations {
  readonly #keysMax: number;
  /** In the order in which they began, which is the order of `begun`. */
  readonly #tickets = new Set<Ticket>();
  readonly #transactions: { readonly tid: Tid; readonly keys: readonly string[] }[] = [];
  /** Transactions before this index are forgotten. */
  #first = 0;
  readonly #tidsByKey = new Map<string, Tid[]>();
  #keyCount = 0;
  #after: Tid;

  constructor(position: Tid, keysMax: number) {
    this.#after = position;
    this.#keysMax = keysMax;
  }

  begin(snapshot: Tid, position: Tid): LoadTicket {
    const ticket = new Ticket(snapshot, position);
    if (this.#tickets.size === 0) this.#after = position;
    this.#tickets.add(ticket);
    return ticket;
  }

  /** Ends a load; idempotent. */
  end(ticket: LoadTicket): void {
    if (!this.#tickets.delete(ticket as Ticket)) return;
    const [oldest] = this.#tickets;
    if (oldest === undefined) this.#forgetAll();
    else this.#forgetTo(oldest.begun);
  }

  /** Whether the load is in flight and the cache was not discarded since it began. */
  has(ticket: LoadTicket): boolean {
    return this.#tickets.has(ticket as Ticket);
  }

  remember(tid: Tid, keys: readonly string[]): void {
    if (this.#tickets.size === 0) return;
    this.#transactions.push({ tid, keys });
    this.#keyCount += keys.length;
    for (const key of keys) {
      const tids = this.#tidsByKey.get(key);
      if (tids === undefined) this.#tidsByKey.set(key, [tid]);
      else tids.push(tid);
    }
    while (this.#keyCount > this.#keysMax) this.#forgetOldest();
  }

  /** Whether every invalidation after `tid` that was applied here is remembered. */
  reachesBackTo(tid: Tid): boolean {
    return tid >= this.#after;
  }

  /** First remembered invalidation of `key` after `tid`. */
  firstAfter(key: string, tid: Tid): Tid | undefined {
    return this.#tidsByKey.get(key)?.find((invalidation) => invalidation > tid);
  }

  /** Whether any remembered invalidation after `tid` names a key that begins with `prefix`. Cost: all their keys. */
  hasBelow(prefix: string, tid: Tid): boolean {
    for (let index = this.#transactions.length - 1; index >= this.#first; index--) {
      const transaction = this.#transactions[index];
      if (transaction === undefined || transaction.tid <= tid) return false;
      if (transaction.keys.some((key) => key.startsWith(prefix))) return true;
    }
    return false;
  }

  /** Forgets loads and invalidations: the answers to these loads belong to the discarded cache. */
  clear(): void {
    this.#tickets.clear();
    this.#forgetAll();
  }

  #forgetAll(): void {
    this.#transactions.length = 0;
    this.#first = 0;
    this.#tidsByKey.clear();
    this.#keyCount = 0;
  }

  #forgetTo(tid: Tid): void {
    while ((this.#transactions[this.#first]?.tid ?? Infinity) <= tid) this.#forgetOldest();
    if (tid > this.#after) this.#after = tid;
  }

  #forgetOldest(): void {
    const transaction = this.#transactions[this.#first];
    assert(transaction !== undefined, "counted keys belong to a remembered transaction");
    this.#first++;
    this.#after = transaction.tid;
    this.#keyCount -= transaction.keys.length;
    for (const key of transaction.keys) {
      const tids = this.#tidsByKey.get(key);
      assert(tids?.[0] === transaction.tid, "invalidations of a key are forgotten in the order in which they came");
      if (tids.length === 1) this.#tidsByKey.delete(key);
      else tids.shift();
    }
    // The forgotten part is removed when it is more than half of the array: each transaction is moved at most once on
    // average.
    if (this.#first * 2 > this.#transactions.length) {
      this.#transactions.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
