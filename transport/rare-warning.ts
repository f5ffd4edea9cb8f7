import { type Clock, limits, type Log } from "../core/index.js";

/** A warning about what anybody may cause, however often: it is logged once in a while, with how often it came since. */
export class RareWarning {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #message: string;
  #dueMs = -Infinity;
  #count = 0;

  constructor(clock: Clock, log: Log, message: string) {
    this.#clock = clock;
    this.#log = log;
    this.#message = message;
  }

  warn(facts: Readonly<Record<string, unknown>>): void {
    this.#count++;
    const nowMs = this.#clock.monotonic();
    if (nowMs < this.#dueMs) return;
    this.#log.warn({ ...facts, count: this.#count }, this.#message);
    this.#dueMs = nowMs + limits.repeatedWarningMs;
    this.#count = 0;
  }
}
