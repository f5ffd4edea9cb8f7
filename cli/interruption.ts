/** The signals that end a command. */
import { type CommandError, Interrupted } from "./failure.js";

/** Time for a command to close after a signal. Less than the 30 s that supervisors wait before they kill a process. */
const closeTimeoutMs = 25_000;

export interface InterruptionOptions {
  readonly say: (line: string) => void;
  /** Called with a reason to end that comes after the command has closed. */
  readonly late: (why: Interrupted | CommandError) => void;
  readonly closeTimeoutMs?: number;
}

/**
 * Ends a command once, for the first reason that comes. If the command has not closed `closeTimeoutMs` after a signal,
 * the process ends without waiting.
 */
export class Interruption {
  readonly #controller = new AbortController();
  #overdue: NodeJS.Timeout | undefined;
  readonly #late: InterruptionOptions["late"];
  #isClosed = false;

  /** Handles the first SIGINT, SIGTERM and SIGHUP of this process. A second one ends the process at once. */
  constructor({ say, late, closeTimeoutMs: timeoutMs = closeTimeoutMs }: InterruptionOptions) {
    this.#late = late;
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(name, () => {
        const why = new Interrupted(name);
        this.#overdue ??= setTimeout(() => {
          say(`zooid: not closed ${timeoutMs / 1_000} s after ${name}: ending without waiting`);
          process.exit(why.exitCode);
        }, timeoutMs);
        // The remaining work, such as writing the last lines, keeps the process alive. This timer must not.
        if (this.#isClosed) this.#overdue.unref();
        this.interrupt(why);
      });
    }
  }

  /** Aborts with the reason that ended the command. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  interrupt(why: Interrupted | CommandError): void {
    this.#controller.abort(why);
    // The last lines may fail to be written after the command has closed.
    if (this.#isClosed) this.#late(why);
  }

  /** Stops the time-out: the command has closed. */
  closed(): void {
    this.#isClosed = true;
    clearTimeout(this.#overdue);
  }
}
