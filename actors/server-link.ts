import type { Transport } from "../transport/transport.js";
import { DisconnectedError, UnknownSessionError, ZooidError } from "../words/index.js";
import { operations, storageSubjects, type Operation, type Registered } from "./messages.js";
import { readAnswer, type Codec } from "./wire.js";

export interface ServerLinkOptions {
  readonly realm: string;
  readonly storage: string;
  readonly transport: Transport;
  readonly requestTimeoutMs: number;
  /** The server is not there any more, or does not know the session. Called at most once. */
  readonly onLost: (reason: string) => void;
}

/**
 * The session of one client with one server process: requests go to that instance, and fail together when it is lost.
 *
 * A request of a lost link rejects at once with DisconnectedError, whatever its transport still waits for.
 */
export class ServerLink implements Registered {
  readonly instance;
  readonly session;
  readonly readOnly;
  readonly position;
  readonly heartbeatIntervalMs;
  readonly keepAliveIntervalMs;
  readonly #options: ServerLinkOptions;
  readonly #subjects: ReadonlyMap<Operation, string>;
  readonly #pending = new Set<(reason: unknown) => void>();
  #isLost = false;

  constructor(registered: Registered, options: ServerLinkOptions) {
    this.instance = registered.instance;
    this.session = registered.session;
    this.readOnly = registered.readOnly;
    this.position = registered.position;
    this.heartbeatIntervalMs = registered.heartbeatIntervalMs;
    this.keepAliveIntervalMs = registered.keepAliveIntervalMs;
    this.#options = options;
    const subjects = storageSubjects(options.realm, options.storage);
    this.#subjects = new Map(operations.map((operation) => [operation, subjects.operation(this.instance, operation)]));
  }

  /** Requests that wait for their answers. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Sends `payload` and resolves to what is answered. Rejects with the error that is answered, DisconnectedError, TimeoutError or TooLargeError. */
  request<T>(operation: Operation, payload: Uint8Array, answer: Codec<T>, timeoutMs = this.#options.requestTimeoutMs): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isLost) {
        reject(this.#lost());
        return;
      }
      this.#pending.add(reject);
      this.#options.transport.request(this.#subjects.get(operation) ?? operation, payload, { timeoutMs }).then(
        (bytes) => {
          if (!this.#pending.delete(reject)) return;
          try {
            resolve(readAnswer(answer, bytes));
          } catch (error) {
            this.#fail(reject, error);
          }
        },
        (error: unknown) => {
          if (this.#pending.delete(reject)) this.#fail(reject, error);
        },
      );
    });
  }

  /** Sends `payload` without waiting for what is answered. */
  tell(operation: Operation, payload: Uint8Array): void {
    this.#options.transport.publish(this.#subjects.get(operation) ?? operation, payload);
  }

  /** From now on nothing is sent; what waits rejects with DisconnectedError. */
  drop(): void {
    this.#isLost = true;
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const reject of pending) reject(this.#lost());
  }

  #fail(reject: (reason: unknown) => void, error: unknown): void {
    reject(error);
    if (this.#isLost || !(error instanceof ZooidError)) return;
    if (error instanceof UnknownSessionError) this.#options.onLost("it does not know the session");
    else if (error instanceof DisconnectedError) this.#options.onLost("nobody answers");
  }

  #lost(): DisconnectedError {
    return new DisconnectedError({ address: this.#options.transport.address });
  }
}
