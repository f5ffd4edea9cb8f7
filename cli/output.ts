import { once } from "node:events";
import type { Writable } from "node:stream";
import { Interrupted } from "./failure.js";

/**
 * Lines on standard output, at the pace of who reads them. A reader that goes away (`| head`) interrupts the command
 * through `onGone`; lines written after that are dropped.
 */
export class Output {
  readonly #stream: Writable;
  #gone = false;
  /** Resolves when there is room again; one for all who wait. */
  #room: Promise<unknown> | undefined;

  constructor(stream: Writable, onGone: (why: Interrupted) => void) {
    this.#stream = stream;
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      this.#gone = true;
      onGone(new Interrupted("SIGPIPE"));
    });
  }

  /** Resolves when there is room for more. */
  async line(text: string): Promise<void> {
    if (this.#gone || this.#stream.write(`${text}\n`)) return;
    this.#room ??= Promise.race([once(this.#stream, "drain"), once(this.#stream, "close")])
      .catch(() => undefined)
      .finally(() => (this.#room = undefined));
    await this.#room;
  }

  /** One JSON object a line. */
  async json(value: unknown, replacer?: (name: string, part: unknown) => unknown): Promise<void> {
    await this.line(JSON.stringify(value, replacer));
  }
}
