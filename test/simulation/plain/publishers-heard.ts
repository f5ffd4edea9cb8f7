import type { Message, SubscribeOptions, Subscription, Transport } from "../../../transport/transport.js";
import { readPlainWord } from "../../../transport/nats/plain-words.js";

/**
 * The publishers that one life of a node has heard on its link, and when it last heard each. A node need not notice a
 * lost invalidation of a publisher that it has not heard. The list is empty after the link was lost, or after the node
 * itself took it for lost.
 */
export class PublishersHeard {
  readonly #lastMs = new Map<string, number>();
  readonly #now: () => number;
  readonly #heard: (publisher: string, number: number) => void;

  /** `heard` is called with each publisher, and the number of invalidations that it says it has published. */
  constructor(now: () => number, heard: (publisher: string, number: number) => void) {
    this.#now = now;
    this.#heard = heard;
  }

  /** When `publisher` was heard last. -Infinity: it is not known. */
  lastMs(publisher: string): number {
    return this.#lastMs.get(publisher) ?? -Infinity;
  }

  forget(): void {
    this.#lastMs.clear();
  }

  /** Wraps `end` and reads each message after it was handled. */
  tap(end: Transport): Transport {
    end.onStatus(() => this.forget());
    return {
      kind: end.kind,
      get status() {
        return end.status;
      },
      address: end.address,
      payloadBytesMax: end.payloadBytesMax,
      publish: (subject, payload) => end.publish(subject, payload),
      request: (subject, payload, options) => end.request(subject, payload, options),
      subscribe: (subject: string, handler: (message: Message) => void, options?: SubscribeOptions): Subscription =>
        end.subscribe(
          subject,
          (message) => {
            handler(message);
            this.#take(message, subject);
          },
          options,
        ),
      onStatus: (listener) => end.onStatus(listener),
      flush: () => end.flush(),
      close: () => end.close(),
    };
  }

  /** `pattern` is `<prefix>.>`. */
  #take({ subject, payload }: Message, pattern: string): void {
    const word = readPlainWord(payload);
    const path = subject.slice(pattern.length - 1);
    if (word === undefined || path.startsWith("tag.")) return;
    this.#heard(word.publisher, word.number);
    if (path === "bye") this.#lastMs.delete(word.publisher);
    else this.#lastMs.set(word.publisher, this.#now());
  }
}
