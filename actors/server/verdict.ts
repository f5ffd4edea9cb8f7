import type { ObjectStore } from "../../storage/objects/object-store.js";
import type { Position } from "../../core/transaction.js";
import { limits, type Tid, tidMinus } from "../../core/index.js";
import type { Verdict, Verify } from "../protocol/messages.js";

export interface VerdictsOptions {
  /** The server writes the storage: no tid after its last one can be a client's, unless its history was lost. */
  readonly writes: boolean;
  /** Caches that missed no more than this are replayed from the log, milliseconds. */
  readonly invalidationAgeMs?: number;
  /** Transactions that are replayed to one client at most. */
  readonly replayTransactionsMax?: number;
}

/**
 * What is to become of a cache that has applied everything up to its position, and holds what was true at its as-of.
 * Source: DESIGN "Verification"; INTERLEAVINGS A10.
 */
export class Verdicts {
  readonly #store: ObjectStore;
  readonly #writes: boolean;
  readonly #invalidationAgeMs: number;
  readonly #replayTransactionsMax: number;
  constructor(
    store: ObjectStore,
    { writes, invalidationAgeMs = limits.invalidationAgeMs, replayTransactionsMax = limits.replayTransactionsMax }: VerdictsOptions,
  ) {
    this.#store = store;
    this.#writes = writes;
    this.#invalidationAgeMs = invalidationAgeMs;
    this.#replayTransactionsMax = replayTransactionsMax;
  }

  on({ position, asOf }: Pick<Verify, "position" | "asOf">): Verdict {
    const last = this.#store.position;
    const of = (type: Verdict["type"]): Verdict => ({ type, position: last });
    const found = [this.#find(position), this.#find(asOf)];
    if (found.includes("other")) return of("otherHistory");
    if (found.includes("ahead")) return of(this.#writes ? "lost" : "behind");
    if (position.tid === last.tid) return of("upToDate");
    return of(this.#isReplayable(position.tid) ? "replay" : "discard");
  }

  #isReplayable(tid: Tid): boolean {
    const store = this.#store;
    if (store.queueHas(tid)) return true;
    if (tid < store.historyFloor || tid < tidMinus(store.position.tid, this.#invalidationAgeMs)) return false;
    return store.countAfter(tid) <= this.#replayTransactionsMax;
  }

  /** `other`: the store has passed `position` without it, or has its tid with another digest. What was pruned cannot be told. */
  #find({ tid, digest }: Position): "here" | "ahead" | "other" {
    const store = this.#store;
    // Looked for first: a load tells of a batch as soon as it is durable, which may be before the store's own position has moved.
    const found = store.digestAt(tid);
    if (found !== undefined) return found === digest ? "here" : "other";
    if (tid > store.position.tid) return "ahead";
    return tid >= store.historyFloor || store.queueLacks(tid) ? "other" : "here";
  }
}
