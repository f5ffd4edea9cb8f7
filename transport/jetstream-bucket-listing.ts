import { type Chance, type Clock, TimeoutError } from "../words/index.js";
import { askJetStream, textOf } from "./jetstream-api.js";
import { answerConsumer, consumerTells } from "./jetstream-replay.js";
import type { HeadedMessage, HeadedTransport } from "./transport.js";

/** A message that a stream holds, without what it says. */
export interface ListedMessage {
  readonly subject: string;
  readonly revision: number;
  readonly time: number;
  readonly bytes: number;
}

export interface BucketListingOptions {
  readonly transport: HeadedTransport;
  readonly stream: string;
  readonly filter: string;
  readonly clock: Clock;
  readonly chance: Chance;
  /** Nothing delivered for so long ends it. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const consumerIdleMs = 30_000;
const consumerHeartbeatMs = 1_000;
const nanos = (ms: number) => ms * 1_000_000;

/** Messages of a stream by their headers alone, from a consumer that goes with the listing. */
export class BucketListing {
  readonly #options: BucketListingOptions;
  readonly #waiting: ListedMessage[] = [];
  #isDone = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(options: BucketListingOptions) {
    this.#options = options;
  }

  async *items(itemsMax: number): AsyncIterable<ListedMessage> {
    const { transport, chance, clock, signal, timeoutMs } = this.#options;
    const subject = `zooid.listed.${chance.id()}`;
    const subscription = transport.subscribe(subject, (message) => this.#take(message));
    let consumer: string | undefined;
    let timer: unknown;
    const onAbort = () => this.#fail(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      await transport.flush();
      consumer = await this.#deliver(subject);
      for (let given = 0; given < itemsMax;) {
        const item = this.#waiting.shift();
        if (item !== undefined) {
          given++;
          yield item;
          continue;
        }
        if (this.#failure !== undefined) throw this.#failure.error;
        if (this.#isDone) return;
        timer = clock.setTimeout(() => this.#fail(new TimeoutError({ what: "listing of a bucket", timeoutMs })), timeoutMs);
        await new Promise<void>((resolve) => (this.#wake = resolve));
        clock.clearTimeout(timer);
      }
    } finally {
      clock.clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      subscription.unsubscribe();
      // Without a listener it goes by itself.
      if (consumer !== undefined && transport.status === "connected")
        void this.#ask(`CONSUMER.DELETE.${this.#options.stream}.${consumer}`, undefined).catch(() => undefined);
    }
  }

  async #deliver(subject: string): Promise<string> {
    const { stream, filter } = this.#options;
    const answer = await this.#ask(`CONSUMER.CREATE.${stream}`, {
      stream_name: stream,
      config: {
        deliver_subject: subject,
        deliver_policy: "all",
        filter_subject: filter,
        headers_only: true,
        ack_policy: "none",
        max_deliver: 1,
        replay_policy: "instant",
        flow_control: true,
        idle_heartbeat: nanos(consumerHeartbeatMs),
        inactive_threshold: nanos(consumerIdleMs),
        mem_storage: true,
        num_replicas: 1,
      },
    });
    if (answer.num_pending === 0 && typeof answer.delivered === "object" && this.#waiting.length === 0) {
      const { consumer_seq: delivered } = answer.delivered as { readonly consumer_seq?: unknown };
      if (delivered === 0) this.#isDone = true;
    }
    return textOf(answer, "name");
  }

  #ask(subject: string, body: unknown) {
    const { transport, timeoutMs, signal } = this.#options;
    return askJetStream(transport, subject, body, { timeoutMs, signal });
  }

  #take(message: HeadedMessage): void {
    if (message.headers?.code === consumerTells) {
      answerConsumer(this.#options.transport, message);
      return;
    }
    // $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<number>.<time>.<pending>; later servers put domain and account before the stream.
    const tokens = message.replyTo?.split(".") ?? [];
    if (tokens[1] !== "ACK" || tokens.length < 9) return;
    const from = tokens.length === 9 ? 2 : 4;
    const [revision, , nanosecs, pending] = tokens.slice(from + 3, from + 7).map(Number);
    if (revision === undefined || nanosecs === undefined) return;
    const bytes = Number(message.headers?.get("Nats-Msg-Size"));
    this.#waiting.push({
      subject: message.subject,
      revision,
      time: Math.floor(nanosecs / 1_000_000),
      bytes: Number.isNaN(bytes) ? 0 : bytes,
    });
    if (pending === 0) this.#isDone = true;
    this.#wake();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }
}
