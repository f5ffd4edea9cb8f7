interface LinkWaiter {
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

/** Promises that wait for one event. */
export class Waiters {
  readonly #waiters = new Set<LinkWaiter>();

  wait(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.add({ resolve, reject }));
  }

  resolve(): void {
    for (const { resolve } of this.#waiters) resolve();
    this.#waiters.clear();
  }

  reject(reason: Error): void {
    for (const { reject } of this.#waiters) reject(reason);
    this.#waiters.clear();
  }
}
