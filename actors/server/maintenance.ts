import { asError, ClosedError, WriteInDoubtError } from "../../core/index.js";

interface Work {
  readonly run: () => Promise<void>;
  readonly refuse: (error: unknown) => void;
}

/** A queue of work on the store of one storage. Each work runs between two batches, in the order of arrival. */
export class Maintenance {
  readonly #waiting: Work[] = [];

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Runs `work` in its turn, with the same result. Rejects with ClosedError if its turn never comes. */
  add<T>(work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const run = async (): Promise<void> => {
        try {
          resolve(await work());
        } catch (error) {
          reject(asError(error));
          if (error instanceof WriteInDoubtError) throw error;
        }
      };
      this.#waiting.push({ run, refuse: reject });
    });
  }

  /** Runs the first work that waits. Rejects, with WriteInDoubtError, only when the work left a write in doubt. */
  async runNext(): Promise<void> {
    await this.#waiting.shift()?.run();
  }

  /** Rejects all work in the queue with ClosedError. */
  refuseAll(): void {
    for (const { refuse } of this.#waiting.splice(0)) refuse(new ClosedError({ what: "storage" }));
  }
}
