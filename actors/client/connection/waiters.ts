import { type Clock, onAbort } from "../../../core/index.js";

interface PositionWaiter {
  readonly settle: (error?: Error) => void;
}

/** Calls that wait for one event and continue together. Each call waits a bounded time, or until its signal aborts. */
export class Waiting {
  readonly #clock: Clock;
  readonly #waiters = new Set<PositionWaiter>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves at `release`. Rejects with the error given to `fail`, with `late()` after `timeoutMs`, or with the
   * signal's reason.
   */
  wait(timeoutMs: number, late: () => Error, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const timer = this.#clock.setTimeout(() => waiter.settle(late()), timeoutMs);
      const waiter: PositionWaiter = {
        settle: (error) => {
          if (!this.#waiters.delete(waiter)) return;
          this.#clock.clearTimeout(timer);
          stopListening?.();
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.#waiters.add(waiter);
      const stopListening = signal && onAbort(signal, () => waiter.settle(signal.reason as Error));
    });
  }

  release(): void {
    for (const waiter of [...this.#waiters]) waiter.settle();
  }

  fail(error: Error): void {
    for (const waiter of [...this.#waiters]) waiter.settle(error);
  }
}
