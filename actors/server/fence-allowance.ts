import { type Clock, ServerBusyError } from "../../core/index.js";

/**
 * How many fences one session may still cause to be written. Each fence stays on disk until the id floor has passed it, so a session
 * has `countMax` of them in any `overMs`, and no more. What may have to be fenced later, when it cannot be refused any more, counts from
 * when it begins to wait.
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

  /** Counts one that will be written, or may have to be. Throws ServerBusyError when none is left. */
  spend(): void {
    this.#regain();
    if (this.#left < 1) throw new ServerBusyError({ what: "fences of this session", countMax: this.#countMax });
    this.#left -= 1;
  }

  /** One that was counted need not be written after all. */
  giveBack(): void {
    this.#left = Math.min(this.#countMax, this.#left + 1);
  }

  #regain(): void {
    const nowMs = this.#clock.monotonic();
    this.#left = Math.min(this.#countMax, this.#left + ((nowMs - this.#asOfMs) * this.#countMax) / this.#overMs);
    this.#asOfMs = nowMs;
  }
}
