import { DisconnectedError, limits, MalformedMessageError, NoJetStreamError } from "../../core/index.js";
import { historyOf } from "./stream-settings.js";
import type { HeadedTransport, RequestOptions, Transport } from "../transport.js";
import type { Fields, StreamNames } from "./stream-names.js";

/** The stream refused a request, by its error codes. */
export class JetStreamRefusal extends Error {
  override readonly name = "JetStreamRefusal";
  readonly code: number;

  constructor(code: number, description: string) {
    super(`JetStream refused: ${description} (${code})`);
    this.code = code;
  }
}

/** There is no such stream. */
export const streamNotFound = 10059;
export const messageNotFound = 10037;
/** Another node made it with other settings meanwhile. */
const nameInUse = 10058;
/** JetStream is off, for all or for this account. */
const notEnabled = [10076, 10039];
const wrongLastSequence = 10071;
/** What the leader of a cluster says while another write to the subject is under way. */
const wrongLastSequenceInFlight = 10164;

/** The stream of the bus. */
export interface FoundStream {
  /** When it was made, as the broker writes it. */
  readonly created: string;
  /** Lowest sequence that it holds a message of, or may come to hold. */
  readonly firstSequence: number;
  /** Infinity: it keeps invalidations for ever. */
  readonly historyMs: number;
}

/** What the stream answered to a publication. */
export interface PublishAck {
  readonly sequence: number;
  /** The stream had it already, at `sequence`. */
  readonly isDuplicate: boolean;
}

/** A message that the stream holds. */
export interface StoredMessage {
  readonly sequence: number;
  /** Milliseconds since 1970 at the broker. */
  readonly time: number;
  readonly payload: Uint8Array;
}

/** Where a replay starts: at a sequence, or at what the broker took at a time, milliseconds since 1970, or later. */
export type ReplayStart = { readonly sequence: number } | { readonly sinceMs: number };

export interface StreamApiOptions {
  readonly transport: HeadedTransport;
  readonly names: StreamNames;
  /** Of a stream that is made here. */
  readonly replicas: number;
  readonly historyMs: number;
  /** Of any stream: less is refused. */
  readonly historyMsMin: number;
  /** Ends requests under way. */
  readonly signal: AbortSignal;
}

/** Durations as JetStream writes them. */
export const nanos = (ms: number): number => ms * 1_000_000;
/** A consumer without a listener goes by itself after this. */
const consumerIdleMs = 30_000;
const consumerHeartbeatMs = 1_000;

/** Of a consumer that is there for one reading: it delivers what it finds once, as fast as that is taken, and is not kept. */
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
 * What the bus asks of JetStream, as plain requests over the transport: one link carries what is published, repeated and asked, so
 * that their order holds, and what is lost with the link is known with the link. Rejects as `request` does, or with JetStreamRefusal.
 */
export class StreamApi {
  readonly #options: StreamApiOptions;

  constructor(options: StreamApiOptions) {
    this.#options = options;
  }

  /** The stream as it is. It is made where there is none, and never changed. Rejects with UnfitStreamError, NoJetStreamError. */
  async findStream(): Promise<FoundStream> {
    const { transport } = this.#options;
    let info: Fields;
    try {
      info = await this.#info();
    } catch (error) {
      // Where JetStream is, its API answers; an account without it is told so.
      const isAbsent = error instanceof DisconnectedError && transport.status === "connected";
      if (isAbsent || notEnabled.some((code) => isRefusal(error, code))) throw new NoJetStreamError({ address: transport.address }, error);
      if (!isRefusal(error, streamNotFound)) throw error;
      info = await this.#make();
    }
    const historyMs = historyOf(fieldsOf(info.config), this.#options);
    const { first_seq: first } = fieldsOf(info.state);
    return { created: textOf(info, "created"), firstSequence: Number(first ?? 0), historyMs };
  }

  /** Takes `payload` into the stream. */
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

  /** The last message on `subject`, from the stream's leader: a direct get may be answered by a follower that lags. */
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

  /** The last sequence that the stream's leader gave, and how long it keeps what it takes. */
  async lastSequence(timeoutMs: number): Promise<{ readonly sequence: number; readonly historyMs: number }> {
    const info = await this.#info(timeoutMs);
    return { sequence: numberOf(fieldsOf(info.state), "last_seq"), historyMs: historyOf(fieldsOf(info.config), this.#options) };
  }

  /** Has all that the stream holds from `start` on delivered to `subject`, with flow control. Resolves to the consumer's name. */
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

  /** Makes it, unless another node does at this moment, in its own way. */
  async #make(): Promise<Fields> {
    try {
      return await this.#ask(`STREAM.CREATE.${this.#options.names.stream}`, this.#config());
    } catch (error) {
      if (!isRefusal(error, nameInUse)) throw error;
      return this.#info();
    }
  }

  #config(): Fields {
    const { names, replicas, historyMs } = this.#options;
    return {
      name: names.stream,
      subjects: [`${names.taken}.>`],
      storage: "file",
      retention: "limits",
      // A limit that an operator sets refuses new messages: one that dropped old ones would lose invalidations.
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

/** What JetStream's API answers to `body`. Rejects as `request` does, or with JetStreamRefusal. */
export async function askJetStream(transport: Transport, subject: string, body: unknown, options: RequestOptions): Promise<Fields> {
  const payload = body === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(body));
  return answerOf(await transport.request(`$JS.API.${subject}`, payload, options));
}

/** Whether JetStream itself refused; with this code, if one is named. */
export function isRefusal(error: unknown, code?: number): boolean {
  return error instanceof JetStreamRefusal && (code === undefined || error.code === code);
}

/** Somebody else wrote to the subject meanwhile. */
export function isOutrun(error: unknown): boolean {
  return isRefusal(error, wrongLastSequence) || isRefusal(error, wrongLastSequenceInFlight);
}

/** Fields of what JetStream answered. Throws JetStreamRefusal, MalformedMessageError. */
export function answerOf(payload: Uint8Array): Fields {
  let answer: Fields;
  try {
    answer = fieldsOf(JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString()));
  } catch (error) {
    throw new MalformedMessageError({ what: "answer of JetStream", reason: "it is no JSON" }, error);
  }
  if (answer.error === undefined) return answer;
  const { err_code: code, code: status, description } = fieldsOf(answer.error);
  throw new JetStreamRefusal(Number(code ?? status ?? 0), String(description));
}

export function fieldsOf(value: unknown): Fields {
  if (typeof value !== "object" || value === null) throw malformed("an object");
  return value as Fields;
}

export function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw malformed(name);
  return value;
}

export function numberOf(fields: Fields, name: string): number {
  const value = fields[name];
  if (!Number.isSafeInteger(value)) throw malformed(name);
  return value as number;
}

const malformed = (missing: string) => new MalformedMessageError({ what: "answer of JetStream", reason: `it lacks ${missing}` });
