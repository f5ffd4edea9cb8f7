import type { Clock } from "./clock.js";

/**
 * Items with one time-out: each expires the same time after it was added. They share a timer, which is set for the
 * earliest deadline or sooner and then set again, so that an item that is deleted in time needs no timer of its own.
 */
export class CommonTimeout<T> {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onExpired: (item: T) => void;
  /** When each expires, on the monotonic clock, in the order of their deadlines. */
  readonly #dueMs = new Map<T, number>();
  #timer: unknown;

  /** `onExpired` gets each item that was not deleted within `timeoutMs` milliseconds of its addition. */
  constructor(clock: Clock, timeoutMs: number, onExpired: (item: T) => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#onExpired = onExpired;
  }

  add(item: T): void {
    this.#dueMs.set(item, this.#clock.monotonic() + this.#timeoutMs);
    this.#timer ??= this.#clock.setTimeout(() => this.#expire(), this.#timeoutMs);
  }

  delete(item: T): void {
    this.#dueMs.delete(item);
  }

  /** No item expires any more. */
  clear(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dueMs.clear();
  }

  #expire(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    const expired: T[] = [];
    for (const [item, dueMs] of this.#dueMs) {
      if (dueMs > now) {
        this.#timer = this.#clock.setTimeout(() => this.#expire(), dueMs - now);
        break;
      }
      this.#dueMs.delete(item);
      expired.push(item);
    }
    for (const item of expired) this.#onExpired(item);
  }
}
