import type { Clock } from "../words/clock.js";
import { limits } from "../words/limits.js";

/**
 * A monotonic clock that costs a comparison: it is read anew at most every `limits.cacheTickMs`, and only when it is asked, so that
 * an idle process has no timer. Within one synchronous stretch it may stand still.
 */
export class Ticks {
  readonly #clock: Clock;
  #nowMs = 0;
  #isFresh = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whole milliseconds, at most a tick behind. */
  now(): number {
    return this.#isFresh ? this.#nowMs : this.#read();
  }

  #read(): number {
    this.#nowMs = Math.floor(this.#clock.monotonic());
    this.#isFresh = true;
    this.#clock.setTimeout(() => {
      this.#isFresh = false;
    }, limits.cacheTickMs);
    return this.#nowMs;
  }
}
