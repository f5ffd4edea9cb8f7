import { Pace } from "../../core/pace.js";
import type { Transport } from "../../transport/transport.js";
import { limits, type Log, type Seams } from "../../core/index.js";

/**
 * Paces a sender of many messages that are not urgent. Other work runs between two of its steps, and other messages
 * wait for at most about `limits.pacedBytesInAirMax` of its bytes on the way to the broker. The pace continues from one
 * piece of work to the next: many small requests are as much work as one large request.
 */
export class PacedSending {
  readonly #transport: Transport;
  readonly #log: Log;
  readonly #pace: Pace;
  #inAirBytes = 0;

  constructor({ transport, clock, log }: { readonly transport: Transport } & Pick<Seams, "clock" | "log">) {
    this.#transport = transport;
    this.#log = log;
    this.#pace = new Pace(clock);
  }

  /**
   * Call this after each message. The next one may be sent when the promise resolves, or at once if it returns
   * undefined.
   */
  sent(bytes: number): Promise<void> | undefined {
    this.#inAirBytes += bytes;
    if (this.#inAirBytes >= limits.pacedBytesInAirMax) return this.#flushed();
    return this.#pace.isOver ? this.#pace.rest() : undefined;
  }

  async #flushed(): Promise<void> {
    this.#inAirBytes = 0;
    // Without a link nothing arrives, and the process that waits for the messages asks again.
    await this.#transport.flush().catch((error: unknown) => this.#log.debug({ err: error }, "paced messages could not be sent"));
    if (this.#pace.isOver) await this.#pace.rest();
  }
}
