import type { ClientCache } from "../../../storage/client-cache/client-cache.js";
import type { Clock, Log } from "../../../core/index.js";
import { abortable } from "../../../core/abortable.js";
import { Freshness } from "./freshness.js";
import type { Position } from "../../protocol/messages.js";
import type { ServerLink } from "./server-link.js";
import * as wire from "../../protocol/codec.js";

export interface ServerPositionOptions {
  readonly cache: ClientCache;
  readonly clock: Clock;
  readonly log: Log;
  readonly requestTimeoutMs: number;
  /** `link` answered that its server stands there. False: it is not the link of now, or not verified. */
  readonly onAnswer: (link: ServerLink, position: Position) => boolean;
}

/** A question where the server stands. */
interface Asked {
  readonly link: ServerLink;
  readonly sentAt: number;
  /** When it is answered at the latest, if with an error. */
  readonly deadline: number;
  readonly position: Promise<Position>;
}

/** Asks a server where it stands, which also keeps the session alive. Those who need to know it at the same time share a question. */
export class ServerPosition {
  readonly freshness: Freshness;
  readonly #options: ServerPositionOptions;
  /** The last question, until it is answered. */
  #asked: Asked | undefined;

  constructor(options: ServerPositionOptions) {
    this.#options = options;
    this.freshness = new Freshness(options.clock);
  }

  /** Where the server stands, as of at most `maxStaleMs` before this call. Rejects as a request does, or with the signal's reason. */
  at(link: ServerLink, timeoutMs: number, signal: AbortSignal | undefined, maxStaleMs: number): Promise<Position> {
    const { clock, requestTimeoutMs } = this.#options;
    const now = clock.monotonic();
    let asked = this.#asked;
    if (asked?.link !== link || now - asked.sentAt >= maxStaleMs || asked.deadline > now + timeoutMs) {
      asked = this.#ask(link, Math.max(1, Math.min(requestTimeoutMs, timeoutMs)));
    }
    return abortable(asked.position, signal);
  }

  /** Tells the server now and then that this client lives, and which snapshot it must keep, until the returned function is called. */
  keepAlive(link: ServerLink, who: object): () => void {
    const { clock, log, requestTimeoutMs } = this.#options;
    let timer: unknown;
    const tell = () => {
      timer = clock.setTimeout(tell, link.keepAliveIntervalMs);
      this.#ask(link, requestTimeoutMs).position.catch((error: unknown) => log.debug({ ...who, err: error }, "keep-alive had no answer"));
    };
    timer = clock.setTimeout(tell, link.keepAliveIntervalMs);
    return () => clock.clearTimeout(timer);
  }

  #ask(link: ServerLink, timeoutMs: number): Asked {
    const { clock, cache, onAnswer } = this.#options;
    const sentAt = clock.monotonic();
    const alive = wire.alive.write({ session: link.session, oldestSnapshot: cache.oldestSnapshot });
    const position = link.request("alive", alive, wire.aliveAnswer, timeoutMs).then((answer) => {
      if (onAnswer(link, answer.position)) this.freshness.told(answer.position.tid, sentAt, cache.position.tid);
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
