import type { Clock, Tid } from "../../../core/index.js";

/**
 * An answer of the server that the cache has not reached yet. The request was sent at `sentAt`; the server's position
 * was `tid`, or later.
 */
interface PendingAnswer {
  readonly tid: Tid;
  readonly sentAt: number;
}

/**
 * The moment as of which a cache is known to hold everything that its server had.
 *
 * Only the answer to a request proves it, for the moment at which the request was sent. A heartbeat may be delayed for
 * any time, and proves nothing about the age of a snapshot.
 */
export class Freshness {
  readonly #clock: Clock;
  #currentAt: number | undefined;
  #pending: PendingAnswer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since the cache was last known to hold everything that the server had; Infinity if it never was. */
  get staleMs(): number {
    return this.#currentAt === undefined ? Infinity : this.#clock.monotonic() - this.#currentAt;
  }

  /**
   * The server answered the request that was sent at `sentAt`: its position was `tid`, or later. The cache is at
   * `reached`.
   */
  answered(tid: Tid, sentAt: number, reached: Tid): void {
    if (this.#pending === undefined || sentAt > this.#pending.sentAt) this.#pending = { tid, sentAt };
    this.moved(reached);
  }

  /** The cache is at `reached`. */
  moved(reached: Tid): void {
    if (this.#pending === undefined || reached < this.#pending.tid) return;
    this.current(this.#pending.sentAt);
    this.#pending = undefined;
  }

  /** The cache holds everything that the server had at `moment`. */
  current(moment: number): void {
    if (this.#currentAt === undefined || moment > this.#currentAt) this.#currentAt = moment;
  }

  /** Forgets an answer of a server that is no longer linked. */
  forgetAnswer(): void {
    this.#pending = undefined;
  }
}
