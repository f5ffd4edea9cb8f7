/**
 * The end of a client, for those who might wait beyond it. Joining and leaving cost the same however many wait,
 * which an AbortSignal's listeners do not.
 */
export class ClosingSignal {
  readonly #waiting = new Set<(reason: Error) => void>();
  #reason: Error | undefined;

  /** Ends it, once. */
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

  /** Throws the reason once it has come. */
  check(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  /** `promise`, unless the end comes first: then its reason. What was begun goes on, and nobody asks for its end any more. */
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
