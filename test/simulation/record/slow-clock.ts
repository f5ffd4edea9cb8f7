import type { Clock } from "../../../core/index.js";

/**
 * The clock of a process whose work takes time: each reading moves it by `costMs`, so that what is done between two
 * readings takes at least so long. Timers are those of the clock below.
 */
export class SlowClock implements Clock {
  costMs = 0;
  readonly #clock: Clock;
  #tookMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonic(): number {
    this.#tookMs += this.costMs;
    return this.#clock.monotonic() + this.#tookMs;
  }

  setTimeout(action: () => void, delayMs: number): unknown {
    return this.#clock.setTimeout(action, delayMs);
  }

  clearTimeout(timer: unknown): void {
    this.#clock.clearTimeout(timer);
  }
}
