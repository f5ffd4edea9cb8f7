import { firstIndex, type LoggedTransaction, type Tid } from "../../core/index.js";

/** Bounds of the queue; beyond either, the oldest transactions are removed. */
export interface InvalidationQueueBounds {
  readonly transactionsMax: number;
  readonly keysMax: number;
}

/**
 * The latest transactions in memory, a chain without gaps up to the last durable one. Bounded by transactions and by
 * keys.
 */
export class InvalidationQueue {
  readonly #bounds: InvalidationQueueBounds;
  readonly #transactions: LoggedTransaction[] = [];
  #keys = 0;
  /** Last tid: the queue reaches back at least to it. */
  #last: Tid;

  constructor(bounds: InvalidationQueueBounds, last: Tid) {
    this.#bounds = bounds;
    this.#last = last;
  }

  get size(): { readonly transactions: number; readonly keys: number } {
    return { transactions: this.#transactions.length, keys: this.#keys };
  }

  /** Tid after which the queue has every transaction. */
  get reach(): Tid {
    return this.#transactions[0]?.previous ?? this.#last;
  }

  /** Adds the transaction that follows the last one. */
  push(transaction: LoggedTransaction): void {
    this.#last = transaction.tid;
    this.#transactions.push(transaction);
    this.#keys += transaction.keys.length;
    while (this.#transactions.length > this.#bounds.transactionsMax || this.#keys > this.#bounds.keysMax) {
      this.#keys -= this.#transactions.shift()?.keys.length ?? 0;
    }
  }

  /** Transactions after `tid`, which is not before the reach, in the order of commits. */
  after(tid: Tid): readonly LoggedTransaction[] {
    return this.#transactions.slice(this.#firstAfter(tid));
  }

  at(tid: Tid): LoggedTransaction | undefined {
    const found = this.#transactions[this.#firstAfter(tid) - 1];
    return found?.tid === tid ? found : undefined;
  }

  #firstAfter(tid: Tid): number {
    return firstIndex(this.#transactions.length, (index) => (this.#transactions[index]?.tid ?? 0) <= tid);
  }
}
