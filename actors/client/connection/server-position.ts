import { abortable } from "../../../core/aborting.js";
import type { ClientConnectionOptions } from "./connection-options.js";
import { Freshness } from "./freshness.js";
import type { Position } from "../../protocol/messages.js";
import type { ServerLink } from "./server-link.js";
import * as wire from "../../protocol/codec.js";

export interface ServerPositionOptions extends ClientConnectionOptions {
  /**
   * Called when the server of `link` has answered with its position. Returns false if `link` is not the current link,
   * or is not verified.
   */
  readonly onAnswer: (link: ServerLink, position: Position) => boolean;
}

/** A request for the server's position. */
interface Asked {
  readonly link: ServerLink;
  readonly sentAt: number;
  /** Latest moment at which it settles, possibly with an error. */
  readonly deadline: number;
  readonly position: Promise<Position>;
}

/** Asks a server for its position, which also keeps the session alive. Calls at the same time share one request. */
export class ServerPosition {
  readonly freshness: Freshness;
  readonly #options: ServerPositionOptions;
  /** The last request, until it is answered. */
  #asked: Asked | undefined;

  constructor(options: ServerPositionOptions) {
    this.#options = options;
    this.freshness = new Freshness(options.clock);
  }

  /**
   * The server's position, as of at most `maxStaleMs` before this call. Rejects as a request does, or with the signal's
   * reason.
   */
  at(link: ServerLink, timeoutMs: number, signal: AbortSignal | undefined, maxStaleMs: number): Promise<Position> {
    const { clock, requestTimeoutMs } = this.#options;
    const now = clock.monotonic();
    let asked = this.#asked;
    if (asked?.link !== link || now - asked.sentAt >= maxStaleMs || asked.deadline > now + timeoutMs) {
      asked = this.#ask(link, Math.max(1, Math.min(requestTimeoutMs, timeoutMs)));
    }
    return abortable(asked.position, signal);
  }

  /**
   * Reports to the server at intervals that this client is alive, and which snapshot the server must keep, until the
   * returned function is called.
   */
  keepAlive(link: ServerLink, who: object): () => void {
    const { clock, log, requestTimeoutMs } = this.#options;
    let timer: unknown;
    const report = () => {
      timer = clock.setTimeout(report, link.keepAliveIntervalMs);
      this.#ask(link, requestTimeoutMs).position.catch((error: unknown) => log.debug({ ...who, err: error }, "keep-alive had no answer"));
    };
    timer = clock.setTimeout(report, link.keepAliveIntervalMs);
    return () => clock.clearTimeout(timer);
  }

  #ask(link: ServerLink, timeoutMs: number): Asked {
    const { clock, cache, onAnswer } = this.#options;
    const sentAt = clock.monotonic();
    const alive = wire.alive.write({ session: link.session, oldestSnapshot: cache.oldestSnapshot });
    const position = link.request("alive", alive, wire.aliveAnswer, timeoutMs).then((answer) => {
      if (onAnswer(link, answer.position)) this.freshness.answered(answer.position.tid, sentAt, cache.position.tid);
      return answer.position;
    });
    const asked = { link, sentAt, deadline: sentAt + timeoutMs, position };
    this.#asked = asked;
    const forget = () => {
      if (this.#asked === asked) this.#asked = undefined;
    };
    position.then(forget, forget);
    return asked;
  }
}
