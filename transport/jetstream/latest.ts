import { type Clock, ClosedError, delay, TimeoutError } from "../../core/index.js";

/** The latest that the stream repeated on this link: the proof that the way from it to us is whole. */
export class LatestRepeated {
  readonly #clock: Clock;
  #sequence = 0;
  #at = -Infinity;
  #onTake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** 0 when nothing was repeated since `forget`. */
  get sequence(): number {
    return this.#sequence;
  }

  /** When something was repeated last, on the monotonic clock. */
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

  /** Resolves once `sequence` or a later one was repeated. Rejects with TimeoutError or the signal's reason; one may wait at a time. */
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
