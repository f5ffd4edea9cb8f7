import type { Log } from "../../core/index.js";

/**
 * Receives durations in milliseconds, at the end of each operation. A duration that no observer takes is not measured:
 * a hit costs less than reading a clock. An error that an observer throws is logged and stops nothing.
 */
export interface CacheObserver {
  /** A function ran, and returned or failed. */
  readonly computed?: (durationMs: number, hasFailed: boolean) => void;
  /** The attempt to keep a result ended, whether it was kept or not. */
  readonly kept?: (durationMs: number) => void;
  /** A look-up of a result in this process ended. Called at each hit, too. */
  readonly lookedUp?: (durationMs: number) => void;
}

/** All observers of one cache behind one interface. */
export class CacheObservers {
  readonly #observers = new Set<CacheObserver>();
  readonly #log: Log;
  /** Whether an observer takes the durations of computations, of keeping, of look-ups. */
  computes = false;
  keeps = false;
  looksUp = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Notifies `observer` from now on, until the returned function is called. */
  addObserver(observer: CacheObserver): () => void {
    this.#observers.add(observer);
    this.#note();
    return () => {
      this.#observers.delete(observer);
      this.#note();
    };
  }

  computed(durationMs: number, hasFailed: boolean): void {
    this.#notify((observer) => observer.computed?.(durationMs, hasFailed));
  }

  kept(durationMs: number): void {
    this.#notify((observer) => observer.kept?.(durationMs));
  }

  lookedUp(durationMs: number): void {
    this.#notify((observer) => observer.lookedUp?.(durationMs));
  }

  #notify(one: (observer: CacheObserver) => void): void {
    for (const observer of this.#observers) {
      try {
        one(observer);
      } catch (error) {
        this.#log.warn({ err: error }, "an observer of the cache threw");
      }
    }
  }

  #note(): void {
    const observers = [...this.#observers];
    this.computes = observers.some(({ computed }) => computed !== undefined);
    this.keeps = observers.some(({ kept }) => kept !== undefined);
    this.looksUp = observers.some(({ lookedUp }) => lookedUp !== undefined);
  }
}
