import process from "node:process";
import { type CommandError, failureOf } from "../../../cli/failure.js";
import { partError } from "./part-error.js";
import type { Ending, Running } from "./running.js";

/** An open part. */
export interface Opened {
  close(): Promise<void> | void;
}

const endedEarly = "was stopped before it was ready";

export interface EmbeddedOptions {
  readonly name: string;
  /** Opens it. Calls `fail` if it later ends by itself. Stops waiting when `signal` aborts. */
  readonly open: (fail: (error: unknown) => void, signal: AbortSignal) => Promise<Opened>;
}

/** A part inside this process, which ends with the process. `sleep` closes it, `wake` opens it again. */
export class Embedded implements Running {
  readonly pid = process.pid;
  readonly ready: Promise<void>;
  readonly ended: Promise<Ending>;
  readonly #options: EmbeddedOptions;
  readonly #calledOff = new AbortController();
  /** Undefined while it sleeps. */
  #opening: Promise<Opened | undefined>;
  #stopping: Promise<Ending> | undefined;
  #giveUp!: (reason: Error) => void;
  #resolveEnded!: (ending: Ending) => void;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.#opening = this.#open();
    this.ready = new Promise((resolve, reject) => {
      this.#giveUp = reject;
      this.#opening.then(() => resolve(), reject);
    });
    // Prevents an unhandled rejection when no caller awaits `ready`.
    this.ready.catch(() => undefined);
  }

  callOff(): void {
    this.#calledOff.abort(this.#failure(endedEarly));
  }

  stop(): Promise<Ending> {
    return this.#end("closed");
  }

  /** An opening cannot be stopped half way: the part is closed once it is open. */
  kill(): void {
    this.callOff();
    this.#giveUp(this.#failure(endedEarly));
    this.stop().catch(() => undefined);
  }

  async sleep(): Promise<void> {
    const opened = await this.#opening;
    this.#opening = Promise.resolve(undefined);
    await opened?.close();
  }

  async wake(): Promise<void> {
    this.#opening = this.#open();
    await this.#opening;
  }

  async #open(): Promise<Opened> {
    try {
      return await this.#options.open((error) => void this.#end(failureOf(error).message).catch(() => undefined), this.#calledOff.signal);
    } catch (error) {
      const { code, message } = failureOf(error);
      throw partError(this.#options.name, `cannot be started: ${message}`, code, error);
    }
  }

  #end(how: string): Promise<Ending> {
    this.#stopping ??= this.#close({ how, wasKilled: false });
    return this.#stopping;
  }

  async #close(ending: Ending): Promise<Ending> {
    const opened = await this.#opening.catch(() => undefined);
    try {
      await opened?.close();
    } finally {
      this.#resolveEnded(ending);
    }
    return ending;
  }

  #failure(what: string): CommandError {
    return partError(this.#options.name, what);
  }
}
