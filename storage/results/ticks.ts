import type { Clock } from "../../core/clock.js";
import { limits } from "../../core/limits.js";

/** Looks at one reading: they bound how long time stands still in a loop that lets no timer fire, or when a timer was taken away. */
const looksMax = 256;

/**
 * A monotonic clock that costs a comparison: it is read anew at most every `limits.cacheTickMs`, and only when it is asked, so that
 * an idle process has no timer. Within one synchronous stretch it may stand still for some hundred looks.
 */
export class Ticks {
  readonly #clock: Clock;
  #nowMs = 0;
  #looksLeft = 0;
  #timer: unknown = undefined;
  /** The system's timers when #timer was set: the fake ones of a test take theirs away with them. */
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
