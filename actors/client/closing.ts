/**
 * Signals the end of a client to the calls that wait. Adding and removing a waiting call costs the same for any number
 * of them, unlike a listener of an AbortSignal.
 */
export class ClosingSignal {
  readonly #waiting = new Set<(reason: Error) => void>();
  #reason: Error | undefined;

  /** Rejects all waiting calls with `reason`. Later calls of `end` have no effect. */
  end(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const reject of waiting) reject(reason);
  }

  get hasCome(): boolean {
    return this.#reason !== undefined;
  }

  /** Throws the reason if the client has ended. */
  check(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  /**
   * Settles as `promise` does, or rejects with the reason if the end comes first. The work behind `promise` then
   * continues, and its result is ignored.
   */
  sooner<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#reason !== undefined) reject(this.#reason);
      else this.#waiting.add(reject);
      const leave = () => this.#waiting.delete(reject);
      promise.then(
        (value) => {
          leave();
          resolve(value);
        },
        (error: unknown) => {
          leave();
          reject(error);
        },
      );
    });
  }
}
