/** Bounds of the results of one function at one node. */
export interface ResultShareOptions {
  readonly entriesMax: number;
  /** Approximate, measured as for `maxBytes` of a cache. */
  readonly bytesMax: number;
  /** Removes the result of `key` from the cache. */
  readonly evict: (key: string) => void;
}

/**
 * The results of one function at one node, the least recently used first. A result that left the cache for another
 * reason, such as expiry, stays counted here until it is the oldest: the share never exceeds its bounds.
 */
export class ResultShare {
  readonly #options: ResultShareOptions;
  /** Bytes by key, in the order of last uses. */
  readonly #bytes = new Map<string, number>();
  #total = 0;

  constructor(options: ResultShareOptions) {
    this.#options = options;
  }

  /** Notes that the result of `key` was used. Calls `measure` if its bytes are unknown, as after a restart. */
  use(key: string, measure: () => number): void {
    const bytes = this.#bytes.get(key);
    if (bytes === undefined) this.reserve(key, measure());
    else {
      this.#bytes.delete(key);
      this.#bytes.set(key, bytes);
    }
  }

  /**
   * Evicts others to make room for the result of `key`, which is about to be kept. False: the result is larger than the
   * share; do not keep it.
   */
  reserve(key: string, bytes: number): boolean {
    this.#forget(key);
    const { entriesMax, bytesMax, evict } = this.#options;
    if (entriesMax < 1 || bytes > bytesMax) return false;
    this.#bytes.set(key, bytes);
    this.#total += bytes;
    for (const oldest of this.#bytes.keys()) {
      if (this.#bytes.size <= entriesMax && this.#total <= bytesMax) break;
      this.#forget(oldest);
      evict(oldest);
    }
    return true;
  }

  #forget(key: string): void {
    this.#total -= this.#bytes.get(key) ?? 0;
    this.#bytes.delete(key);
  }
}
