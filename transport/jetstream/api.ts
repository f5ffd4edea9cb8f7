import { CapturedSubjectsError, limits } from "../../core/index.js";
import { answerOf, askJetStream, fieldsOf, isRefusal, numberOf, textOf } from "./ask.js";
import { namingOverlap, withoutJetStream } from "./refused.js";
import { historyOf } from "./stream-settings.js";
import type { HeadedTransport } from "../transport.js";
import type { Fields, StreamNames } from "./stream-names.js";

/** The error code of a stream that does not exist. */
export const streamNotFound = 10059;
const messageNotFound = 10037;
/** The error code if another node made the stream with other settings meanwhile. */
const nameInUse = 10058;

/** The stream of the bus. */
export interface FoundStream {
  /** When it was made, as the broker writes the time. */
  readonly created: string;
  /** Lowest sequence at which it has a message, or may get one. */
  readonly firstSequence: number;
  /** Infinity: it keeps invalidations for ever. */
  readonly historyMs: number;
}

/** The stream's answer to a publication. */
export interface PublishAck {
  readonly sequence: number;
  /** Whether the stream had the message already, at `sequence`. */
  readonly isDuplicate: boolean;
}

/** A message that the stream stores. */
export interface StoredMessage {
  readonly sequence: number;
  /** Milliseconds since 1970 at the broker. */
  readonly time: number;
  /** The payload as it was written, perhaps by a node of another version. */
  readonly payload: Uint8Array;
}

/**
 * Where a replay starts: at a sequence, or at the first message that the broker took at this time (milliseconds since
 * 1970) or later.
 */
export type ReplayStart = { readonly sequence: number } | { readonly sinceMs: number };

export interface StreamApiOptions {
  readonly transport: HeadedTransport;
  readonly names: StreamNames;
  /** Replicas of a stream that is made here. */
  readonly replicas: number;
  readonly historyMs: number;
  /** Shortest history of any stream; a stream with less is refused. */
  readonly historyMsMin: number;
  /** Ends requests in progress. */
  readonly signal: AbortSignal;
}

/** Nanoseconds, JetStream's unit of durations. */
export const nanos = (ms: number): number => ms * 1_000_000;
/** After this time the broker removes a consumer without a listener. */
const consumerIdleMs = 30_000;
const consumerHeartbeatMs = 1_000;

/**
 * Settings of a consumer for one reading: it delivers each message once, as fast as they are taken, and is not kept.
 */
export function passingConsumer(heartbeatMs: number): Fields {
  return {
    ack_policy: "none",
    max_deliver: 1,
    replay_policy: "instant",
    flow_control: true,
    idle_heartbeat: nanos(heartbeatMs),
    inactive_threshold: nanos(consumerIdleMs),
    mem_storage: true,
    num_replicas: 1,
  };
}

/**
 * Requests of the bus to JetStream's API. Rejects as `request` does, or with JetStreamRefusal.
 *
 * The bus and the bucket send plain requests over the transport, and do not use `@nats-io/jetstream` and `@nats-io/kv`
 * (3.3.1), for these reasons:
 *
 * 1. Order. One link carries publications, repetitions and requests, so that they keep their order, and a lost link is
 *    noticed for all of them. The packages need a NatsConnection; the transport has none, because it dials by itself
 *    (`transport/nats/link.ts`).
 * 2. Time. A request ends at a time of the node's clock, or when its signal aborts. The packages take no signal, and
 *    their time-outs and retries use the system's timers.
 * 3. Simulation. `testing/simulated-jetstream.ts` answers the same requests over a simulated network.
 * 4. Need. The code sends eleven kinds of requests and has no consumer object: its two consumers deliver to a subject
 *    and are read once. `@nats-io/kv` makes buckets that refuse new entries when they are full; a cache drops the
 *    oldest.
 */
export class StreamApi {
  readonly #options: StreamApiOptions;

  constructor(options: StreamApiOptions) {
    this.#options = options;
  }

  /**
   * The stream. It is made if there is none, and never changed. Rejects with UnfitStreamError, CapturedSubjectsError,
   * NoJetStreamError.
   */
  async findStream(): Promise<FoundStream> {
    const { transport } = this.#options;
    let info: Fields;
    try {
      info = await this.#info();
    } catch (error) {
      if (!isRefusal(error, streamNotFound)) throw withoutJetStream(error, transport) ?? error;
      info = await this.#make();
    }
    const historyMs = historyOf(fieldsOf(info.config), this.#options);
    const { first_seq: first } = fieldsOf(info.state);
    return { created: textOf(info, "created"), firstSequence: Number(first ?? 0), historyMs };
  }

  /** Publishes `payload` into the stream. */
  async append(subject: string, payload: Uint8Array, headers: Readonly<Record<string, string>>): Promise<PublishAck> {
    const { names, transport, signal } = this.#options;
    const answer = await transport.request(`${names.taken}.${subject}`, payload, {
      timeoutMs: limits.busPublishTimeoutMs,
      signal,
      headers: { "Nats-Expected-Stream": names.stream, ...headers },
    });
    const ack = answerOf(answer);
    return { sequence: numberOf(ack, "seq"), isDuplicate: ack.duplicate === true };
  }

  /** The last message on `subject`, from the stream's leader: a follower that lags may answer a direct get. */
  async last(subject: string, timeoutMs?: number): Promise<StoredMessage | undefined> {
    const { names } = this.#options;
    try {
      const answer = await this.#ask(`STREAM.MSG.GET.${names.stream}`, { last_by_subj: `${names.taken}.${subject}` }, timeoutMs);
      const message = fieldsOf(answer.message);
      return {
        sequence: numberOf(message, "seq"),
        time: Date.parse(textOf(message, "time")),
        payload: Buffer.from(typeof message.data === "string" ? message.data : "", "base64"),
      };
    } catch (error) {
      if (isRefusal(error, messageNotFound)) return undefined;
      throw error;
    }
  }

  /** The last sequence that the stream's leader gave, and how long the stream keeps a message. */
  async lastSequence(timeoutMs: number): Promise<{ readonly sequence: number; readonly historyMs: number }> {
    const info = await this.#info(timeoutMs);
    return { sequence: numberOf(fieldsOf(info.state), "last_seq"), historyMs: historyOf(fieldsOf(info.config), this.#options) };
  }

  /**
   * Makes a consumer that delivers all messages of the stream from `start` on to `subject`, with flow control. Resolves
   * to the consumer's name.
   */
  async deliver(subject: string, start: ReplayStart): Promise<string> {
    const { stream } = this.#options.names;
    const answer = await this.#ask(`CONSUMER.CREATE.${stream}`, {
      stream_name: stream,
      config: {
        deliver_subject: subject,
        ...("sequence" in start
          ? { deliver_policy: "by_start_sequence", opt_start_seq: start.sequence }
          : { deliver_policy: "by_start_time", opt_start_time: new Date(start.sinceMs).toISOString() }),
        ...passingConsumer(consumerHeartbeatMs),
      },
    });
    return textOf(answer, "name");
  }

  async removeConsumer(name: string): Promise<void> {
    await this.#ask(`CONSUMER.DELETE.${this.#options.names.stream}.${name}`, undefined);
  }

  #info(timeoutMs?: number): Promise<Fields> {
    return this.#ask(`STREAM.INFO.${this.#options.names.stream}`, undefined, timeoutMs);
  }

  /** Makes the stream, unless another node makes it now with other settings. */
  async #make(): Promise<Fields> {
    try {
      return await this.#ask(`STREAM.CREATE.${this.#options.names.stream}`, this.#config());
    } catch (error) {
      if (isRefusal(error, nameInUse)) return this.#info();
      const { names, transport, signal } = this.#options;
      const named = await namingOverlap(error, `${names.taken}.>`, transport, { timeoutMs: limits.busPublishTimeoutMs, signal });
      // When two nodes make the stream at one moment, nats-server 2.9.10 may refuse the second because the first has
      // its subjects; 2.10 and later give the stream to both.
      if (named instanceof CapturedSubjectsError && named.stream === names.stream) return this.#info();
      throw named;
    }
  }

  #config(): Fields {
    const { names, replicas, historyMs } = this.#options;
    return {
      name: names.stream,
      subjects: [`${names.taken}.>`],
      storage: "file",
      retention: "limits",
      // A size limit that an operator sets must refuse new messages. Dropping old ones would lose invalidations.
      discard: "new",
      max_msgs_per_subject: 1,
      max_age: nanos(historyMs),
      num_replicas: replicas,
      republish: { src: `${names.taken}.>`, dest: `${names.repeated}.>` },
      deny_delete: true,
      deny_purge: true,
    };
  }

  #ask(subject: string, body: unknown, timeoutMs: number = limits.busPublishTimeoutMs): Promise<Fields> {
    const { transport, signal } = this.#options;
    return askJetStream(transport, subject, body, { timeoutMs, signal });
  }
}
