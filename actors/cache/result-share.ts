/** What the results of one function may take at one node. */
export interface ResultShareOptions {
  readonly entriesMax: number;
  /** By the rough measure of a cache's `maxBytes`. */
  readonly bytesMax: number;
  /** A result that is not to be kept any more. */
  readonly evict: (key: string) => void;
}

/**
 * The results of one function at one node, the least recently used first.
 * Results that are gone otherwise, because they lapsed, keep their place here until they are the oldest: the bound holds, it is never exceeded.
 */
export class ResultShare {
  readonly #options: ResultShareOptions;
  /** Bytes by key, in the order of last uses. */
  readonly #bytes = new Map<string, number>();
  #total = 0;

  constructor(options: ResultShareOptions) {
    this.#options = options;
  }

  /** The result of `key` was given. `measure` is asked for its bytes where it is not known, as after a restart. */
  use(key: string, measure: () => number): void {
    const bytes = this.#bytes.get(key);
    if (bytes === undefined) this.reserve(key, measure());
    else {
      this.#bytes.delete(key);
      this.#bytes.set(key, bytes);
    }
  }

  /** The result of `key` is about to be kept: others go to make room. False: it is larger than the share, and is not to be kept. */
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
