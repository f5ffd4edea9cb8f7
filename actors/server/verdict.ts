import type { ObjectStore } from "../../storage/objects/object-store.js";
import { limits, type Position, type Tid, tidMinus } from "../../core/index.js";
import type { Verdict, Verify } from "../protocol/messages.js";

export interface VerdictsOptions {
  /** The server writes the storage: a client can have a later tid only if the server lost part of its history. */
  readonly writes: boolean;
  /** A cache is replayed from the log if its last tid is at most this much older than the server's, milliseconds. */
  readonly invalidationAgeMs?: number;
  /** Maximum number of transactions that are replayed to one client. */
  readonly replayTransactionsMax?: number;
}

/**
 * Decides whether a client cache is up to date, or is replayed, discarded or refused. The cache has applied all
 * transactions up to its position, and contains revisions that were current at its as-of.
 * Source: DESIGN "Verification"; INTERLEAVINGS A10.
 */
export class Verdicts {
  readonly #store: ObjectStore;
  readonly #options: Required<VerdictsOptions>;

  constructor(store: ObjectStore, options: VerdictsOptions) {
    const { invalidationAgeMs, replayTransactionsMax } = limits;
    this.#store = store;
    this.#options = { invalidationAgeMs, replayTransactionsMax, ...options };
  }

  on({ position, asOf }: Pick<Verify, "position" | "asOf">): Verdict {
    const last = this.#store.position;
    const verdict = (type: Verdict["type"]): Verdict => ({ type, position: last });
    const found = [this.#find(position), this.#find(asOf)];
    if (found.includes("other")) return verdict("otherHistory");
    if (found.includes("ahead")) return verdict(this.#options.writes ? "lost" : "behind");
    if (position.tid === last.tid) return verdict("upToDate");
    return verdict(this.#isReplayable(position.tid) ? "replay" : "discard");
  }

  #isReplayable(tid: Tid): boolean {
    const store = this.#store;
    if (store.queueHas(tid)) return true;
    if (tid < store.historyFloor || tid < tidMinus(store.position.tid, this.#options.invalidationAgeMs)) return false;
    return store.countAfter(tid) <= this.#options.replayTransactionsMax;
  }

  /**
   * `other`: the store passed the tid without such a transaction, or has the tid with another digest. A tid in the
   * pruned history counts as `here`: the store can no longer compare it.
   */
  #find({ tid, digest }: Position): "here" | "ahead" | "other" {
    const store = this.#store;
    // The look-up comes before the comparison: a load can return a tid as soon as its batch is durable, before the
    // position of the store advances.
    const found = store.digestAt(tid);
    if (found !== undefined) return found === digest ? "here" : "other";
    if (tid > store.position.tid) return "ahead";
    return tid >= store.historyFloor || store.queueLacks(tid) ? "other" : "here";
  }
}
