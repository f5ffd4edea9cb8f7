import { Pace } from "../../core/pace.js";
import type { Transport } from "../../transport/transport.js";
import { type Clock, limits, type Log } from "../../core/index.js";

/**
 * The pace of a sender of much that is in no hurry. Between two of its steps others run, and what others send waits for no more than about
 * `limits.pacedBytesInAirMax` of it on the way to the broker. The pace goes on from one piece of work to the next: what is asked for bit by
 * bit is as much work as what is asked for at once.
 */
export class PacedSending {
  readonly #transport: Transport;
  readonly #log: Log;
  readonly #pace: Pace;
  #inAirBytes = 0;

  constructor({ transport, clock, log }: { readonly transport: Transport; readonly clock: Clock; readonly log: Log }) {
    this.#transport = transport;
    this.#log = log;
    this.#pace = new Pace(clock);
  }

  /** To be called after each message: the next one may be sent when it resolves, or at once when it returns undefined. */
  sent(bytes: number): Promise<void> | undefined {
    this.#inAirBytes += bytes;
    if (this.#inAirBytes >= limits.pacedBytesInAirMax) return this.#flushed();
    return this.#pace.isOver ? this.#pace.rest() : undefined;
  }

  async #flushed(): Promise<void> {
    this.#inAirBytes = 0;
    // Without a link nothing arrives, and who waits for it asks again.
    await this.#transport.flush().catch((error: unknown) => this.#log.debug({ err: error }, "paced messages could not be sent"));
    if (this.#pace.isOver) await this.#pace.rest();
  }
}
