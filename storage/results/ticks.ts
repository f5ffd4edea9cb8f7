import { type Clock, limits } from "../../core/index.js";

/**
 * Calls of `now` per reading. They bound how long time stands still in a loop that lets no timer fire, or when the
 * timer was lost.
 */
const looksMax = 256;

/**
 * A monotonic clock whose reading costs a comparison: it reads the actual clock at most every `limits.cacheTickMs`, and
 * only when `now` is called, so that an idle process has no timer. Within synchronous work it may stand still for a few
 * hundred calls.
 */
export class Ticks {
  readonly #clock: Clock;
  #nowMs = 0;
  #looksLeft = 0;
  #timer: unknown = undefined;
  /**
   * `setTimeout` of the system when #timer was set: timers set with a test's fake one are lost when the test restores
   * the real one.
   */
  #timers: unknown = undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whole milliseconds, at most a tick behind. */
  now(): number {
    return --this.#looksLeft > 0 && this.#timers === setTimeout ? this.#nowMs : this.#read();
  }

  #read(): number {
    if (this.#timers === setTimeout) this.#clock.clearTimeout(this.#timer);
    this.#timers = setTimeout;
    this.#nowMs = Math.floor(this.#clock.monotonic());
    this.#looksLeft = looksMax;
    this.#timer = this.#clock.setTimeout(() => {
      this.#looksLeft = 0;
    }, limits.cacheTickMs);
    return this.#nowMs;
  }
}
