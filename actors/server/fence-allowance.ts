import { type Clock, ServerBusyError } from "../../core/index.js";

/**
 * The number of fences that one session may still cause. A fence stays on disk until the id floor has passed it. A
 * session may therefore cause at most `countMax` fences in any `overMs`. A transaction that may need a fence later,
 * when the server can no longer refuse it, is counted when it begins to wait.
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

  /** Counts a fence that will be written or may have to be written. Throws ServerBusyError when none is left. */
  spend(): void {
    this.#regain();
    if (this.#left < 1) throw new ServerBusyError({ what: "fences of this session", countMax: this.#countMax });
    this.#left -= 1;
  }

  /** Takes back the count of a fence that is not needed after all. */
  giveBack(): void {
    this.#left = Math.min(this.#countMax, this.#left + 1);
  }

  #regain(): void {
    const nowMs = this.#clock.monotonic();
    this.#left = Math.min(this.#countMax, this.#left + ((nowMs - this.#asOfMs) * this.#countMax) / this.#overMs);
    this.#asOfMs = nowMs;
  }
}
