import { type Clock, delay } from "./clock.js";
import { limits } from "./limits.js";

/**
 * Lets other work run between the steps of long work: no step holds up the process for much longer than
 * `limits.pruningStepMsMax`.
 */
export class Pace {
  readonly #clock: Clock;
  #endMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#endMs = clock.monotonic() + limits.pruningStepMsMax;
  }

  /** Whether the current step has lasted long enough. Check it every few hundred small operations. */
  get isOver(): boolean {
    return this.#clock.monotonic() >= this.#endMs;
  }

  async rest(): Promise<void> {
    await delay(this.#clock, 0);
    this.#endMs = this.#clock.monotonic() + limits.pruningStepMsMax;
  }
}
