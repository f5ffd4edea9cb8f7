import {
  checkSize,
  ClosedError,
  type Clock,
  DisconnectedError,
  limits,
  type Log,
  silentLog,
  systemClock,
  type SeamOptions,
} from "../core/index.js";
import { handle } from "./handling.js";
import { LinkListeners } from "./link-listeners.js";
import { PendingRequests } from "./pending-requests.js";
import { checkPattern, checkQueue, checkSubject, SubjectTable } from "./subject.js";
import type { LinkStatus, Message, RequestOptions, SubscribeOptions, Subscription, Transport } from "./transport.js";

/** Bounds and seams of a broker in this process. Default: the system's clock and no log. */
export interface BrokerOptions extends Pick<SeamOptions, "clock" | "log"> {
  /** Largest payload of one publish, in bytes. Default: the limit of a NATS server. */
  readonly payloadBytesMax?: number;
  /** The address that its transports report. */
  readonly address?: string;
}

/**
 * A broker inside this process. Delivery takes microtasks only, so that a run on a simulated clock depends only on its
 * actors. Members of a queue take turns.
 */
export interface Broker {
  readonly running: boolean;
  readonly address: string;
  readonly payloadBytesMax: number;
  /** A new transport, linked if the broker is running. Default log: the broker's. */
  connect(log?: Log): Transport;
  /** Drops all links and all messages that were not delivered yet, as when a broker is killed. */
  stop(): void;
  /** Links the transports again, with their subscriptions. */
  start(): void;
}

/** A broker that is running. */
export function createBroker(options: BrokerOptions = {}): Broker {
  return new InProcessBroker(options);
}

interface BrokerSubscription {
  readonly pattern: string;
  readonly queue: string | undefined;
  readonly owner: InProcessTransport;
  readonly handler: (message: Message) => void;
  active: boolean;
}

/** Where the reply of a request goes; undefined if none is expected. */
type ReplyTo = { readonly owner: InProcessTransport; readonly id: number } | undefined;

class InProcessBroker implements Broker {
  readonly clock: Clock;
  readonly log: Log;
  readonly payloadBytesMax: number;
  readonly address: string;
  readonly #entries = new SubjectTable<BrokerSubscription>();
  readonly #transports = new Set<InProcessTransport>();
  readonly #turns = new Map<string, number>();
  #running = true;

  constructor(options: BrokerOptions) {
    this.clock = options.clock ?? systemClock;
    this.log = options.log ?? silentLog;
    this.payloadBytesMax = options.payloadBytesMax ?? limits.payloadBytesMax;
    this.address = options.address ?? "in-process";
  }

  get running(): boolean {
    return this.#running;
  }

  connect(log: Log = this.log): Transport {
    const transport = new InProcessTransport(this, log);
    this.#transports.add(transport);
    return transport;
  }

  stop(): void {
    if (!this.#running) return;
    this.#running = false;
    for (const transport of this.#transports) transport.link("disconnected");
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    for (const transport of this.#transports) transport.link("connected");
  }

  leave(transport: InProcessTransport): void {
    this.#transports.delete(transport);
  }

  add(entry: BrokerSubscription): void {
    this.#entries.addPattern(entry.pattern, entry);
  }

  remove(entry: BrokerSubscription): void {
    this.#entries.remove(entry.pattern, entry);
  }

  /** Returns false if no subscription takes the message. */
  route(subject: string, payload: Uint8Array, replyTo: ReplyTo): boolean {
    const takers = this.#takers(subject);
    // The sender may change its payload afterwards, and each receiver owns its own: each gets a copy.
    for (const taker of takers) taker.owner.deliver(taker, subject, new Uint8Array(payload), replyTo);
    return takers.length > 0;
  }

  #takers(subject: string): readonly BrokerSubscription[] {
    const matching = this.#entries.match(subject);
    if (matching.every((entry) => entry.queue === undefined)) return matching;
    const takers: BrokerSubscription[] = [];
    const queues = new Map<string, BrokerSubscription[]>();
    for (const entry of matching) {
      if (entry.queue === undefined) {
        takers.push(entry);
        continue;
      }
      const members = queues.get(entry.queue);
      if (members === undefined) queues.set(entry.queue, [entry]);
      else members.push(entry);
    }
    for (const [queue, members] of queues) {
      const turn = this.#turns.get(queue) ?? 0;
      this.#turns.set(queue, turn + 1);
      const member = members[turn % members.length];
      if (member !== undefined) takers.push(member);
    }
    return takers;
  }
}

class InProcessTransport implements Transport {
  readonly kind = "in-process";
  readonly address: string;
  readonly payloadBytesMax: number;
  readonly #broker: InProcessBroker;
  readonly #log: Log;
  readonly #listeners: LinkListeners;
  readonly #requests: PendingRequests;
  readonly #entries = new Set<BrokerSubscription>();
  /**
   * Deliveries that have arrived and are not handed over yet: messages and replies in one line, so that their order
   * holds.
   */
  #arrived: (() => void)[] = [];

  constructor(broker: InProcessBroker, log: Log) {
    this.#broker = broker;
    this.#log = log;
    this.address = broker.address;
    this.payloadBytesMax = broker.payloadBytesMax;
    this.#listeners = new LinkListeners(log, broker.running ? "connected" : "disconnected");
    this.#requests = new PendingRequests(broker.clock);
  }

  get status(): LinkStatus {
    return this.#listeners.status;
  }

  publish(subject: string, payload: Uint8Array): void {
    checkSubject(subject);
    this.#checkLink();
    checkSize(subject, payload.length, this.payloadBytesMax);
    this.#broker.route(subject, payload, undefined);
  }

  async request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    checkSubject(subject);
    this.#checkLink();
    checkSize(subject, payload.length, limits.messageBytesMax);
    return this.#requests.open(subject, options, (id) => {
      if (!this.#broker.route(subject, payload, { owner: this, id })) throw new DisconnectedError({ address: this.address, subject });
    });
  }

  subscribe(subject: string, handler: (message: Message) => void, options: SubscribeOptions = {}): Subscription {
    checkPattern(subject);
    if (options.queue !== undefined) checkQueue(options.queue);
    if (this.status === "closed") throw new ClosedError({ what: "transport" });
    const entry: BrokerSubscription = { pattern: subject, queue: options.queue, owner: this, handler, active: true };
    this.#entries.add(entry);
    if (this.status === "connected") this.#broker.add(entry);
    return {
      unsubscribe: () => {
        entry.active = false;
        this.#entries.delete(entry);
        this.#broker.remove(entry);
      },
    };
  }

  onStatus(listener: (status: LinkStatus) => void): () => void {
    return this.#listeners.addListener(listener);
  }

  async flush(): Promise<void> {
    this.#checkLink();
  }

  async close(): Promise<void> {
    if (this.status === "closed") return;
    this.#unlink(new ClosedError({ what: "transport" }));
    this.#entries.clear();
    this.#broker.leave(this);
    this.#listeners.set("closed");
  }

  /** The broker's side of the link: the link went up or down. */
  link(status: "connected" | "disconnected"): void {
    if (status === "connected") for (const entry of this.#entries) this.#broker.add(entry);
    else this.#unlink(new DisconnectedError({ address: this.address }));
    this.#listeners.set(status);
  }

  deliver(entry: BrokerSubscription, subject: string, payload: Uint8Array, replyTo: ReplyTo): void {
    this.#arrive(() => {
      if (!entry.active) return;
      const reply = replyTo === undefined ? undefined : (answer: Uint8Array) => this.#reply(subject, answer, replyTo);
      handle(this.#log, entry.handler, { subject, payload, reply });
    });
  }

  #reply(subject: string, answer: Uint8Array, replyTo: NonNullable<ReplyTo>): void {
    this.#checkLink();
    checkSize(`reply to ${subject}`, answer.length, limits.messageBytesMax);
    const payload = new Uint8Array(answer);
    replyTo.owner.#arrive(() => replyTo.owner.#requests.resolve(replyTo.id, payload));
  }

  #arrive(handOver: () => void): void {
    if (this.status !== "connected") return;
    this.#arrived.push(handOver);
    if (this.#arrived.length === 1) queueMicrotask(() => this.#handOver());
  }

  #handOver(): void {
    // Deliveries that arrive meanwhile join this line. If a handler unlinks the transport, later ones are in a new
    // line.
    const line = this.#arrived;
    for (let index = 0; index < line.length && line === this.#arrived; index++) line[index]?.();
    if (line === this.#arrived) this.#arrived = [];
  }

  #unlink(reason: Error): void {
    for (const entry of this.#entries) this.#broker.remove(entry);
    this.#arrived = [];
    this.#requests.failAll(reason);
  }

  #checkLink(): void {
    if (this.status === "closed") throw new ClosedError({ what: "transport" });
    if (this.status !== "connected") throw new DisconnectedError({ address: this.address });
  }
}
