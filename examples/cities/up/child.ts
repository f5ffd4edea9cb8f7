import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../../core/index.js";
import { CommandError } from "../../../cli/failure.js";
import { partError } from "./part-error.js";
import type { Ending, Running } from "./running.js";

/** Time a process has to close properly before it is killed. */
const stopTimeoutMs = 10_000;
/** Time a process has to tell that it is ready. */
const readyTimeoutMs = 30_000;

export interface ChildOptions {
  readonly name: string;
  /** A module to run with this Node, or a command. */
  readonly run: { readonly module: URL } | { readonly command: string };
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Standard error is appended to this file. */
  readonly logFile: string;
  /** The first line, of either output, with which it says that it takes work. */
  readonly isReady: (line: string) => boolean;
  readonly clock: Clock;
}

/**
 * A process of ours, in a process group of its own so that Ctrl-C at the terminal does not reach it before we do, and on a
 * parent watchdog: it ends when this process is gone.
 */
export class Child implements Running {
  readonly name: string;
  readonly pid: number;
  readonly ended: Promise<Ending>;
  /** The line that told that it is ready. Rejects when it ends before, or is silent for too long. */
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
    // Without this a child that is gone would end us with EPIPE.
    this.#process.stdin.on("error", () => undefined);
    this.ended = new Promise((resolve) => {
      this.#process.once("error", ({ message }) => resolve({ how: message, wasKilled: false }));
      this.#process.once("close", (code, signal) => resolve({ how: signal ?? `exit code ${code}`, wasKilled: signal === "SIGKILL" }));
    });
    this.ready = this.#watch(options);
    // Whoever waits for it gets the error; nobody has to.
    this.ready.catch(() => undefined);
  }

  /** The signal that asks it to close does. */
  callOff(): void {}

  /** Asks it to close, kills it when it does not in time, and resolves when it is gone. */
  async stop(): Promise<Ending> {
    const timer = this.#clock.setTimeout(() => this.kill(), stopTimeoutMs);
    this.#process.kill("SIGCONT");
    this.#process.kill("SIGTERM");
    const ending = await this.ended;
    this.#clock.clearTimeout(timer);
    return ending;
  }

  /** Kills it, and all it started, at once. */
  kill(): void {
    // One that could not be started has no process; group 0 would be our own.
    if (this.pid === 0) return;
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  }

  /** As a whole: even its heartbeats stop. */
  async sleep(): Promise<void> {
    this.#process.kill("SIGSTOP");
  }

  async wake(): Promise<void> {
    this.#process.kill("SIGCONT");
  }

  #watch({ logFile, isReady }: ChildOptions): Promise<string> {
    const log = createWriteStream(logFile, { flags: "a", mode: 0o600 });
    // A full disk must not end us: the log is what we can do without.
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
        // An error with a code is the last word of a command, whatever is logged after it.
        if (isTelling(line) && (saidIn(line).code !== undefined || saidIn(lastError).code === undefined)) lastError = line;
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

/** What a line of a log or of an error says. */
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

/** Lines of a stack, and what Node says below it, tell less than the line above them. */
function isTelling(line: string): boolean {
  return /^\S/.test(line) && !/^(?:}|Node\.js v)/.test(line);
}
