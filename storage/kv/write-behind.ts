import { type Clock, ClosedError, limits, WriteInDoubtError } from "../../core/index.js";
import type { StoreChange, OrderedStore } from "./ordered-store.js";

export interface WriteBehindOptions {
  readonly store: OrderedStore;
  readonly clock: Clock;
  /** Returns all changes since the last call. */
  readonly take: () => readonly StoreChange[];
  /** Called when the changes taken last are on disk. */
  readonly wrote: () => void;
  /** Called when a batch is in doubt: nothing more is written. */
  readonly lost: (error: unknown) => void;
}

/**
 * Writes changes in the background: they are collected for a few milliseconds, one batch is in flight at a time, and
 * the next batch holds all changes made meanwhile.
 */
export class WriteBehind {
  readonly #options: WriteBehindOptions;
  /** Number of changes made, and the number of these that were handed to a batch. */
  #changes = 0;
  #handedOver = 0;
  #writing: Promise<void> | undefined;
  #timer: unknown;
  #ended: Error | undefined;

  constructor(options: WriteBehindOptions) {
    this.#options = options;
  }

  /** There are new changes to take. */
  changed(): void {
    this.#changes++;
    this.#schedule();
  }

  /**
   * Resolves when all changes up to now are on disk. Rejects with WriteInDoubtError after a batch in doubt, and after
   * `end`.
   */
  async flush(): Promise<void> {
    const target = this.#changes;
    while (this.#ended === undefined && (this.#handedOver < target || this.#writing !== undefined)) {
      const isLast = this.#handedOver >= target;
      await (this.#writing ?? this.#write());
      if (isLast) break;
    }
    if (this.#ended !== undefined) throw this.#ended;
  }

  /**
   * Writes nothing more after the batch in flight, and reports nothing more; pending `flush` calls reject with `error`.
   */
  async end(error: Error = new ClosedError({ what: this.#options.store.path })): Promise<void> {
    this.#ended ??= error;
    this.#cancelTimer();
    await this.#writing;
  }

  #schedule(): void {
    if (this.#ended !== undefined || this.#timer !== undefined || this.#writing !== undefined) return;
    if (this.#handedOver === this.#changes) return;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, limits.cacheWriteDelayMs);
  }

  /** Never rejects. */
  #write(): Promise<void> {
    this.#cancelTimer();
    this.#handedOver = this.#changes;
    this.#writing = this.#writeBatch(this.#options.take());
    return this.#writing;
  }

  async #writeBatch(changes: readonly StoreChange[]): Promise<void> {
    const { store, wrote, lost } = this.#options;
    try {
      await store.batch(changes);
      this.#writing = undefined;
      wrote();
    } catch (error) {
      this.#writing = undefined;
      if (this.#ended !== undefined) return;
      this.#ended = error instanceof WriteInDoubtError ? error : new WriteInDoubtError({ folder: store.path }, error);
      lost(error);
    }
    this.#schedule();
  }

  #cancelTimer(): void {
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
