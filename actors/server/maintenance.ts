import { ClosedError, WriteInDoubtError } from "../../core/index.js";

interface Work {
  readonly run: () => Promise<void>;
  readonly refuse: (error: unknown) => void;
}

/** Work on the store of one storage that waits for its turn between two batches, in the order in which it came. */
export class Maintenance {
  readonly #waiting: Work[] = [];

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Runs `work` in its turn; resolves and rejects as it does. Rejects with ClosedError if its turn never comes. */
  add<T>(work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const run = async (): Promise<void> => {
        try {
          resolve(await work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
          if (error instanceof WriteInDoubtError) throw error;
        }
      };
      this.#waiting.push({ run, refuse: reject });
    });
  }

  /** Runs the first work that waits. Rejects only when it left the store in doubt, with WriteInDoubtError. */
  async runNext(): Promise<void> {
    await this.#waiting.shift()?.run();
  }

  /** Rejects all work that waits with ClosedError. */
  refuseAll(): void {
    for (const { refuse } of this.#waiting.splice(0)) refuse(new ClosedError({ what: "storage" }));
  }
}
