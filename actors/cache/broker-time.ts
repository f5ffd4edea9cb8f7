import { type Clock, limits } from "../../core/index.js";

/**
 * The broker's wall clock, as far as it can be told here from the times that its messages bear. A message is late by what its way took, never early:
 * of those of the last minute the one that took least tells best. A broker whose clock was put back is believed once that minute is over.
 * The wall clock of this process does not come into it.
 */
export class BrokerTime {
  readonly #clock: Clock;
  /** The broker's clock before our monotonic one, by the best message of this window and of the one before; -Infinity: there was none. */
  #aheadMs = -Infinity;
  #aheadBeforeMs = -Infinity;
  #windowEndsMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A message arrived that the broker had taken at `time`. */
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

  /** Milliseconds since 1970; undefined before any message came. */
  now(): number | undefined {
    const aheadMs = Math.max(this.#aheadMs, this.#aheadBeforeMs);
    return aheadMs === -Infinity ? undefined : this.#clock.monotonic() + aheadMs;
  }
}
