import { keptWhenFull, limits, TransactionAbortedError, TransactionTimedOutError, type ZooidError } from "../../core/index.js";

/**
 * Ids of transactions that this server refused for a reason that may pass. The sender knows that such a transaction is
 * lost, so a late copy must not commit it. The ids are only in memory, because requests are addressed to one instance
 * and are lost with it. Their number is bounded: the oldest are removed first.
 */
export class RefusedIds {
  readonly #reasons = new Map<string, "aborted" | "timedOut">();

  refuse(id: string, reason: "aborted" | "timedOut"): void {
    if (this.#reasons.has(id)) return;
    this.#reasons.set(id, reason);
    if (this.#reasons.size <= limits.refusedIdsMax) return;
    const kept = keptWhenFull(limits.refusedIdsMax);
    for (const oldest of this.#reasons.keys()) {
      if (this.#reasons.size <= kept) return;
      this.#reasons.delete(oldest);
    }
  }

  /** The error for a copy of `id`; undefined: `id` was not refused. */
  get(id: string): ZooidError | undefined {
    const reason = this.#reasons.get(id);
    if (reason === undefined) return undefined;
    return reason === "timedOut" ? new TransactionTimedOutError({ transaction: id }) : new TransactionAbortedError({ transaction: id });
  }
}
