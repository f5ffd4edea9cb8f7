import type { Clock, Tid } from "../../../core/index.js";

/** An answer that the cache has not reached: who asked at `sentAt` was told that the server stands at `tid`. */
interface Told {
  readonly tid: Tid;
  readonly sentAt: number;
}

/**
 * The moment as of which a cache is known to hold all that its server had.
 *
 * Only a round trip tells: its answer holds for the moment at which it was asked for. A heartbeat may have been under way for
 * any time, and proves nothing about how old a snapshot is.
 */
export class Freshness {
  readonly #clock: Clock;
  #currentAt: number | undefined;
  #told: Told | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since the cache was last known to hold all that the server had; Infinity when it never was. */
  get staleMs(): number {
    return this.#currentAt === undefined ? Infinity : this.#clock.monotonic() - this.#currentAt;
  }

  /** The server was at `tid` when it was asked, or later. */
  told(tid: Tid, sentAt: number, reached: Tid): void {
    if (this.#told === undefined || sentAt > this.#told.sentAt) this.#told = { tid, sentAt };
    this.moved(reached);
  }

  /** The cache stands at `reached`. */
  moved(reached: Tid): void {
    if (this.#told === undefined || reached < this.#told.tid) return;
    this.current(this.#told.sentAt);
    this.#told = undefined;
  }

  /** The cache holds all that the server had at `moment`. */
  current(moment: number): void {
    if (this.#currentAt === undefined || moment > this.#currentAt) this.#currentAt = moment;
  }

  /** What was told is of a server that is not linked any more. */
  forgetTold(): void {
    this.#told = undefined;
  }
}
