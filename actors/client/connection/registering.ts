import { type Deferred, deferred, DisconnectedError, limits } from "../../../core/index.js";
import { protocolVersion, type Registered, storageSubjects } from "../../protocol/messages.js";
import type { ClientConnectionOptions } from "./connection-options.js";
import { explainedUnheard } from "./missing.js";
import * as wire from "../../protocol/codec.js";

export interface RegisteringOptions extends ClientConnectionOptions {
  /** Opens the session. Each request of the session carries it. */
  readonly sessionSecret: string;
}

/**
 * One registration of a client with a server. It may be requested several times: all requests carry the same secret, so
 * that they open one session.
 */
export class Registering {
  readonly #options: RegisteringOptions;
  readonly #subject: string;
  #askedAtMs = -Infinity;
  #answer: Deferred<Registered> | undefined;

  /** `instance`: the instance to register with; undefined: any instance that serves the storage. */
  constructor(instance: string | undefined, options: RegisteringOptions) {
    const { realm, storage } = options;
    const subjects = storageSubjects(realm, storage);
    this.#options = options;
    this.#subject = instance === undefined ? subjects.register : subjects.operation(instance, "register");
  }

  /**
   * Resolves to the first answer. Rejects with the error in the answer, DisconnectedError, which gives the known
   * reason, or TimeoutError.
   */
  async registered(): Promise<Registered> {
    this.#answer = deferred();
    try {
      this.#ask();
      return await this.#answer.promise;
    } catch (error) {
      throw error instanceof DisconnectedError && error.isUnheard ? await explainedUnheard(error, this.#options) : error;
    }
  }

  /**
   * Requests again, because the server is alive and may not have received the last request. Does nothing within
   * limits.registerAgainMs of the last request, whose answer may still arrive.
   */
  again(): void {
    if (this.#answer !== undefined && this.#options.clock.monotonic() - this.#askedAtMs >= limits.registerAgainMs) this.#ask();
  }

  #ask(): void {
    this.#askedAtMs = this.#options.clock.monotonic();
    const { transport, cache, client, readOnly, clientSecret, sessionSecret, requestTimeoutMs } = this.#options;
    const { oldestSnapshot } = cache;
    const register = { protocol: protocolVersion, client, readOnly, clientSecret, sessionSecret, oldestSnapshot };
    transport
      .request(this.#subject, wire.register.write(register), { timeoutMs: requestTimeoutMs })
      .then((answer) => this.#answer?.resolve(wire.readAnswer(wire.registered, answer)))
      .catch((error: unknown) => this.#answer?.reject(error));
  }
}
