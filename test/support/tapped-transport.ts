import type { Message, RequestOptions, SubscribeOptions, Transport } from "../../transport/transport.js";
import { writeError } from "../../actors/protocol/codec.js";
import { TimeoutError } from "../../core/index.js";

/** A transport that counts messages, and loses or delays those that the test chooses. */
export class TappedTransport implements Transport {
  readonly kind = "faulty";
  readonly payloadBytesMax: number;
  /** Operations requested so far: the last tokens of their subjects. */
  readonly requests: string[] = [];
  /** Called with each message that is not an answer. False drops it; the test may call `deliver` later. */
  takes: (message: Message, deliver: () => void) => boolean = () => true;
  /** Operations whose answers are lost, though the server performs them. */
  readonly deaf = new Set<string>();
  /** Operations that are sent only when their promise resolves. */
  readonly held = new Map<string, Promise<void>>();
  /** Operations whose answers come only when their promise resolves. */
  readonly heldAnswers = new Map<string, Promise<void>>();
  /** Operations that fail with these errors, and are not sent. */
  readonly fails = new Map<string, Error>();
  readonly #inner: Transport;

  constructor(inner: Transport) {
    this.#inner = inner;
    this.payloadBytesMax = inner.payloadBytesMax;
  }

  get status() {
    return this.#inner.status;
  }

  get address(): string {
    return this.#inner.address;
  }

  publish(subject: string, payload: Uint8Array): void {
    this.#inner.publish(subject, payload);
  }

  async request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    const operation = subject.slice(subject.lastIndexOf(".") + 1);
    this.requests.push(operation);
    const hold = this.held.get(operation);
    if (hold !== undefined) await hold;
    const failure = this.fails.get(operation);
    if (failure !== undefined) return writeError(failure);
    const holdAnswer = this.heldAnswers.get(operation);
    const answer = await this.#inner.request(subject, payload, options);
    if (holdAnswer !== undefined) await holdAnswer;
    if (this.deaf.has(operation)) throw new TimeoutError({ what: operation, timeoutMs: options.timeoutMs });
    return answer;
  }

  subscribe(subject: string, handler: (message: Message) => void, options?: SubscribeOptions) {
    const tapped = (message: Message) => {
      if (this.takes(message, () => handler(message))) handler(message);
    };
    return this.#inner.subscribe(subject, tapped, options);
  }

  onStatus(listener: Parameters<Transport["onStatus"]>[0]): () => void {
    return this.#inner.onStatus(listener);
  }

  flush(): Promise<void> {
    return this.#inner.flush();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** How many times `operation` was requested. */
  count(operation: string): number {
    return this.requests.filter((each) => each === operation).length;
  }
}
