import type { Log } from "../../core/index.js";

/**
 * Is told how long things took, in milliseconds, as they end. What nobody observes is not measured: a hit costs less than reading a clock does.
 * What an observer throws is logged, and stops nothing.
 */
export interface CacheObserver {
  /** A function was run, and returned or failed. */
  readonly computed?: (durationMs: number, hasFailed: boolean) => void;
  /** A result was kept, or was found not to be. */
  readonly kept?: (durationMs: number) => void;
  /** It was looked whether a result is kept in this process. This one is told at each hit, too. */
  readonly lookedUp?: (durationMs: number) => void;
}

/** Observers of one cache as one. */
export class CacheObservers {
  readonly #observers = new Set<CacheObserver>();
  readonly #log: Log;
  /** Somebody wants to know how long it takes. */
  computes = false;
  keeps = false;
  looksUp = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Tells `observer` from now on, until what this gives is called. */
  addObserver(observer: CacheObserver): () => void {
    this.#observers.add(observer);
    this.#note();
    return () => {
      this.#observers.delete(observer);
      this.#note();
    };
  }

  computed(durationMs: number, hasFailed: boolean): void {
    this.#tell((observer) => observer.computed?.(durationMs, hasFailed));
  }

  kept(durationMs: number): void {
    this.#tell((observer) => observer.kept?.(durationMs));
  }

  lookedUp(durationMs: number): void {
    this.#tell((observer) => observer.lookedUp?.(durationMs));
  }

  #tell(one: (observer: CacheObserver) => void): void {
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
