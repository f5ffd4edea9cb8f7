import { SubjectTable } from "../transport/subject.js";
import type { HeadedMessage, Subscription } from "../transport/transport.js";
import { type Random, type Clock, silentLog, type Log } from "../core/index.js";
import type { FaultyNetwork } from "./faulty-network.js";
import type { NetworkEnd } from "./network-end.js";
import { type ConsumerConfig, SimulatedConsumer } from "./simulated-consumer.js";
import { type Refusal, SimulatedStream, type StreamConfig, type StreamMessage } from "./simulated-stream.js";

/** Faults of a simulated JetStream. */
export interface JetStreamFaults {
  /** Chance that a message is stored but neither republished nor acknowledged: the leader died in between. */
  readonly unsaid: number;
  /** Maximal lag of a follower, which answers direct gets. */
  readonly followerLagMsMax: number;
  /** Maximal number of messages that a consumer delivers before flow control is answered. */
  readonly windowMax: number;
  /** Whether a republished message carries its time, as since nats-server 2.10. */
  readonly saysTime: boolean;
}

/** A JetStream without faults. */
export const soundJetStream: JetStreamFaults = { unsaid: 0, followerLagMsMax: 0, windowMax: 64, saysTime: true };

/** A message as the stream took it, for observers. */
export interface TakenMessage extends StreamMessage {
  readonly stream: string;
  /** Distinguishes streams with the same name. */
  readonly created: string;
}

/** Seams and faults of a simulated JetStream. */
export interface SimulatedJetStreamOptions {
  readonly network: FaultyNetwork;
  /** Clock of the broker, with its own wall clock. Default: the network's clock. */
  readonly clock?: Clock;
  readonly random: Random;
  readonly log?: Log;
  readonly faults?: JetStreamFaults;
  /** Called with each message that a stream takes, before any other process learns of it. */
  readonly onTaken?: (message: TakenMessage) => void;
}

/** Name of JetStream's end of the network, for `sever`. */
export const jetStreamEnd = "jetstream";

const streamNotFound: Refusal = { code: 404, err_code: 10059, description: "stream not found" };
const messageNotFound: Refusal = { code: 404, err_code: 10037, description: "no message found" };
const consumerNotFound: Refusal = { code: 404, err_code: 10014, description: "consumer not found" };
const wrongStream: Refusal = { code: 400, err_code: 10060, description: "expected stream does not match" };
const noSuchCall: Refusal = { code: 400, err_code: 10003, description: "bad request" };
const nothing: Uint8Array = new Uint8Array(0);

type Fields = Readonly<Record<string, unknown>>;

/**
 * The JetStream of a FaultyNetwork's broker, as far as transport/ uses it. Streams survive a stop of the network (a
 * kill of the broker); consumers do not. The leader answers all requests except direct gets, which a follower answers.
 */
export class SimulatedJetStream {
  faults: JetStreamFaults;
  readonly #options: SimulatedJetStreamOptions;
  readonly #clock: Clock;
  readonly #end: NetworkEnd;
  readonly #streams = new Map<string, SimulatedStream>();
  readonly #consumers = new Map<string, SimulatedConsumer>();
  readonly #subscriptions: Subscription[] = [];
  readonly #ofStreams = new Map<SimulatedStream, Subscription[]>();
  #consumersMade = 0;
  #isLeading = true;

  constructor(options: SimulatedJetStreamOptions) {
    this.#options = options;
    this.faults = options.faults ?? soundJetStream;
    this.#clock = options.clock ?? options.network.clock;
    this.#end = options.network.connect(jetStreamEnd, { log: options.log ?? silentLog });
    this.#end.onStatus((status) => {
      if (status !== "connected") this.#endConsumers();
      else for (const stream of this.#streams.values()) stream.restart();
    });
    this.#subscribeAll();
  }

  /** The stream `name`, for inspection. */
  stream(name: string): SimulatedStream | undefined {
    return this.#streams.get(name);
  }

  /** There is no leader: no message is taken and no request answered, while links hold. */
  pause(): void {
    this.#isLeading = false;
    this.#unsubscribeAll();
    this.#endConsumers();
  }

  resume(): void {
    if (this.#isLeading) return;
    this.#isLeading = true;
    this.#subscribeAll();
  }

  /** Loses all streams. Call it while the network is stopped. */
  empty(): void {
    this.#streams.clear();
    this.#subscribeAll();
  }

  /**
   * Loses the messages that streams took within the last `ms`, as a broker that does not sync before it acknowledges.
   * Call it while the network is stopped.
   */
  losePower(ms: number): void {
    for (const stream of this.#streams.values()) stream.truncate(stream.lastSequence - stream.takenWithin(ms));
  }

  #subscribeAll(): void {
    this.#unsubscribeAll();
    if (!this.#isLeading) return;
    this.#subscriptions.push(
      this.#end.subscribe("$JS.API.>", (message) => this.#answer(message)),
      this.#end.subscribe("$JS.FC.>", ({ subject }) => this.#consumers.get(subject.split(".")[3] ?? "")?.answered(subject)),
    );
    for (const stream of this.#streams.values()) this.#subscribeFor(stream);
  }

  #unsubscribeAll(): void {
    for (const subscription of [...this.#subscriptions.splice(0), ...[...this.#ofStreams.values()].flat()]) subscription.unsubscribe();
    this.#ofStreams.clear();
  }

  #subscribeFor(stream: SimulatedStream): void {
    for (const subscription of this.#ofStreams.get(stream) ?? []) subscription.unsubscribe();
    const handler = (message: HeadedMessage) => this.#take(stream, message);
    this.#ofStreams.set(
      stream,
      stream.config.subjects.map((pattern) => this.#end.subscribe(pattern, handler)),
    );
  }

  #endConsumers(): void {
    for (const consumer of this.#consumers.values()) consumer.end();
    this.#consumers.clear();
  }

  // ---- Taking

  #take(stream: SimulatedStream, message: HeadedMessage): void {
    const { name } = stream.config;
    if (this.#streams.get(name) !== stream) return;
    const header = (of: string) => message.headers?.get(of) ?? "";
    const expected = header("Nats-Expected-Stream");
    if (expected !== "" && expected !== name) {
      say(message, { stream: name, error: wrongStream });
      return;
    }
    const { random, onTaken } = this.#options;
    const last = stream.latest(message.subject)?.sequence ?? 0;
    const followerAtMs = this.#clock.monotonic() + random.fraction() * this.faults.followerLagMsMax;
    const came = stream.append(message.subject, message.payload, header, followerAtMs);
    if ("refusal" in came) {
      say(message, { stream: name, error: came.refusal });
      return;
    }
    if (came.isDuplicate) {
      say(message, { stream: name, seq: came.sequence, duplicate: true });
      return;
    }
    onTaken?.({ ...came.message, stream: name, created: stream.created });
    if (this.faults.unsaid === 0 || random.fraction() >= this.faults.unsaid) {
      this.#repeat(stream, came.message, last);
      say(message, { stream: name, seq: came.message.sequence });
    }
    for (const consumer of this.#consumers.values()) consumer.pump();
  }

  /** Republishes before the acknowledgement, on the same link. */
  #repeat(stream: SimulatedStream, message: StreamMessage, lastOfSubject: number): void {
    const { name, republish } = stream.config;
    if (republish === undefined) return;
    const prefix = republish.src.slice(0, -1);
    if (!message.subject.startsWith(prefix)) return;
    const time = { "Nats-Time-Stamp": new Date(message.timeMs).toISOString() };
    this.#end.publishHeaded(republish.dest.slice(0, -1) + message.subject.slice(prefix.length), message.payload, {
      headers: {
        ...message.headers,
        "Nats-Stream": name,
        "Nats-Subject": message.subject,
        "Nats-Sequence": String(message.sequence),
        "Nats-Last-Sequence": String(lastOfSubject),
        ...(this.faults.saysTime ? time : {}),
      },
    });
  }

  // ---- The API

  #answer(message: HeadedMessage): void {
    const [, , area, call, ...rest] = message.subject.split(".");
    if (area === "DIRECT" && call === "GET") {
      message.reply?.(this.#directGet(rest, body(message)));
      return;
    }
    const found = this.#call(`${area}.${call}`, rest, message);
    const { error, ...answer } = found;
    say(message, error === undefined ? answer : { error });
  }

  #call(call: string, [name = "", ...rest]: readonly string[], message: HeadedMessage): Fields {
    const asked = body(message);
    if (call === "STREAM.CREATE") return this.#createStream(asked as unknown as StreamConfig);
    if (call === "STREAM.MSG") return this.#getMessage(this.#streams.get(rest[0] ?? ""), asked);
    const stream = this.#streams.get(name);
    if (stream === undefined) return { error: streamNotFound };
    switch (call) {
      case "STREAM.INFO":
        return infoOf(stream);
      case "STREAM.UPDATE":
        stream.config = { ...stream.config, ...asked };
        this.#subscribeFor(stream);
        return infoOf(stream);
      case "CONSUMER.CREATE":
        return this.#createConsumer(stream, fields(asked.config) as unknown as ConsumerConfig);
      case "CONSUMER.DELETE": {
        const consumer = this.#consumers.get(rest[0] ?? "");
        if (consumer === undefined) return { error: consumerNotFound };
        consumer.end();
        this.#consumers.delete(consumer.name);
        return { success: true };
      }
      default:
        return { error: noSuchCall };
    }
  }

  #createStream(config: StreamConfig): Fields {
    const known = this.#streams.get(config.name);
    if (known !== undefined) return infoOf(known);
    const stream = new SimulatedStream(config, this.#clock);
    this.#streams.set(config.name, stream);
    this.#subscribeFor(stream);
    return infoOf(stream);
  }

  #getMessage(stream: SimulatedStream | undefined, asked: Fields): Fields {
    if (stream === undefined) return { error: streamNotFound };
    const { last_by_subj: last, next_by_subj: next, seq = 0 } = asked;
    const found =
      typeof last === "string"
        ? stream.latest(last)
        : typeof next === "string"
          ? stream.next(Number(seq), ({ subject }) => isMatch(next, subject))
          : stream.at(Number(seq));
    if (found === undefined) return { error: messageNotFound };
    const { sequence, subject, payload, headers, timeMs } = found;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const hdrs = lines.length === 0 ? {} : { hdrs: Buffer.from(`NATS/1.0\r\n${lines.join("")}\r\n`).toString("base64") };
    const data = Buffer.from(payload).toString("base64");
    return { message: { subject, seq: sequence, data, time: new Date(timeMs).toISOString(), ...hdrs } };
  }

  /** Answer of a follower, which may lag: a message that it does not have yet is missing. */
  #directGet([name = "", ...subject]: readonly string[], asked: Fields): Uint8Array {
    const stream = this.#streams.get(name);
    const last = subject.length > 0 ? subject.join(".") : asked.last_by_subj;
    const found = typeof last === "string" ? stream?.latest(last) : stream?.at(Number(asked.seq ?? 0));
    return found === undefined || found.followerAtMs > this.#clock.monotonic() ? nothing : found.payload;
  }

  #createConsumer(stream: SimulatedStream, config: ConsumerConfig): Fields {
    const { network, random } = this.#options;
    const name = `consumer${++this.#consumersMade}`;
    const consumer = new SimulatedConsumer({
      name,
      stream,
      config,
      end: this.#end,
      clock: this.#clock,
      window: 1 + Math.floor(random.fraction() * this.faults.windowMax),
      matches: isMatch,
      isHeard: () => network.listeners.match(config.deliver_subject).length > 0,
      ended: () => this.#consumers.delete(name),
    });
    this.#consumers.set(name, consumer);
    // Its first delivery comes after the answer.
    this.#clock.setTimeout(() => {
      if (this.#consumers.get(name) === consumer) consumer.pump();
    }, 0);
    return { stream_name: stream.config.name, name, config };
  }
}

function infoOf(stream: SimulatedStream): Fields {
  const { config, created, held, lastSequence } = stream;
  const state = { messages: held.length, first_seq: held[0]?.sequence ?? lastSequence + 1, last_seq: lastSequence };
  return { config, created, state };
}

function say(message: HeadedMessage, answer: Fields): void {
  message.reply?.(Buffer.from(JSON.stringify(answer)));
}

function body({ payload }: HeadedMessage): Fields {
  return payload.length === 0 ? {} : fields(JSON.parse(Buffer.from(payload).toString()));
}

const fields = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {});

function isMatch(pattern: string, subject: string): boolean {
  const table = new SubjectTable<true>();
  table.addPattern(pattern, true);
  return table.match(subject).length > 0;
}
