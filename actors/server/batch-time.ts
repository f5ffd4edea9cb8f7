import { ClockError } from "../../core/index.js";
import type { ObjectStore } from "../../storage/objects/object-store.js";

/** The time from which the tids of one batch are made. It is read once. */
export class BatchTime {
  readonly #store: ObjectStore;
  #nowMs: number | undefined;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Throws ClockError when no tid can have the time of this batch. */
  check(): void {
    this.#nowMs ??= this.#store.nextTidMs();
  }

  /**
   * Milliseconds; 0 when the clock has no valid time. A voted transaction can no longer be refused: with 0 it gets the
   * tid after the last one.
   */
  get nowMs(): number {
    try {
      this.check();
    } catch (error) {
      if (!(error instanceof ClockError)) throw error;
    }
    return this.#nowMs ?? 0;
  }
}
