import { type Clock, ClosedError, delay, TimeoutError } from "../../core/index.js";

/**
 * The last message that the stream repeated on this link. It proves that the path from the stream to this node is
 * whole.
 */
export class LatestRepeated {
  readonly #clock: Clock;
  #sequence = 0;
  #at = -Infinity;
  #onTake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** 0 if nothing was repeated since `forget`. */
  get sequence(): number {
    return this.#sequence;
  }

  /** When a message was last repeated, on the monotonic clock. */
  get at(): number {
    return this.#at;
  }

  note(sequence: number): void {
    this.#sequence = sequence;
    this.#at = this.#clock.monotonic();
    this.#onTake?.();
  }

  forget(): void {
    this.#sequence = 0;
  }

  /**
   * Resolves once `sequence` or a later one was repeated. Rejects with TimeoutError or the signal's reason. One caller
   * may wait at a time.
   */
  async reaches(sequence: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const waited = new AbortController();
    const tooLate = delay(this.#clock, timeoutMs, AbortSignal.any([signal, waited.signal])).then(() => {
      throw new TimeoutError({ what: "repetition by the stream", timeoutMs });
    });
    tooLate.catch(() => undefined);
    try {
      while (this.#sequence < sequence) {
        await Promise.race([tooLate, new Promise<void>((resolve) => (this.#onTake = resolve))]);
      }
    } finally {
      this.#onTake = undefined;
      waited.abort(new ClosedError({ what: "wait" }));
    }
  }
}
