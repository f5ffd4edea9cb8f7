import { serversSubject, storagesSubject, type ServerStatus } from "../protocol/messages.js";
import { type Log, seamsOf, UnknownStorageError } from "../../core/index.js";
import type { Message, Subscription } from "../../transport/transport.js";
import { ServedStorage } from "./storage.js";
import { checkServerOptions, type StorageServerOptions } from "./options.js";
import * as wire from "../protocol/codec.js";

export type { StorageOptions, StorageServerOptions } from "./options.js";

/**
 * A server of one or more storages. It owns their data. It ends when it is closed or killed. A storage that must end by
 * itself calls `onFatal`.
 */
export interface StorageServer {
  /** Instance id, new at each start: clients notice by it that another process answers than before. */
  readonly instance: string;
  /** Names of the served storages, sorted. */
  readonly storages: readonly string[];
  /** Current status of `storage`. Throws UnknownStorageError. */
  status(storage: string): ServerStatus;
  /**
   * Completes the open batches, writes the finishes in the queues, refuses all other commits, publishes goodbyes and
   * closes the stores. Idempotent.
   */
  close(): Promise<void>;
  /** Stops at once and sends nothing, as if the process were killed. The stores are not closed. */
  kill(): void;
}

/**
 * Starts a storage server; resolves when it serves. A server that writes first waits until the broker says that no
 * other writer listens: it does not resolve without a link, or while another writer listens and does not answer.
 * Rejects with InvalidOptionError, AnotherWriterError, NotAuthorizedError (with the subject that the broker refuses),
 * CapturedSubjectsError, InUseError, StoreError, or the signal's reason.
 */
export async function startStorageServer(options: StorageServerOptions): Promise<StorageServer> {
  const checked = checkServerOptions(options);
  const { realm, transport, system, takeOver = false, signal } = options;
  const { clock, random, log } = seamsOf(options);
  const instance = random.id();
  const startedAt = clock.now();
  const startedMs = clock.monotonic();
  const served = new Map<string, ServedStorage>();
  try {
    for (const [storage, storageOptions] of checked) {
      const onFatal = (error: unknown) => {
        served.delete(storage);
        options.onFatal?.(error);
      };
      const started = { instance, startedAt, startedMs, transport, clock, random, log };
      const deps = { realm, storage, ...started, options: storageOptions, system, takeOver, signal, onFatal };
      served.set(storage, await ServedStorage.start(deps));
    }
  } catch (error) {
    await Promise.all(Array.from(served.values(), (each) => each.close()));
    throw error;
  }
  return new RunningServer(instance, served, answerStorages({ realm, transport, log }, served));
}

/**
 * Answers clients that search for storages, on the subject of this realm and on the subject of all realms. The broker
 * may refuse the second subscription; a client of another realm then gets an error that does not name this realm.
 */
function answerStorages(
  { realm, transport, log }: Pick<StorageServerOptions, "realm" | "transport"> & { readonly log: Log },
  served: ReadonlyMap<string, unknown>,
): readonly Subscription[] {
  const answer = ({ subject, reply }: Message) => {
    try {
      reply?.(wire.writeAnswer(wire.storages, { realm, storages: [...served.keys()].sort() }));
    } catch (error) {
      log.debug({ err: error, subject }, "an answer could not be sent");
    }
  };
  return [storagesSubject(realm), serversSubject].map((subject) => transport.subscribe(subject, answer));
}

class RunningServer implements StorageServer {
  readonly instance: string;
  readonly #served: Map<string, ServedStorage>;
  readonly #subscriptions: readonly Subscription[];
  #closing: Promise<void> | undefined;

  constructor(instance: string, served: Map<string, ServedStorage>, subscriptions: readonly Subscription[]) {
    this.instance = instance;
    this.#served = served;
    this.#subscriptions = subscriptions;
  }

  get storages(): readonly string[] {
    return [...this.#served.keys()].sort();
  }

  status(storage: string): ServerStatus {
    const served = this.#served.get(storage);
    if (served === undefined) throw new UnknownStorageError({ storage });
    return served.status();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  kill(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    for (const served of this.#served.values()) served.kill();
    this.#served.clear();
  }

  async #close(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    await Promise.all(Array.from(this.#served.values(), (each) => each.close()));
    this.#served.clear();
  }
}
