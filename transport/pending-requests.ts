import { assert, type Clock, InvalidOptionError, onAbort, TimeoutError } from "../core/index.js";
import type { RequestOptions } from "./transport.js";

interface PendingRequest<Reply> {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (reason: unknown) => void;
  readonly subject: string;
  readonly timeoutMs: number;
  /** On the monotonic clock. */
  readonly deadline: number;
  readonly stopListening: (() => void) | undefined;
}

/**
 * Requests of one transport that wait for their reply, by number. Each ends once: with a reply, a time-out, an abort or
 * a failure. One timer serves all time-outs: it is set for the earliest known deadline and looks for the next one when
 * it fires, so a request that is answered in time costs no timer.
 */
export class PendingRequests<Reply = Uint8Array> {
  readonly #clock: Clock;
  readonly #pending = new Map<number, PendingRequest<Reply>>();
  readonly #ended: (id: number) => void;
  #lastId = 0;
  #timer: unknown = undefined;
  #timerAt = Infinity;

  /** `ended` is called with each request that ends without a reply. */
  constructor(clock: Clock, ended: (id: number) => void = () => undefined) {
    this.#clock = clock;
    this.#ended = ended;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** The subject of a request; undefined if the request has ended. */
  subjectOf(id: number): string | undefined {
    return this.#pending.get(id)?.subject;
  }

  /**
   * Calls `send` with the number of a new request; the promise resolves to its reply. An error that `send` throws
   * rejects it.
   */
  open(subject: string, options: RequestOptions, send: (id: number) => void): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const { signal, timeoutMs } = options;
      if (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs))
        throw new InvalidOptionError({ option: "timeoutMs", reason: "is not a number" });
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const id = ++this.#lastId;
      const deadline = this.#clock.monotonic() + timeoutMs;
      const stopListening = signal && onAbort(signal, () => this.fail(id, signal.reason));
      this.#pending.set(id, { resolve, reject, subject, timeoutMs, deadline, stopListening });
      if (deadline < this.#timerAt) this.#wakeAt(deadline);
      try {
        send(id);
      } catch (error) {
        this.fail(id, error);
      }
    });
  }

  /** Returns false if the request has ended. */
  resolve(id: number, reply: Reply): boolean {
    const pending = this.#take(id);
    pending?.resolve(reply);
    return pending !== undefined;
  }

  fail(id: number, reason: unknown): void {
    const pending = this.#take(id);
    if (pending === undefined) return;
    this.#ended(id);
    pending.reject(reason);
  }

  /** Fails the requests that were sent to `subject`. */
  failSubject(subject: string, reason: unknown): void {
    for (const [id, pending] of this.#pending) if (pending.subject === subject) this.fail(id, reason);
  }

  /** Fails all requests that wait now, and stops the timer. */
  failAll(reason: unknown): void {
    for (const id of this.#pending.keys()) this.fail(id, reason);
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  #take(id: number): PendingRequest<Reply> | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.stopListening?.();
    return pending;
  }

  #wakeAt(moment: number): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timerAt = moment;
    this.#timer = this.#clock.setTimeout(() => this.#sweep(), Math.max(0, Math.ceil(moment - this.#clock.monotonic())));
  }

  #sweep(): void {
    assert(this.#timer !== undefined, "a sweep comes from its timer");
    this.#timer = undefined;
    this.#timerAt = Infinity;
    const now = this.#clock.monotonic();
    let earliest = Infinity;
    for (const [id, pending] of this.#pending) {
      if (pending.deadline <= now) this.fail(id, new TimeoutError({ what: `request to ${pending.subject}`, timeoutMs: pending.timeoutMs }));
      else if (pending.deadline < earliest) earliest = pending.deadline;
    }
    if (earliest < this.#timerAt) this.#wakeAt(earliest);
  }
}
