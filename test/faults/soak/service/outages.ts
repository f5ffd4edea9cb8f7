/** What was under way while a part was away, or came soon after it returned, may fail with a transient error. */
const recoveryMs = 10_000;

/** When the broker or the storage server was away. */
export class Outages {
  #away = 0;
  #lastBackAt = -Infinity;

  /** Counts as away until `whileAway` has resolved. */
  async during(whileAway: () => Promise<void>): Promise<void> {
    this.#away += 1;
    try {
      await whileAway();
    } finally {
      this.#away -= 1;
      this.#lastBackAt = performance.now();
    }
  }

  /** Whether a part was away at any time from shortly before `since` to now. */
  isExcused(since: number): boolean {
    return this.#away > 0 || this.#lastBackAt > since - recoveryMs;
  }
}
