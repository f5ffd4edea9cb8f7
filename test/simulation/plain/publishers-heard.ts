import type { Message, SubscribeOptions, Subscription, Transport } from "../../../transport/transport.js";
import { readPlainWord } from "../../../transport/nats/plain-words.js";

/**
 * What one life of a node has heard of others on its link: whom, and when last. What a node cannot have heard it is not held to. Nothing is known
 * after the link was lost, or once the node itself took it for lost.
 */
export class PublishersHeard {
  readonly #lastMs = new Map<string, number>();
  readonly #now: () => number;
  readonly #heard: (publisher: string, number: number) => void;

  /** `heard` is called with each publisher, and how much it says that it has published. */
  constructor(now: () => number, heard: (publisher: string, number: number) => void) {
    this.#now = now;
    this.#heard = heard;
  }

  /** When `publisher` was heard last; -Infinity: it is not known. */
  lastMs(publisher: string): number {
    return this.#lastMs.get(publisher) ?? -Infinity;
  }

  forget(): void {
    this.#lastMs.clear();
  }

  /** `end`, each message of which is looked at once it was handled. */
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
            this.#take(message);
          },
          options,
        ),
      onStatus: (listener) => end.onStatus(listener),
      flush: () => end.flush(),
      close: () => end.close(),
    };
  }

  #take({ payload }: Message): void {
    const word = readPlainWord(payload);
    if (word === undefined || word.kind === "invalidate") return;
    this.#heard(word.publisher, word.number);
    if (word.kind === "bye") this.#lastMs.delete(word.publisher);
    else this.#lastMs.set(word.publisher, this.#now());
  }
}
