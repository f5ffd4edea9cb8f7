import { ClockError } from "../../core/index.js";
import type { ObjectStore } from "../../storage/objects/object-store.js";

/** The time that the tids of one batch are given for. */
export class BatchTime {
  readonly #store: ObjectStore;
  #nowMs: number | undefined;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Throws ClockError. */
  check(): void {
    this.#nowMs ??= this.#store.nextTidMs();
  }

  /** What was voted gets the tid after the last one, whatever the clock says. */
  get nowMs(): number {
    try {
      this.check();
    } catch (error) {
      if (!(error instanceof ClockError)) throw error;
    }
    return this.#nowMs ?? 0;
  }
}
