import { type Clock, ServerBusyError } from "../words/index.js";

/**
 * How many fences one session may still cause to be written. Each fence stays on disk until the id floor has passed it, so a session
 * has `countMax` of them in any `overMs`, and no more.
 */
export class FenceAllowance {
  readonly #clock: Clock;
  readonly #countMax: number;
  readonly #overMs: number;
  #left: number;
  #asOfMs: number;

  constructor(clock: Clock, countMax: number, overMs: number) {
    this.#clock = clock;
    this.#countMax = countMax;
    this.#overMs = overMs;
    this.#left = countMax;
    this.#asOfMs = clock.monotonic();
  }

  /** Throws ServerBusyError when none is left. */
  check(): void {
    this.#regain();
    if (this.#left < 1) throw new ServerBusyError({ what: "fences of this session", countMax: this.#countMax });
  }

  /** One was written. Never fails: an abort has to be possible when none is left. */
  spend(): void {
    this.#regain();
    this.#left -= 1;
  }

  #regain(): void {
    const nowMs = this.#clock.monotonic();
    this.#left = Math.min(this.#countMax, this.#left + ((nowMs - this.#asOfMs) * this.#countMax) / this.#overMs);
    this.#asOfMs = nowMs;
  }
}
