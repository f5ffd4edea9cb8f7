import type { Clock } from "./clock.js";
import { ZooidError } from "./errors.js";
import { limits } from "./limits.js";
import type { Log } from "./log.js";

export interface WaitingNoticeOptions {
  readonly clock: Clock;
  /** Undefined: the user passed none. The notice is then a warning of the process, once for each text. */
  readonly log: Log | undefined;
  /** Constant text that names the waiting part and what it waits for. */
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
  /** Problem that keeps the part waiting; undefined: it no longer waits. */
  readonly problem: () => Error | undefined;
}

/**
 * Logs the problem that keeps a part of this process waiting after its start: first after limits.waitingNoticeAfterMs,
 * then every limits.waitingNoticeIntervalMs, until the part no longer waits or `end` is called. An operator who starts
 * parts in any order sees at once which one is missing.
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
