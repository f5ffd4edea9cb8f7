import type { Transport } from "../../../transport/transport.js";
import { DisconnectedError, UnknownSessionError } from "../../../core/index.js";
import { operations, storageSubjects, type Operation, type Registered } from "../../protocol/messages.js";
import { readAnswer, type Codec } from "../../protocol/codec.js";

/** What a server answered to a client that registered, and the secret that the client showed it. */
export interface ClientSession extends Registered {
  readonly session: string;
}

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
 * A request of a lost link rejects at once with DisconnectedError, whatever its transport still waits for. So does one that was sent
 * before the server's own link to the broker was made anew, for it may be lost; the session goes on then.
 */
export class ServerLink implements ClientSession {
  readonly instance;
  /** The session's secret. */
  readonly session;
  readonly readOnly;
  readonly position;
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
    this.position = registered.position;
    this.heartbeatIntervalMs = registered.heartbeatIntervalMs;
    this.keepAliveIntervalMs = registered.keepAliveIntervalMs;
    this.#options = options;
    const subjects = storageSubjects(options.realm, options.storage);
    this.#subjects = new Map(operations.map((operation) => [operation, subjects.operation(this.instance, operation)]));
  }

  /** How often the server was linked to its broker, as it said last. */
  get links(): number {
    return this.#links;
  }

  /** Requests that wait for their answers. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /**
   * Sends `payload` and resolves to what is answered. Rejects with the error that is answered, DisconnectedError, also when the server
   * does not know the session any more, TimeoutError or TooLargeError.
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

  /** Sends `payload` without waiting for what is answered. */
  tell(operation: Operation, payload: Uint8Array): void {
    this.#options.transport.publish(this.#subjects.get(operation) ?? operation, payload);
  }

  /** The server was linked to its broker so often: when that is more than it was, what waits rejects with DisconnectedError. */
  heardLinks(links: number): void {
    if (links <= this.#links) return;
    this.#links = links;
    this.#rejectAll();
  }

  /** From now on nothing is sent; what waits rejects with DisconnectedError. */
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
    // A session that is gone is a lost link: whatever is done about one is right for the other.
    reject(error instanceof UnknownSessionError ? this.#disconnected(error) : error);
    if (this.#isLost) return;
    if (error instanceof UnknownSessionError) this.#options.onLost("it does not know the session");
    else if (error instanceof DisconnectedError) this.#options.onLost("nobody answers");
  }

  #disconnected(cause?: unknown): DisconnectedError {
    return new DisconnectedError({ address: this.#options.transport.address }, cause);
  }
}
