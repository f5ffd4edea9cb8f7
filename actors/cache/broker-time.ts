import { type Clock, limits } from "../../core/index.js";

/**
 * The broker's wall clock, estimated from the timestamps of its messages. Transit makes a message late, never early: of
 * the messages of the last minute, the one with the shortest transit gives the best estimate. If the broker's clock is
 * set back, the estimate follows when that minute is over. The wall clock of this process is not used.
 */
export class BrokerTime {
  readonly #clock: Clock;
  /**
   * The broker's clock minus our monotonic clock, by the best message of this window and of the previous one;
   * -Infinity: no message.
   */
  #aheadMs = -Infinity;
  #aheadBeforeMs = -Infinity;
  #windowEndsMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes a message that has just arrived; the broker stored it at `time`. */
  hear(time: number): void {
    const nowMs = this.#clock.monotonic();
    const aheadMs = time - nowMs;
    if (Number.isNaN(aheadMs)) return;
    if (nowMs >= this.#windowEndsMs) {
      this.#aheadBeforeMs = this.#aheadMs;
      this.#aheadMs = -Infinity;
      this.#windowEndsMs = nowMs + limits.brokerTimeWindowMs;
    }
    this.#aheadMs = Math.max(this.#aheadMs, aheadMs);
  }

  /** Milliseconds since 1970; undefined before the first message. */
  now(): number | undefined {
    const aheadMs = Math.max(this.#aheadMs, this.#aheadBeforeMs);
    return aheadMs === -Infinity ? undefined : this.#clock.monotonic() + aheadMs;
  }
}
