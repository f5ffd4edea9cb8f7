import type { Random, Clock, Log } from "../core/index.js";
import { assert, limits, silentLog } from "../core/index.js";
import { SubjectTable } from "../transport/subject.js";
import type { Awake, Listener } from "./network-end.js";
import { NetworkEnd } from "./network-end.js";
import type { FaultProfile } from "./fault-profile.js";
import { calm } from "./fault-profile.js";
import type { Brokers, SentMessage } from "./published.js";
import type { EndNetwork } from "./network-end.js";

/** What decides a network's faults; none by default. */
export interface FaultyNetworkOptions {
  readonly clock: Clock;
  /** Decides delays, losses, copies and strays, and the member of a queue that gets a message. */
  readonly random: Random;
  readonly log?: Log;
  readonly profile?: FaultProfile;
  /** Largest payload of one publish, in bytes; that of a NATS server unless told. */
  readonly payloadBytesMax?: number;
  /** Told of each message when it is sent, for a readable trace. */
  readonly onSend?: (sent: SentMessage) => void;
  /**
   * Brokers of a cluster in place of the one. What is published finds its takers when it reaches a broker, so that publishers overtake each other
   * as they do with NATS; without them it finds its takers when it is sent.
   */
  readonly brokers?: Brokers;
}

/** What belongs to one end alone; the network's own unless told. */
export interface EndOptions {
  /** Clock of the process that connects, for the time-outs of its requests. */
  readonly clock?: Clock;
  readonly log?: Log;
  /** Takes what is delivered to it; at once unless told. */
  readonly awake?: Awake;
}

/**
 * A broker and the lines to it, in one process: delivers through a clock, as randomness and the fault profile decide.
 * Ends can be severed from one another, cut from the broker, or killed; the broker can be stopped. All of it is
 * repeated exactly by the same chance and the same calls.
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

  /** A transport of the process `name`, linked unless the broker is stopped. A name may connect again, also while an older end lives. */
  connect(name: string, options: EndOptions = {}): NetworkEnd {
    const end = new NetworkEnd(this, name, options.clock ?? this.clock, options.log ?? this.#log, options.awake);
    this.#ends.add(end);
    return end;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Kills the broker: every link drops, what was under way is lost. */
  stop(): void {
    this.#isRunning = false;
    for (const end of [...this.#ends]) end.cut();
  }

  /** Starts the broker again: every end is linked, its subscriptions with it. */
  start(): void {
    this.#isRunning = true;
    for (const end of [...this.#ends]) end.mend();
  }

  /** Loses, in silence, what `from` sends to `to` (by name), what is under way included, until healed. One way only. */
  sever(from: string, to: string): void {
    this.#severed.add(`${from}>${to}`);
  }

  /** Loses, in silence, all that is for `name`, the broker's own word that nobody listens included, until healed: it publishes, and hears nothing. */
  deafen(name: string): void {
    this.#severed.add(`>${name}`);
  }

  /** What is for `name` takes so much longer, in order: its link is slow, not silent. 0 ends it. */
  slowDown(name: string, lagMs: number): void {
    this.#lagsMs.set(name, lagMs);
  }

  lagMs(name: string): number {
    return this.#lagsMs.get(name) ?? 0;
  }

  /** Ends every severance, and all deafness. */
  heal(): void {
    this.#severed.clear();
  }

  isSevered(from: string, to: string): boolean {
    return this.#severed.has(`${from}>${to}`) || this.isDeaf(to);
  }

  isDeaf(name: string): boolean {
    return this.#severed.has(`>${name}`);
  }

  /** Who gets what reaches the broker on `subject` at `atMs`: each subscriber, and one member of each queue. */
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

  /** One way's delay, in ms, of a message that stays in line. */
  delayMs(): number {
    const { delayMsMin, delayMsMax } = this.profile;
    return delayMsMin + this.random.fraction() * (delayMsMax - delayMsMin);
  }

  /** Whether something of this probability happens now. Asks chance nothing when it cannot. */
  happens(probability: number): boolean {
    return probability > 0 && this.random.fraction() < probability;
  }
}
