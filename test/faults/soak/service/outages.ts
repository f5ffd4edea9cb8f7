/** Requests during an outage of a part, or within this time after its return, may fail with a transient error. */
const recoveryMs = 10_000;

/** Times at which the broker or the storage server was away. */
export class Outages {
  #away = 0;
  #lastBackAt = -Infinity;

  /** Counts a part as away until `whileAway` has resolved. */
  async during(whileAway: () => Promise<void>): Promise<void> {
    this.#away += 1;
    try {
      await whileAway();
    } finally {
      this.#away -= 1;
      this.#lastBackAt = performance.now();
    }
  }

  /** Whether a part was away at any time from `recoveryMs` before `since` until now. */
  isExcused(since: number): boolean {
    return this.#away > 0 || this.#lastBackAt > since - recoveryMs;
  }
}
