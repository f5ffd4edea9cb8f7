import type { LoggedTransaction } from "../../core/transaction.js";
import type { Transport } from "../../transport/transport.js";
import { limits, type Log } from "../../core/index.js";
import type { Broadcast, Invalidation } from "../protocol/messages.js";
import * as wire from "../protocol/codec.js";

/** What `transaction` makes stale; its keys only when they are few enough for a message. */
export function invalidationOf({ previous, tid, digest, keys }: LoggedTransaction): Invalidation {
  return { previous, tid, digest, keyCount: keys.length, keys: keys.length > limits.invalidationKeysMax ? undefined : keys };
}

/** Tells all clients of a storage, on one subject and in one order: the cost does not grow with their number. */
export class InvalidationPublisher {
  readonly #transport: Transport;
  readonly #subject: string;
  readonly #instance: string;
  readonly #log: Log;

  constructor(deps: { readonly transport: Transport; readonly subject: string; readonly instance: string; readonly log: Log }) {
    this.#transport = deps.transport;
    this.#subject = deps.subject;
    this.#instance = deps.instance;
    this.#log = deps.log;
  }

  /** One message, or several when they would not fit; one transaction that does not fit names only how many keys it has. */
  publish(transactions: readonly LoggedTransaction[]): void {
    this.#publish(transactions.map(invalidationOf));
  }

  /** A heartbeat or goodbye. What cannot be sent is not missed: clients notice by the gap, or by silence. */
  send(message: Broadcast): void {
    this.#sendBytes(wire.broadcast.write(message));
  }

  #publish(transactions: readonly Invalidation[]): void {
    const bytes = wire.broadcast.write({ type: "invalidations", instance: this.#instance, transactions });
    const [first] = transactions;
    if (bytes.length <= this.#transport.payloadBytesMax || first === undefined) {
      this.#sendBytes(bytes);
    } else if (transactions.length > 1) {
      const half = transactions.length >>> 1;
      this.#publish(transactions.slice(0, half));
      this.#publish(transactions.slice(half));
    } else if (first.keys !== undefined) {
      this.#publish([{ ...first, keys: undefined }]);
    } else {
      this.#log.error({ subject: this.#subject, bytes: bytes.length }, "an invalidation without keys does not fit in a message");
    }
  }

  #sendBytes(bytes: Uint8Array): void {
    try {
      this.#transport.publish(this.#subject, bytes);
    } catch (error) {
      this.#log.debug({ err: error, subject: this.#subject }, "could not be published");
    }
  }
}
