import type { Transport } from "../transport/transport.js";
import { AnotherWriterError, DisconnectedError, limits, type Log, TimeoutError } from "../words/index.js";
import type { Broadcast } from "./messages.js";
import { storageSubjects } from "./messages.js";
import * as wire from "./wire.js";

export interface WriterAround {
  readonly realm: string;
  readonly storage: string;
  readonly instance: string;
  readonly startedAt: number;
  readonly transport: Transport;
  readonly log: Log;
}

/** Rejects with AnotherWriterError when a writer of this storage answers. A safeguard against mistakes, not a lease. */
export async function checkNoWriter({ realm, storage, transport }: WriterAround): Promise<void> {
  let answer: Uint8Array;
  try {
    answer = await transport.request(storageSubjects(realm, storage).writer, wire.nothing.write({}), {
      timeoutMs: limits.writerCheckTimeoutMs,
    });
  } catch (error) {
    if (error instanceof DisconnectedError || error instanceof TimeoutError) return;
    throw error;
  }
  throw new AnotherWriterError({ storage, instance: wire.readAnswer(wire.writer, answer).instance });
}

/**
 * Listens to the heartbeats of others while this server writes. Of two writers the one that started later stops; whose
 * heartbeat was only late in coming, and who is no more, does not count.
 */
export class WriterWatch {
  readonly #around: WriterAround;
  readonly #onAnother: (error: AnotherWriterError) => void;
  readonly #asking = new Set<string>();
  #stopped = false;

  constructor(around: WriterAround, onAnother: (error: AnotherWriterError) => void) {
    this.#around = around;
    this.#onAnother = onAnother;
  }

  heard(broadcast: Broadcast): void {
    const { instance, startedAt } = this.#around;
    if (broadcast.type !== "heartbeat" || broadcast.readOnly || broadcast.instance === instance) return;
    const isEarlier = broadcast.startedAt < startedAt || (broadcast.startedAt === startedAt && broadcast.instance < instance);
    if (isEarlier && !this.#asking.has(broadcast.instance)) void this.#ask(broadcast.instance);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #ask(other: string): Promise<void> {
    const { realm, storage, transport, log } = this.#around;
    this.#asking.add(other);
    try {
      const subject = storageSubjects(realm, storage).operation(other, "status");
      await transport.request(subject, wire.session.write({ session: "" }), { timeoutMs: limits.writerCheckTimeoutMs });
      if (!this.#stopped) this.#onAnother(new AnotherWriterError({ storage, instance: other }));
    } catch (error) {
      log.debug({ err: error, storage, other }, "a writer that was heard does not answer");
    } finally {
      this.#asking.delete(other);
    }
  }
}
