import type { Clock } from "../core/index.js";
import type { NetworkEnd } from "./network-end.js";
import type { SimulatedStream, StreamMessage } from "./simulated-stream.js";

/** A push consumer's configuration, in the words of JetStream's API. */
export interface ConsumerConfig {
  readonly deliver_subject: string;
  readonly deliver_policy: string;
  readonly opt_start_seq?: number;
  readonly opt_start_time?: string;
  readonly filter_subject?: string;
  readonly headers_only?: boolean;
  readonly flow_control?: boolean;
  readonly idle_heartbeat?: number;
  readonly inactive_threshold?: number;
}

export interface ConsumerOptions {
  readonly name: string;
  readonly stream: SimulatedStream;
  readonly config: ConsumerConfig;
  readonly end: NetworkEnd;
  readonly clock: Clock;
  /** Messages that are delivered before flow control asks the listener for an answer. */
  readonly window: number;
  readonly matches: (pattern: string, subject: string) => boolean;
  /** Whether a subscriber listens to the delivery subject. */
  readonly isHeard: () => boolean;
  readonly ended: () => void;
}

const nothing: Uint8Array = new Uint8Array(0);
const status = 100;
const intervalMsDefault = 5_000;
const idleMsDefault = 5_000;

/**
 * A push consumer of a simulated JetStream. It delivers in order, waits for flow control, and ends when its subject has
 * no listener.
 */
export class SimulatedConsumer {
  readonly #options: ConsumerOptions;
  #next: number;
  #number = 0;
  #unanswered = 0;
  #asks = 0;
  /** Flow-control subject whose answer it waits for. */
  #stalledAt: string | undefined;
  #isQuiet = true;
  #unheardMs = 0;
  #timer: unknown;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#next = this.#start();
    this.#timer = this.#wait();
  }

  get name(): string {
    return this.#options.name;
  }

  get #intervalMs(): number {
    const nanos = this.#options.config.idle_heartbeat ?? 0;
    return nanos === 0 ? intervalMsDefault : nanos / 1_000_000;
  }

  /** Delivers all messages that it can. */
  pump(): void {
    const { stream, config, window } = this.#options;
    while (this.#stalledAt === undefined) {
      const message = stream.next(this.#next, ({ subject }) => this.#isWanted(subject));
      if (message === undefined) return;
      this.#next = message.sequence + 1;
      this.#deliver(message);
      if (config.flow_control === true && ++this.#unanswered >= window) this.#ask();
    }
  }

  /** The listener has answered flow control on `subject`. */
  answered(subject: string): void {
    if (subject !== this.#stalledAt) return;
    this.#stalledAt = undefined;
    this.#unanswered = 0;
    this.pump();
  }

  end(): void {
    this.#options.clock.clearTimeout(this.#timer);
  }

  #start(): number {
    const { stream, config } = this.#options;
    switch (config.deliver_policy) {
      case "by_start_sequence":
        return config.opt_start_seq ?? 1;
      case "by_start_time": {
        const startMs = Date.parse(config.opt_start_time ?? "");
        return stream.next(1, ({ timeMs }) => timeMs >= startMs)?.sequence ?? stream.lastSequence + 1;
      }
      case "new":
        return stream.lastSequence + 1;
      case "last":
        return Math.max(1, stream.lastSequence);
      default:
        return 1;
    }
  }

  #isWanted(subject: string): boolean {
    const { config, matches } = this.#options;
    return config.filter_subject === undefined || config.filter_subject === "" || matches(config.filter_subject, subject);
  }

  #deliver(message: StreamMessage): void {
    const { stream, config, end, name } = this.#options;
    const { sequence, subject, timeMs, payload, headers } = message;
    this.#isQuiet = false;
    const replyTo = `$JS.ACK.${stream.config.name}.${name}.1.${sequence}.${++this.#number}.${Math.floor(timeMs) * 1_000_000}.0`;
    const isBare = config.headers_only === true;
    end.publishHeaded(config.deliver_subject, isBare ? nothing : payload, {
      subject,
      headers: isBare ? { ...headers, "Nats-Msg-Size": String(payload.length) } : headers,
      replyTo,
    });
  }

  #ask(): void {
    const { stream, config, end, name } = this.#options;
    this.#stalledAt = `$JS.FC.${stream.config.name}.${name}.${++this.#asks}`;
    end.publishHeaded(config.deliver_subject, nothing, { code: status, replyTo: this.#stalledAt });
  }

  #wait(): unknown {
    return this.#options.clock.setTimeout(() => this.#beat(), this.#intervalMs);
  }

  #beat(): void {
    const { config, end, isHeard, ended } = this.#options;
    this.#unheardMs = isHeard() ? 0 : this.#unheardMs + this.#intervalMs;
    if (this.#unheardMs > (config.inactive_threshold ?? idleMsDefault * 1_000_000) / 1_000_000) {
      ended();
      return;
    }
    if (this.#isQuiet && config.idle_heartbeat !== undefined && end.status === "connected") {
      const headers = { "Nats-Last-Consumer": String(this.#number), "Nats-Last-Stream": String(this.#next - 1) };
      const stalled = this.#stalledAt === undefined ? {} : { "Nats-Consumer-Stalled": this.#stalledAt };
      end.publishHeaded(config.deliver_subject, nothing, { code: status, headers: { ...headers, ...stalled } });
    }
    this.#isQuiet = true;
    this.#timer = this.#wait();
  }
}
