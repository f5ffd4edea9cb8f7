import type { Writable } from "node:stream";
import { CommandError, Interrupted } from "./failure.js";
import { printableLines } from "./printable.js";

/**
 * Lines on standard output, at the pace of their reader. When the reader is gone (`| head`) or the disk is full, it
 * calls `onGone`, which ends the command, and drops the lines that follow.
 */
export class Output {
  readonly #stream: Writable;
  #gone = false;
  /** Resolve the promises of `line` that wait for room. */
  #waiting: (() => void)[] = [];

  constructor(stream: Writable, onGone: (why: Interrupted | CommandError) => void) {
    this.#stream = stream;
    const goOn = () => {
      for (const resolve of this.#waiting.splice(0)) resolve();
    };
    stream.on("drain", goOn);
    stream.on("close", goOn);
    stream.on("error", (error: NodeJS.ErrnoException) => {
      this.#gone = true;
      goOn();
      const reason = error.code ?? error.message;
      const isReaderGone = error.code === "EPIPE";
      onGone(isReaderGone ? new Interrupted("SIGPIPE") : new CommandError("ZOOID_FILE", `standard output cannot be written: ${reason}`));
    });
  }

  /** Resolves when there is room for more. */
  async line(text: string): Promise<void> {
    if (this.#gone || this.#stream.write(`${printableLines(text)}\n`)) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** One JSON object a line. */
  async json(value: unknown, replacer?: (name: string, part: unknown) => unknown): Promise<void> {
    await this.line(JSON.stringify(value, replacer));
  }
}
