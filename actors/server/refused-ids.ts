import { limits, TransactionAbortedError, TransactionTimedOutError, type ZooidError } from "../../core/index.js";

/**
 * Ids that this server refused for a reason that will pass: a late copy must not commit what its sender was told is lost.
 * In memory, for requests come to one instance and die with it; bounded, the oldest go first.
 */
export class RefusedIds {
  readonly #reasons = new Map<string, "aborted" | "timedOut">();

  refuse(id: string, reason: "aborted" | "timedOut"): void {
    if (this.#reasons.has(id)) return;
    this.#reasons.set(id, reason);
    if (this.#reasons.size <= limits.refusedIdsMax) return;
    for (const oldest of this.#reasons.keys()) {
      this.#reasons.delete(oldest);
      return;
    }
  }

  /** What a copy of `id` is answered. */
  get(id: string): ZooidError | undefined {
    const reason = this.#reasons.get(id);
    if (reason === undefined) return undefined;
    return reason === "timedOut" ? new TransactionTimedOutError({ transaction: id }) : new TransactionAbortedError({ transaction: id });
  }
}
