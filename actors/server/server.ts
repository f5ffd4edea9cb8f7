import { serversSubject, storagesSubject, type ServerStatus } from "../protocol/messages.js";
import { UnknownStorageError } from "../../core/index.js";
import type { Message, Subscription } from "../../transport/transport.js";
import { ServedStorage } from "./storage.js";
import { checkServerOptions, type StorageServerOptions } from "./options.js";
import * as wire from "../protocol/codec.js";
import { silentLog, systemClock, systemRandom } from "../../core/index.js";
import type { Log } from "../../core/log.js";

export type { StorageOptions, StorageServerOptions } from "./options.js";

/**
 * A server of one or more storages, which owns their data.
 * It ends when closed or killed; a storage that has to end by itself tells `onFatal`.
 */
export interface StorageServer {
  /** New at each start: clients tell by it that they talk to another process than before. */
  readonly instance: string;
  /** Names of the storages it serves, in order. */
  readonly storages: readonly string[];
  /** How `storage` is doing now. Throws UnknownStorageError. */
  status(storage: string): ServerStatus;
  /** Writes what is in the air and the finishes that wait, refuses what else waits, says goodbye and closes the stores. Idempotent. */
  close(): Promise<void>;
  /** Drops everything at once and says nothing, as if the process were killed. The stores are left as they are. */
  kill(): void;
}

/**
 * A storage server that serves. One that writes waits for the broker's word that no other writer is there: without a link, and while
 * another one listens and does not answer, it does not resolve. Rejects with InvalidOptionError, AnotherWriterError, NotAuthorizedError
 * (naming the subject that the broker refuses), CapturedSubjectsError, InUseError, StoreError, or the signal's reason.
 */
export async function startStorageServer(options: StorageServerOptions): Promise<StorageServer> {
  const checked = checkServerOptions(options);
  const { realm, transport, clock = systemClock, random = systemRandom, log = silentLog, system, takeOver = false, signal } = options;
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
      const deps = {
        realm,
        storage,
        instance,
        startedAt,
        startedMs,
        transport,
        clock,
        random,
        log,
        options: storageOptions,
        system,
        takeOver,
        signal,
        onFatal,
      };
      served.set(storage, await ServedStorage.start(deps));
    }
  } catch (error) {
    await Promise.all(Array.from(served.values(), (each) => each.close()));
    throw error;
  }
  return new RunningServer(instance, served, answerStorages({ realm, transport, log }, served));
}

/**
 * Answers clients that look for storages: in this realm, and on the subject of all realms. The broker may refuse the second subscription; a client
 * of another realm then gets an error that does not name this realm.
 */
function answerStorages(
  { realm, transport, log }: Pick<StorageServerOptions, "realm" | "transport"> & { readonly log: Log },
  served: ReadonlyMap<string, unknown>,
): Subscription {
  const answer = ({ subject, reply }: Message) => {
    try {
      reply?.(wire.writeAnswer(wire.storages, { realm, storages: [...served.keys()].sort() }));
    } catch (error) {
      log.debug({ err: error, subject }, "an answer could not be sent");
    }
  };
  const subscriptions = [storagesSubject(realm), serversSubject].map((subject) => transport.subscribe(subject, answer));
  return {
    unsubscribe: () => {
      for (const each of subscriptions) each.unsubscribe();
    },
  };
}

class RunningServer implements StorageServer {
  readonly instance: string;
  readonly #served: Map<string, ServedStorage>;
  readonly #subscription: Subscription;
  #closing: Promise<void> | undefined;

  constructor(instance: string, served: Map<string, ServedStorage>, subscription: Subscription) {
    this.instance = instance;
    this.#served = served;
    this.#subscription = subscription;
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
    this.#closing ??= this.#close();
    return this.#closing;
  }

  kill(): void {
    this.#subscription.unsubscribe();
    for (const served of this.#served.values()) served.kill();
    this.#served.clear();
  }

  async #close(): Promise<void> {
    this.#subscription.unsubscribe();
    await Promise.all(Array.from(this.#served.values(), (each) => each.close()));
    this.#served.clear();
  }
}
