import { limits, type LoggedTransaction } from "../../core/index.js";
import { noNotes, type Notes } from "../record/notes.js";
import type { Broadcast, Invalidation } from "../protocol/messages.js";
import type { ServedStorageDeps } from "./parts.js";
import * as wire from "../protocol/codec.js";

/** The invalidation of one transaction. It contains the keys only when they are few enough for a message. */
function invalidationOf({ previous, tid, digest, keys }: LoggedTransaction): Invalidation {
  return { previous, tid, digest, keyCount: keys.length, keys: keys.length > limits.invalidationKeysMax ? undefined : keys };
}

/**
 * Publishes invalidations on one subject for all clients of a storage, in one order. The cost does not grow with the
 * number of clients.
 */
export class InvalidationPublisher {
  readonly #deps: ServedStorageDeps;
  readonly #notes: Notes;
  readonly #subject: string;

  constructor(deps: ServedStorageDeps, subject: string) {
    this.#deps = deps;
    this.#notes = deps.system?.notes ?? noNotes;
    this.#subject = subject;
  }

  /**
   * Publishes one message, or several when the transactions do not fit in one. A transaction that does not fit alone is
   * published with the number of its keys, without the keys.
   */
  publish(transactions: readonly LoggedTransaction[]): void {
    this.#publish(transactions.map(invalidationOf));
    if (!this.#notes.isRecording) return;
    const { storage } = this.#deps;
    const who = `server/${storage}`;
    for (const { id, tid, keys } of transactions) {
      if (this.#notes.admits()) this.#notes.note({ what: "written", who, of: storage, id, number: tid, size: keys.length });
    }
  }

  /** Publishes a heartbeat or goodbye. An error is only logged: clients notice the silence. */
  send(message: Broadcast): void {
    this.#sendBytes(wire.broadcast.write(message));
  }

  #publish(transactions: readonly Invalidation[]): void {
    const bytes = wire.broadcast.write({ type: "invalidations", instance: this.#deps.instance, transactions });
    const [first] = transactions;
    if (bytes.length <= this.#deps.transport.payloadBytesMax || first === undefined) {
      this.#sendBytes(bytes);
    } else if (transactions.length > 1) {
      const half = transactions.length >>> 1;
      this.#publish(transactions.slice(0, half));
      this.#publish(transactions.slice(half));
    } else if (first.keys !== undefined) {
      this.#publish([{ ...first, keys: undefined }]);
    } else {
      this.#deps.log.error({ subject: this.#subject, bytes: bytes.length }, "an invalidation without keys does not fit in a message");
    }
  }

  #sendBytes(bytes: Uint8Array): void {
    try {
      this.#deps.transport.publish(this.#subject, bytes);
    } catch (error) {
      this.#deps.log.debug({ err: error, subject: this.#subject }, "a message could not be published");
    }
  }
}
