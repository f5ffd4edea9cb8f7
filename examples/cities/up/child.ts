import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../../core/index.js";
import { CommandError } from "../../../cli/failure.js";
import { partError } from "./part-error.js";
import type { Ending, Running } from "./running.js";

/** A process that has not closed within this time is killed. */
const stopTimeoutMs = 10_000;
/** A process that has not printed its ready line within this time is killed. */
const readyTimeoutMs = 30_000;

export interface ChildOptions {
  readonly name: string;
  /** A module to run with this Node, or a command. */
  readonly run: { readonly module: URL } | { readonly command: string };
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Standard error is appended to this file. */
  readonly logFile: string;
  /** Recognizes the line, on either output, that says that the process is ready. */
  readonly isReady: (line: string) => boolean;
  readonly clock: Clock;
}

/**
 * A child process. It has its own process group, so that Ctrl-C at the terminal reaches only this process, which stops
 * its children in order. A parent watchdog ends it when this process is gone.
 */
export class Child implements Running {
  readonly name: string;
  readonly pid: number;
  readonly ended: Promise<Ending>;
  /** The ready line. Rejects when the process ends before it, or takes too long. */
  readonly ready: Promise<string>;
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #clock: Clock;

  constructor(options: ChildOptions) {
    const parentWatchdog = new URL("./parent-watchdog.js", import.meta.url);
    const [command, flags] =
      "module" in options.run
        ? [process.execPath, [...process.execArgv, "--import", parentWatchdog.href, fileURLToPath(options.run.module), ...options.flags]]
        : [process.execPath, [...process.execArgv, fileURLToPath(parentWatchdog), options.run.command, ...options.flags]];
    this.name = options.name;
    this.#clock = options.clock;
    this.#process = spawn(command, flags, {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      env: { ...process.env, ...options.env },
    });
    this.pid = this.#process.pid ?? 0;
    // Without this listener, writing to a child that has ended would end this process with EPIPE.
    this.#process.stdin.on("error", () => undefined);
    this.ended = new Promise((resolve) => {
      this.#process.once("error", ({ message }) => resolve({ how: message, wasKilled: false }));
      this.#process.once("close", (code, signal) => resolve({ how: signal ?? `exit code ${code}`, wasKilled: signal === "SIGKILL" }));
    });
    this.ready = this.#watch(options);
    // Prevents an unhandled rejection when no caller awaits `ready`.
    this.ready.catch(() => undefined);
  }

  /** Does nothing: the signal of `stop` calls off the start, too. */
  callOff(): void {}

  /** Sends SIGTERM, kills the process after a time-out, and resolves when it is gone. */
  async stop(): Promise<Ending> {
    const timer = this.#clock.setTimeout(() => this.kill(), stopTimeoutMs);
    this.#process.kill("SIGCONT");
    this.#process.kill("SIGTERM");
    const ending = await this.ended;
    this.#clock.clearTimeout(timer);
    return ending;
  }

  /** Kills the process and its children at once. */
  kill(): void {
    // A process that failed to start has no id; group 0 would be this process's own.
    if (this.pid === 0) return;
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  }

  /** Suspends the whole process, with its heartbeats. */
  async sleep(): Promise<void> {
    this.#process.kill("SIGSTOP");
  }

  async wake(): Promise<void> {
    this.#process.kill("SIGCONT");
  }

  #watch({ logFile, isReady }: ChildOptions): Promise<string> {
    const log = createWriteStream(logFile, { flags: "a", mode: 0o600 });
    // A full disk must not end this process; it goes on without the log.
    log.on("error", () => undefined);
    let lastError = "";
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimeout(() => {
        reject(this.#failure(`is not ready after ${readyTimeoutMs / 1_000} s`, lastError));
        this.kill();
      }, readyTimeoutMs);
      const take = (line: string) => {
        if (!isReady(line)) return;
        this.#clock.clearTimeout(timer);
        resolve(line);
      };
      createInterface({ input: this.#process.stdout }).on("line", take);
      createInterface({ input: this.#process.stderr }).on("line", (line) => {
        log.write(`${line}\n`);
        // An error with a code stays the last error, also when other lines follow it.
        if (isMessage(line) && (saidIn(line).code !== undefined || saidIn(lastError).code === undefined)) lastError = line;
        take(line);
      });
      void this.ended.then(({ how }) => {
        this.#clock.clearTimeout(timer);
        log.end();
        reject(this.#failure(`ended with ${how}`, lastError));
      });
    });
  }

  #failure(what: string, lastError: string): CommandError {
    const { message, code } = saidIn(lastError);
    return partError(this.name, message === "" ? what : `${what}: ${message}`, code);
  }
}

/** Message and code in a line of a log or of an error. */
function saidIn(line: string): { readonly message: string; readonly code?: string } {
  try {
    const json = JSON.parse(line) as { event?: string; address?: string; error?: { message?: string; code?: string }; msg?: string };
    if (json.event === "waiting") return { message: `it waits for a broker at ${json.address}` };
    const { message, code } = json.error ?? {};
    return message === undefined ? { message: json.msg ?? line } : { message, ...(code === undefined ? {} : { code }) };
  } catch {
    return { message: line.trim() };
  }
}

/** False for the lines of a stack, and for the lines that Node prints after a stack. */
function isMessage(line: string): boolean {
  return /^\S/.test(line) && !/^(?:}|Node\.js v)/.test(line);
}
