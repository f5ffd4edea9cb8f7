import type { Writable } from "node:stream";
import { Interrupted } from "./failure.js";

/**
 * Lines on standard output, at the pace of who reads them. A reader that goes away (`| head`) interrupts the command
 * through `onGone`; lines written after that are dropped.
 */
export class Output {
  readonly #stream: Writable;
  #gone = false;
  /** Who waits for room. */
  #waiting: (() => void)[] = [];

  constructor(stream: Writable, onGone: (why: Interrupted) => void) {
    this.#stream = stream;
    const goOn = () => {
      for (const resolve of this.#waiting.splice(0)) resolve();
    };
    stream.on("drain", goOn);
    stream.on("close", goOn);
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      this.#gone = true;
      goOn();
      onGone(new Interrupted("SIGPIPE"));
    });
  }

  /** Resolves when there is room for more. */
  async line(text: string): Promise<void> {
    if (this.#gone || this.#stream.write(`${text}\n`)) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** One JSON object a line. */
  async json(value: unknown, replacer?: (name: string, part: unknown) => unknown): Promise<void> {
    await this.line(JSON.stringify(value, replacer));
  }
}
