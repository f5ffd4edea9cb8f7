import { type Clock, limits, type Log } from "../core/index.js";

/**
 * A warning whose cause any client may repeat at any rate: it is logged at most once per `limits.repeatedWarningMs`,
 * with the number of times it occurred since.
 */
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
