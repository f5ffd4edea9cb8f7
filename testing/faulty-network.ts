import type { Random, Clock, Log } from "../core/index.js";
import { assert, limits, silentLog } from "../core/index.js";
import { SubjectTable } from "../transport/subject.js";
import type { Awake, Listener } from "./network-end.js";
import { NetworkEnd } from "./network-end.js";
import type { FaultProfile } from "./fault-profile.js";
import { calm } from "./fault-profile.js";
import type { Brokers, SentMessage } from "./published.js";
import type { EndNetwork } from "./network-end.js";

/** Seams and faults of a network. Default: no faults. */
export interface FaultyNetworkOptions {
  readonly clock: Clock;
  /** Decides delays, losses, copies and strays, and the member of a queue that gets a message. */
  readonly random: Random;
  readonly log?: Log;
  readonly profile?: FaultProfile;
  /** Largest payload of one publish, in bytes. Default: that of a NATS server. */
  readonly payloadBytesMax?: number;
  /** Called with each message when it is sent, for a readable trace. */
  readonly onSend?: (sent: SentMessage) => void;
  /**
   * Brokers of a cluster in place of the single broker. With them, the receivers of a message are determined when it
   * reaches a broker, so that publishers overtake each other as they do with NATS. Without them, the receivers are
   * determined when the message is sent.
   */
  readonly brokers?: Brokers;
}

/** Options of one end. Default: those of the network. */
export interface EndOptions {
  /** Clock of the process that connects, for the time-outs of its requests. */
  readonly clock?: Clock;
  readonly log?: Log;
  /** Runs each delivery to this end. Default: at once. */
  readonly awake?: Awake;
}

/**
 * A broker and its links, in one process. It delivers through a clock, as randomness and the fault profile decide.
 * Ends can be severed from one another, cut from the broker, or killed; the broker can be stopped. The same randomness
 * and the same calls give exactly the same run.
 */
export class FaultyNetwork implements EndNetwork {
  readonly clock: Clock;
  readonly random: Random;
  readonly payloadBytesMax: number;
  profile: FaultProfile;
  readonly onSend: ((sent: SentMessage) => void) | undefined;
  readonly brokers: Brokers | undefined;
  /** Every subscription of every end. */
  readonly listeners = new SubjectTable<Listener>();
  readonly #log: Log;
  readonly #ends = new Set<NetworkEnd>();
  readonly #severed = new Set<string>();
  readonly #lagsMs = new Map<string, number>();
  #isRunning = true;

  constructor(options: FaultyNetworkOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.profile = options.profile ?? calm;
    this.payloadBytesMax = options.payloadBytesMax ?? limits.payloadBytesMax;
    this.onSend = options.onSend;
    this.brokers = options.brokers;
    this.#log = options.log ?? silentLog;
    assert(this.payloadBytesMax <= limits.messageBytesMax, "a payload is not larger than a message");
  }

  /**
   * A transport of the process `name`, linked unless the broker is stopped. A name may connect again, even while an
   * older end of this name lives.
   */
  connect(name: string, options: EndOptions = {}): NetworkEnd {
    const end = new NetworkEnd(this, name, options.clock ?? this.clock, options.log ?? this.#log, options.awake);
    this.#ends.add(end);
    return end;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Kills the broker: every link drops, and all messages in flight are lost. */
  stop(): void {
    this.#isRunning = false;
    for (const end of [...this.#ends]) end.cut();
  }

  /** Starts the broker again: every end gets a new link, with its subscriptions. */
  start(): void {
    this.#isRunning = true;
    for (const end of [...this.#ends]) end.mend();
  }

  /**
   * Loses, silently, every message from `from` to `to` (names), also those in flight, until healed. One direction only.
   */
  sever(from: string, to: string): void {
    this.#severed.add(`${from}>${to}`);
  }

  /** Loses, silently, every message to `name`, also "no responders", until healed. `name` can still publish. */
  deafen(name: string): void {
    this.#severed.add(`>${name}`);
  }

  /** Delays each message to `name` by `lagMs`, in order: its link is slow, not silent. 0 ends it. */
  slowDown(name: string, lagMs: number): void {
    this.#lagsMs.set(name, lagMs);
  }

  lagMs(name: string): number {
    return this.#lagsMs.get(name) ?? 0;
  }

  /** Ends every `sever` and `deafen`. */
  heal(): void {
    this.#severed.clear();
  }

  isSevered(from: string, to: string): boolean {
    return this.#severed.has(`${from}>${to}`) || this.isDeaf(to);
  }

  isDeaf(name: string): boolean {
    return this.#severed.has(`>${name}`);
  }

  /**
   * The subscriptions that get a message which reaches the broker at `atMs`: each subscriber, and one member of each
   * queue.
   */
  takers(subject: string, atMs: number): readonly Listener[] {
    const takers: Listener[] = [];
    const queues = new Map<string, Listener[]>();
    for (const listener of this.listeners.match(subject)) {
      if (listener.activeAtMs > atMs) continue;
      if (listener.queue === undefined) takers.push(listener);
      else queues.set(listener.queue, [...(queues.get(listener.queue) ?? []), listener]);
    }
    for (const members of queues.values()) {
      const member = members[Math.floor(this.random.fraction() * members.length)];
      if (member !== undefined) takers.push(member);
    }
    return takers;
  }

  /** Called by an end that was closed or killed. */
  forget(end: NetworkEnd): void {
    this.#ends.delete(end);
  }

  /** One-way delay, in ms, of a message that stays in order. */
  delayMs(): number {
    const { delayMsMin, delayMsMax } = this.profile;
    return delayMsMin + this.random.fraction() * (delayMsMax - delayMsMin);
  }

  /** Whether something of this probability happens now. Draws from `random` only if `probability` is above 0. */
  happens(probability: number): boolean {
    return probability > 0 && this.random.fraction() < probability;
  }
}
