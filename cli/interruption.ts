/** The signals that end a command. */
import { type CommandError, Interrupted } from "./failure.js";

/** What closes does so within this: less than the 30 s that supervisors give a process before they kill it. */
const closeTimeoutMs = 25_000;

export interface InterruptionOptions {
  readonly say: (line: string) => void;
  /** Called with what would have ended a command that has closed. */
  readonly late: (why: Interrupted | CommandError) => void;
  readonly closeTimeoutMs?: number;
}

/** Ends a command once, whatever asks for it first. What does not close within `closeTimeoutMs` of a signal ends as it is. */
export class Interruption {
  readonly #controller = new AbortController();
  #overdue: NodeJS.Timeout | undefined;
  readonly #late: InterruptionOptions["late"];
  #isClosed = false;

  /** Listens to SIGINT, SIGTERM and SIGHUP of this process: the first of each. A second one ends the process as it would any other. */
  constructor({ say, late, closeTimeoutMs: timeoutMs = closeTimeoutMs }: InterruptionOptions) {
    this.#late = late;
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(name, () => {
        const why = new Interrupted(name);
        this.#overdue ??= setTimeout(() => {
          say(`zooid: not closed ${timeoutMs / 1_000} s after ${name}: it ends as it is`);
          process.exit(why.exitCode);
        }, timeoutMs);
        // What is left to do, such as to write the last lines, keeps the process. The bound does not.
        if (this.#isClosed) this.#overdue.unref();
        this.interrupt(why);
      });
    }
  }

  /** Aborts with what ended the command. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  interrupt(why: Interrupted | CommandError): void {
    this.#controller.abort(why);
    // What was written last may fail after the command has ended.
    if (this.#isClosed) this.#late(why);
  }

  /** The command has closed: it is no longer overdue. */
  closed(): void {
    this.#isClosed = true;
    clearTimeout(this.#overdue);
  }
}
