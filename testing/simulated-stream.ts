import type { Clock } from "../core/index.js";

/**
 * Header of every message of a simulated stream: the history in which the stream gave it its sequence. No real broker
 * has it.
 */
export const historyHeader = "Simulated-History";

/** A message that a stream holds. */
export interface StreamMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** Wall clock of the broker when it took the message. */
  readonly timeMs: number;
  /** When a follower has the message, on the monotonic clock. */
  readonly followerAtMs: number;
}

/** A stream's configuration, in the words of JetStream's API. */
export interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly max_age?: number;
  readonly max_msgs_per_subject?: number;
  readonly duplicate_window?: number;
  readonly republish?: { readonly src: string; readonly dest: string } | undefined;
  readonly [field: string]: unknown;
}

/** Reason why a stream refuses a message. */
export interface Refusal {
  readonly code: number;
  readonly err_code: number;
  readonly description: string;
}

const wrongLastSequence = (last: number): Refusal => ({
  code: 400,
  err_code: 10071,
  description: `wrong last sequence: ${last}`,
});

const duplicateWindowMs = 120_000;

/** Result of an append. */
export type Appended =
  | { readonly message: StreamMessage; readonly isDuplicate: false }
  | { readonly sequence: number; readonly isDuplicate: true }
  | { readonly refusal: Refusal };

/**
 * One stream of a simulated JetStream. It keeps every message that it ever took, so that it can lose its end as in a
 * power failure: messages superseded by lost ones are current again.
 */
export class SimulatedStream {
  readonly created: string;
  readonly #clock: Clock;
  #config: StreamConfig;
  #log: StreamMessage[] = [];
  readonly #latest = new Map<string, StreamMessage>();
  readonly #ids = new Map<string, StreamMessage>();
  #truncations = 0;

  constructor(config: StreamConfig, clock: Clock) {
    this.#clock = clock;
    this.#config = config;
    this.created = new Date(clock.now()).toISOString();
  }

  get config(): StreamConfig {
    return this.#config;
  }

  set config(config: StreamConfig) {
    this.#config = config;
  }

  get lastSequence(): number {
    return this.#log.at(-1)?.sequence ?? 0;
  }

  /**
   * Name of the current history. It changes when the stream loses its end, because the stream then gives the same
   * sequences again.
   */
  get history(): string {
    return `${this.created} ${this.#truncations}`;
  }

  /** Appends a message under the conditions in its headers. */
  append(subject: string, payload: Uint8Array, header: (name: string) => string, followerAtMs: number): Appended {
    const expected = header("Nats-Expected-Last-Subject-Sequence");
    const last = this.latest(subject)?.sequence ?? 0;
    if (expected !== "" && Number(expected) !== last) return { refusal: wrongLastSequence(last) };
    const id = header("Nats-Msg-Id");
    const before = id === "" ? undefined : this.#ids.get(id);
    const nowMs = this.#clock.now();
    const windowMs = (this.#config.duplicate_window ?? duplicateWindowMs * 1_000_000) / 1_000_000;
    if (before !== undefined && nowMs - before.timeMs < windowMs) return { sequence: before.sequence, isDuplicate: true };
    const kept = Object.fromEntries(keptHeaders.map((name) => [name, header(name)]).filter(([, value]) => value !== ""));
    const headers = { ...kept, [historyHeader]: this.history };
    const message = { sequence: this.lastSequence + 1, subject, payload, headers, timeMs: nowMs, followerAtMs };
    this.#take(message);
    this.#log.push(message);
    return { message, isDuplicate: false };
  }

  /** The latest message on `subject`, unless it is too old. */
  latest(subject: string): StreamMessage | undefined {
    const message = this.#latest.get(subject);
    return message !== undefined && this.#isLive(message) ? message : undefined;
  }

  /** The message that the stream holds at `sequence`. */
  at(sequence: number): StreamMessage | undefined {
    const message = this.#log[sequence - (this.#log[0]?.sequence ?? 1)];
    return message !== undefined && this.#isLive(message) ? message : undefined;
  }

  /** The first message that the stream holds from `sequence` on and for which `holds` returns true. */
  next(sequence: number, holds: (message: StreamMessage) => boolean = () => true): StreamMessage | undefined {
    for (let index = Math.max(0, sequence - (this.#log[0]?.sequence ?? 1)); index < this.#log.length; index++) {
      const message = this.#log[index];
      if (message !== undefined && this.#isLive(message) && holds(message)) return message;
    }
    return undefined;
  }

  /** All messages that the stream holds. */
  get held(): readonly StreamMessage[] {
    return this.#log.filter((message) => this.#isLive(message));
  }

  /** The latest message of each subject whose latest message is too old. */
  get forgotten(): readonly StreamMessage[] {
    return [...this.#latest.values()].filter((message) => !this.#isLive(message));
  }

  /** Drops all messages after `sequence`, as if the stream had never taken them. */
  truncate(sequence: number): void {
    this.#truncations++;
    const log = this.#log.filter((message) => message.sequence <= sequence);
    this.#log = log;
    this.#latest.clear();
    this.#ids.clear();
    for (const message of log) this.#take(message);
  }

  /** Restarts the server: it then knows only the ids of messages that the stream holds. */
  restart(): void {
    this.#ids.clear();
    for (const message of this.held) this.#noteId(message);
  }

  /** Number of messages that were taken within the last `ms`, counted back from the last one. */
  takenWithin(ms: number): number {
    const sinceMs = this.#clock.now() - ms;
    let count = 0;
    for (let index = this.#log.length - 1; index >= 0 && (this.#log[index]?.timeMs ?? 0) > sinceMs; index--) count++;
    return count;
  }

  #take(message: StreamMessage): void {
    this.#latest.set(message.subject, message);
    this.#noteId(message);
  }

  #noteId(message: StreamMessage): void {
    const id = message.headers["Nats-Msg-Id"];
    if (id !== undefined) this.#ids.set(id, message);
  }

  #isLive(message: StreamMessage): boolean {
    const { max_age: maxAge = 0, max_msgs_per_subject: perSubject = -1 } = this.#config;
    if (perSubject === 1 && this.#latest.get(message.subject) !== message) return false;
    return maxAge === 0 || message.timeMs + maxAge / 1_000_000 > this.#clock.now();
  }
}

/** Headers that a stored message keeps: the ones its readers use. */
const keptHeaders = ["Nats-Msg-Id", "KV-Operation", "Nats-TTL"] as const;
