import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import type { Measured, ProbeAnswer, ProbeAsk } from "./probe.js";

/** Time within which a process must close. */
const closeMsMax = 15_000;
/** Time within which a process with a live event loop answers the probe, even on a busy machine. */
const answerMsMax = 30_000;
/** Levels of pino. */
const warnLevel = 40;
const errorLevel = 50;

export interface Program {
  readonly name: string;
  /** Folder of the built programs. */
  readonly folder: string;
  readonly file: string;
  readonly args: readonly string[];
}

/** Reports of a process to the driver. */
export interface ProcessEvents {
  /** A log record of level `warn` or above, without its facts. */
  readonly logged: (text: string) => void;
  readonly wrong: (text: string) => void;
  /** A message of the program itself, not of the probe. */
  readonly heard?: ((message: { readonly type: string }, answer: (message: object) => void) => void) | undefined;
}

/** A JSON object that a program printed. */
type Line = Readonly<Record<string, unknown>>;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * A program of the soak in a process of its own. Each of its output lines must be JSON. An unrequested end, an exit
 * code other than 0, or any other output is reported as wrong.
 */
export class WatchedProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #events: ProcessEvents;
  readonly #asked = new Map<number, (answer: object | undefined) => void>();
  #asks = 0;
  #ready: Line | undefined;
  #isToEnd = false;

  private constructor({ name, folder, file, args }: Program, events: ProcessEvents) {
    this.name = name;
    this.#events = events;
    this.#child = fork(join(folder, file), args, {
      execArgv: ["--expose-gc", "--import", pathToFileURL(join(folder, "probe.js")).href],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      // The driver alone gets Ctrl-C, and then ends its processes in order.
      detached: true,
    });
    running.add(this.#child);
    this.#child.on("message", (message: ProbeAnswer | { readonly type: string; readonly number: number }) => this.#hear(message));
    this.#child.once("exit", (code, signal) => {
      running.delete(this.#child);
      if (!this.#isToEnd) events.wrong(`${name} ended by itself with ${signal ?? code}`);
      for (const settle of this.#asked.values()) settle(undefined);
    });
  }

  /** Resolves when the program has printed its first line with an `event`; rejects when the program ends before. */
  static async start(program: Program, events: ProcessEvents): Promise<WatchedProcess> {
    const started = new WatchedProcess(program, events);
    await new Promise<void>((resolve, reject) => {
      started.#child.once("exit", (code, signal) => reject(new Error(`${program.name} did not start: ${signal ?? code}`)));
      const ready = (line: Line) => {
        started.#ready ??= line;
        resolve();
      };
      started.#read(started.#child.stdout, ready);
      started.#read(started.#child.stderr, ready);
    });
    return started;
  }

  /** The line that the program printed when it was ready. */
  get ready(): Line {
    return this.#ready ?? {};
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Undefined when the process ends. */
  measure(): Promise<Measured | undefined> {
    return this.#probe({ type: "measure" });
  }

  /** Writes a heap snapshot into `file`. */
  async snapshot(file: string): Promise<void> {
    await this.#probe({ type: "snapshot", file });
  }

  /** Sends a request to the program itself. Undefined when the process ends. */
  ask<Answer extends object>(question: object): Promise<Answer | undefined> {
    const number = ++this.#asks;
    return new Promise((resolve) => {
      if (this.#hasEnded) return resolve(undefined);
      this.#asked.set(number, (answer) => {
        this.#asked.delete(number);
        resolve(answer as Answer | undefined);
      });
      this.#child.send({ ...question, number }, () => undefined);
    });
  }

  /**
   * Ends the process by SIGTERM, as supervisors do. A process that does not end, or ends with a code other than 0, is
   * reported as wrong.
   */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== 0) this.#events.wrong(`${this.name} ended with ${signalCode ?? exitCode} after SIGTERM`);
  }

  /** Ends it as `kill -9` does. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#isToEnd = true;
    if (this.#hasEnded) return;
    const ended = once(this.#child, "exit");
    this.#child.kill(signal);
    const timer = setTimeout(() => {
      this.#events.wrong(`${this.name} had not ended ${closeMsMax / 1_000} s after ${signal}`);
      this.#child.kill("SIGKILL");
    }, closeMsMax);
    await ended;
    clearTimeout(timer);
  }

  async #probe(ask: { readonly type: "measure" } | { readonly type: "snapshot"; readonly file: string }): Promise<Measured | undefined> {
    const timer = setTimeout(() => this.#events.wrong(`${this.name} did not answer within ${answerMsMax / 1_000} s`), answerMsMax);
    const answer = await this.ask<ProbeAnswer>(ask satisfies Omit<ProbeAsk, "number">);
    clearTimeout(timer);
    return answer?.measured;
  }

  #hear(message: { readonly type: string; readonly number: number }): void {
    if (message.type === "probed" || message.type === "answer") this.#asked.get(message.number)?.(message);
    else this.#events.heard?.(message, (answer) => this.#child.send(answer, () => undefined));
  }

  #read(output: Readable | null, ready: (line: Line) => void): void {
    if (output === null) return;
    createInterface({ input: output }).on("line", (text) => {
      const line = objectOf(text);
      if (line === undefined) this.#events.wrong(`${this.name} wrote: ${text}`);
      else if (typeof line["event"] === "string") ready(line);
      else this.#logged(line, text);
    });
  }

  #logged({ level, msg }: Line, text: string): void {
    if (typeof level !== "number" || level < warnLevel) return;
    this.#events.logged(`${this.name}: ${level >= errorLevel ? "error: " : ""}${String(msg)}`);
    if (level >= errorLevel) this.#events.wrong(`${this.name} logged an error: ${text}`);
  }
}

function objectOf(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}
