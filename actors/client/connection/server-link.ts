import { DisconnectedError, UnknownSessionError } from "../../../core/index.js";
import { operations, storageSubjects, type Operation, type Registered } from "../../protocol/messages.js";
import type { ClientConnectionOptions } from "./connection-options.js";
import { readAnswer, type Codec } from "../../protocol/codec.js";

/** A server's answer to a registration, and the secret that the client sent with it. */
export interface ClientSession extends Registered {
  readonly session: string;
}

export interface ServerLinkOptions extends ClientConnectionOptions {
  /** The server is gone, or does not know the session. Called at most once. */
  readonly onLost: (reason: string) => void;
}

/**
 * The session of one client with one server process. Requests go to that instance, and reject together when it is lost.
 *
 * A request of a lost link rejects at once with DisconnectedError, even if its transport still waits for an answer. So
 * does a request that was sent before the server connected to its broker again, because it may be lost. In that case
 * the session continues.
 */
export class ServerLink {
  readonly instance;
  /** The session's secret. */
  readonly session;
  readonly readOnly;
  readonly heartbeatIntervalMs;
  readonly keepAliveIntervalMs;
  readonly #options: ServerLinkOptions;
  readonly #subjects: ReadonlyMap<Operation, string>;
  readonly #pending = new Set<(reason: unknown) => void>();
  #links: number;
  #isLost = false;

  constructor(registered: ClientSession, options: ServerLinkOptions) {
    this.instance = registered.instance;
    this.session = registered.session;
    this.#links = registered.links;
    this.readOnly = registered.readOnly;
    this.heartbeatIntervalMs = registered.heartbeatIntervalMs;
    this.keepAliveIntervalMs = registered.keepAliveIntervalMs;
    this.#options = options;
    const subjects = storageSubjects(options.realm, options.storage);
    this.#subjects = new Map(operations.map((operation) => [operation, subjects.operation(this.instance, operation)]));
  }

  /** How often the server has connected to its broker, as it last reported. */
  /** Requests that wait for their answers. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /**
   * Sends `payload` and resolves to the answer. Rejects with the error in the answer, TimeoutError, TooLargeError, or
   * DisconnectedError, also when the server does not know the session any more.
   */
  request<T>(operation: Operation, payload: Uint8Array, answer: Codec<T>, timeoutMs = this.#options.requestTimeoutMs): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isLost) {
        reject(this.#disconnected());
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

  /** Sends `payload` without waiting for an answer. */
  send(operation: Operation, payload: Uint8Array): void {
    this.#options.transport.publish(this.#subjects.get(operation) ?? operation, payload);
  }

  /**
   * The server has connected to its broker `links` times. If that is more than before, all waiting requests reject with
   * DisconnectedError.
   */
  heardLinks(links: number): void {
    if (links <= this.#links) return;
    this.#links = links;
    this.#rejectAll();
  }

  /** From now on no request is sent. All waiting requests reject with DisconnectedError. */
  drop(): void {
    this.#isLost = true;
    this.#rejectAll();
  }

  #rejectAll(): void {
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const reject of pending) reject(this.#disconnected());
  }

  #fail(reject: (reason: unknown) => void, error: unknown): void {
    // Callers handle a lost session as they handle a lost link.
    reject(error instanceof UnknownSessionError ? this.#disconnected(error) : error);
    if (this.#isLost) return;
    if (error instanceof UnknownSessionError) this.#options.onLost("it does not know the session");
    else if (error instanceof DisconnectedError) this.#options.onLost("no server answers");
  }

  #disconnected(cause?: unknown): DisconnectedError {
    return new DisconnectedError({ address: this.#options.transport.address }, cause);
  }
}
