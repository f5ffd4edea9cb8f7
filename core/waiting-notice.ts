import type { Clock } from "./clock.js";
import { ZooidError } from "./errors.js";
import { limits } from "./limits.js";
import type { Log } from "./log.js";

export interface WaitingNoticeOptions {
  readonly clock: Clock;
  /** Undefined: the user gave none. What is said is a warning of the process then, once for each text. */
  readonly log: Log | undefined;
  /** What waits for what: a constant text. */
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
  /** What keeps it waiting; undefined: it does not wait any more. */
  readonly problem: () => Error | undefined;
}

/**
 * Says what keeps a part of this process waiting since its start: first after limits.waitingNoticeAfterMs, then at each
 * limits.waitingNoticeIntervalMs, until it waits no more or `end` is called. Who starts parts in any order sees at once which of them is missing.
 */
export class WaitingNotice {
  readonly #options: WaitingNoticeOptions;
  readonly #warned = new Set<string>();
  #timer: unknown;

  constructor(options: WaitingNoticeOptions) {
    this.#options = options;
    this.#sayIn(limits.waitingNoticeAfterMs);
  }

  end(): void {
    this.#options.clock.clearTimeout(this.#timer);
  }

  #sayIn(delayMs: number): void {
    this.#timer = this.#options.clock.setTimeout(() => {
      const problem = this.#options.problem();
      if (problem === undefined) return;
      this.#say(problem);
      this.#sayIn(limits.waitingNoticeIntervalMs);
    }, delayMs);
  }

  #say(problem: Error): void {
    const { log, message, facts } = this.#options;
    if (log !== undefined) {
      log.warn({ ...facts, err: problem }, message);
      return;
    }
    const text = `${message}: ${problem.message}`;
    if (this.#warned.has(text)) return;
    this.#warned.add(text);
    process.emitWarning(text, { type: "ZooidWarning", ...(problem instanceof ZooidError ? { code: problem.code } : {}) });
  }
}
