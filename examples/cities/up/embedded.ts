import process from "node:process";
import { type CommandError, failureOf } from "../../../cli/failure.js";
import { partError } from "./part-error.js";
import type { Ending, Running } from "./running.js";

/** What was opened, until it is closed. */
export interface Opened {
  close(): Promise<void> | void;
}

export interface EmbeddedOptions {
  readonly name: string;
  /** Opens it; `fail` is called if it has to end by itself later. What it waits for is not waited for when `signal` aborts. */
  readonly open: (fail: (error: unknown) => void, signal: AbortSignal) => Promise<Opened>;
}

/** Something of ours inside this process, which ends with it. It sleeps by being closed, and is opened again to wake. */
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
  #tellEnd!: (ending: Ending) => void;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => (this.#tellEnd = resolve));
    this.#opening = this.#open();
    this.ready = new Promise((resolve, reject) => {
      this.#giveUp = reject;
      this.#opening.then(() => resolve(), reject);
    });
    // Whoever waits for it gets the error; nobody has to.
    this.ready.catch(() => undefined);
  }

  callOff(): void {
    this.#calledOff.abort(this.#failure("was told to end before it was ready"));
  }

  stop(): Promise<Ending> {
    return this.#end("closed");
  }

  /** What is being opened cannot be stopped half way: it is closed once it is open. */
  kill(): void {
    this.callOff();
    this.#giveUp(this.#failure("was told to end before it was ready"));
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
      this.#tellEnd(ending);
    }
    return ending;
  }

  #failure(what: string): CommandError {
    return partError(this.#options.name, what);
  }
}
