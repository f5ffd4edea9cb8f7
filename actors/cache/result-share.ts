import { assert } from "../../core/index.js";
import { type Recent, Recency } from "../../core/recency.js";

/** Bounds of the results of one function at one node. */
export interface ResultShareOptions {
  readonly entriesMax: number;
  /** Approximate, measured as for `maxBytes` of a cache. */
  readonly bytesMax: number;
  /** Removes the result of `key` from the cache. */
  readonly evict: (key: string) => void;
}

/** A result that is counted. */
interface SharedResult extends Recent<SharedResult> {
  readonly key: string;
  readonly bytes: number;
}

/**
 * The results of one function at one node, the least recently used first. A result that left the cache for another
 * reason, such as expiry, stays counted here until it is the oldest: the share never exceeds its bounds.
 */
export class ResultShare {
  readonly #options: ResultShareOptions;
  readonly #results = new Map<string, SharedResult>();
  readonly #recency = new Recency<SharedResult>();
  #bytes = 0;

  constructor(options: ResultShareOptions) {
    this.#options = options;
  }

  /** Notes that the result of `key` was used. Calls `measure` if its bytes are unknown, as after a restart. */
  use(key: string, measure: () => number): void {
    const result = this.#results.get(key);
    if (result === undefined) this.reserve(key, measure());
    else this.#recency.use(result);
  }

  /**
   * Evicts others to make room for the result of `key`, which is about to be kept. False: the result is larger than the
   * share; do not keep it.
   */
  reserve(key: string, bytes: number): boolean {
    const before = this.#results.get(key);
    if (before !== undefined) this.#forget(before);
    const { entriesMax, bytesMax, evict } = this.#options;
    if (entriesMax < 1 || bytes > bytesMax) return false;
    const result: SharedResult = { key, bytes, newer: undefined, older: undefined };
    this.#results.set(key, result);
    this.#recency.addNewest(result);
    this.#bytes += bytes;
    while (this.#results.size > entriesMax || this.#bytes > bytesMax) {
      const { oldest } = this.#recency;
      assert(oldest !== undefined, "counted results are in the list");
      this.#forget(oldest);
      evict(oldest.key);
    }
    return true;
  }

  #forget(result: SharedResult): void {
    this.#results.delete(result.key);
    this.#recency.remove(result);
    this.#bytes -= result.bytes;
  }
}
