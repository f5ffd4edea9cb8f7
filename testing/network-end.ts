import { checkSize, type Clock, type Log, ClosedError, DisconnectedError, limits } from "../core/index.js";
import { handle } from "../transport/handling.js";
import { LinkListeners } from "../transport/link-listeners.js";
import { PendingRequests } from "../transport/pending-requests.js";
import { checkPattern, checkQueue, checkSubject } from "../transport/subject.js";
import type {
  HeadedMessage,
  HeadedRequestOptions,
  HeadedTransport,
  LinkStatus,
  MessageHeaders,
  SubscribeOptions,
  Subscription,
} from "../transport/transport.js";
import type { Brokers, PublishedMessage } from "./published.js";
import type { Random } from "../core/random.js";
import type { SentMessage } from "./published.js";
import type { SubjectTable } from "../transport/subject.js";
import type { FaultProfile } from "./fault-profile.js";

/** One unbroken connection of an end to the broker. Its in-order messages arrive in order, or not at all. */
interface EndLink {
  /** When the last in-order message reaches the broker, and when the last in-order message to this end arrives. */
  upMs: number;
  downMs: number;
  lostAtMs: number;
}

/** A subscription as the broker knows it. */
export interface Listener {
  readonly owner: NetworkEnd;
  readonly pattern: string;
  readonly queue: string | undefined;
  readonly handler: (message: HeadedMessage) => void;
  /** The broker knows the subscription from this time on. */
  activeAtMs: number;
  isActive: boolean;
}

interface Parcel {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly request: number | undefined;
}

/** Extras of a message that a broker sends: headers by name, a status, the subject for an answer. */
export interface Heading {
  /** The subject that the receivers see, if it differs from the subject they subscribed to. */
  readonly subject?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly code?: number;
  readonly replyTo?: string;
}

/** Runs an action of the end's process: at once, or when the process is awake again. */
export type Awake = (action: () => void) => void;

interface Flushing {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The part of a network that an end uses. */
export interface EndNetwork {
  readonly clock: Clock;
  readonly random: Random;
  readonly payloadBytesMax: number;
  readonly profile: FaultProfile;
  readonly onSend: ((sent: SentMessage) => void) | undefined;
  readonly brokers: Brokers | undefined;
  /** Every subscription of every end. */
  readonly listeners: SubjectTable<Listener>;
  readonly isRunning: boolean;
  /** Extra delay of each message to `name`, in milliseconds. */
  lagMs(name: string): number;
  isSevered(from: string, to: string): boolean;
  /** Whether nothing reaches `name`. */
  isDeaf(name: string): boolean;
  /** The subscriptions that get a message published to `subject`, as the broker knows them at `atMs`. */
  takers(subject: string, atMs: number): readonly Listener[];
  /** Draws the one-way delay of a message, in milliseconds. */
  delayMs(): number;
  /** Draws whether something of this probability happens. */
  happens(probability: number): boolean;
  /** `end` is closed or killed. */
  forget(end: NetworkEnd): void;
}

/** One process's transport over a FaultyNetwork. */
export class NetworkEnd implements HeadedTransport {
  readonly kind = "faulty";
  readonly name: string;
  readonly payloadBytesMax: number;
  readonly #network: EndNetwork;
  readonly #log: Log;
  readonly #awake: Awake;
  readonly #status: LinkListeners;
  readonly #requests: PendingRequests;
  readonly #flushing = new Set<Flushing>();
  readonly #listeners = new Set<Listener>();
  #link: EndLink | undefined;
  #isKilled = false;
  #closing: Promise<void> | undefined;

  /** Made by FaultyNetwork.connect. */
  constructor(network: EndNetwork, name: string, clock: Clock, log: Log, awake: Awake = atOnce) {
    this.#network = network;
    this.name = name;
    this.#log = log;
    this.#awake = awake;
    this.payloadBytesMax = network.payloadBytesMax;
    this.#status = new LinkListeners(log, network.isRunning ? "connected" : "disconnected");
    this.#requests = new PendingRequests(clock);
    if (network.isRunning) this.#link = this.#newLink();
  }

  get status(): LinkStatus {
    return this.#status.status;
  }

  get address(): string {
    return `simulated:${this.name}`;
  }

  publish(subject: string, payload: Uint8Array): void {
    if (this.#isKilled) return;
    checkSubject(subject);
    const link = this.#linked();
    checkSize(subject, payload.length, this.payloadBytesMax);
    if (this.#network.brokers === undefined) this.#route(link, subject, payload, undefined);
    else this.#routeOver(this.#network.brokers, link, { from: this.name, subject, payload: Buffer.from(payload) });
  }

  /** Publishes with headers, a status or a reply subject, as a broker does. Throws as `publish` does. */
  publishHeaded(subject: string, payload: Uint8Array, heading: Heading): void {
    if (this.#isKilled) return;
    checkSubject(subject);
    const link = this.#linked();
    checkSize(subject, payload.length, this.payloadBytesMax);
    this.#route(link, subject, payload, undefined, heading);
  }

  async request(subject: string, payload: Uint8Array, options: HeadedRequestOptions): Promise<Uint8Array> {
    if (this.#isKilled) return new Promise(() => undefined);
    checkSubject(subject);
    const link = this.#linked();
    const { headers } = options;
    // A request with headers must fit into one message.
    checkSize(subject, payload.length, headers === undefined ? limits.messageBytesMax : this.payloadBytesMax);
    return this.#requests.open(subject, options, (id) => {
      if (this.#route(link, subject, payload, id, headers === undefined ? undefined : { headers }) === 0)
        this.#rejectUnheard(link, subject, id);
    });
  }

  subscribe(subject: string, handler: (message: HeadedMessage) => void, options: SubscribeOptions = {}): Subscription {
    checkPattern(subject);
    if (options.queue !== undefined) checkQueue(options.queue);
    if (this.status === "closed") throw new ClosedError({ what: "transport" });
    const activeAtMs = this.#link === undefined ? Infinity : this.#upInLine(this.#link);
    const listener: Listener = { owner: this, pattern: subject, queue: options.queue, handler, activeAtMs, isActive: true };
    this.#listeners.add(listener);
    this.#network.listeners.addPattern(subject, listener);
    return {
      unsubscribe: () => {
        this.#drop(listener);
      },
    };
  }

  onStatus(listener: (status: LinkStatus) => void): () => void {
    return this.#status.addListener(listener);
  }

  async flush(): Promise<void> {
    if (this.#isKilled) return new Promise(() => undefined);
    await this.#roundTrip(this.#linked());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /**
   * Drops the link to the broker: messages in flight on it are lost, requests in flight reject. Does nothing without a
   * link.
   */
  cut(): void {
    if (this.#link === undefined) return;
    this.#link.lostAtMs = this.#network.clock.monotonic();
    this.#link = undefined;
    for (const listener of this.#listeners) listener.activeAtMs = Infinity;
    this.#failAll(new DisconnectedError({ address: this.address }));
    this.#status.set("disconnected");
  }

  /** Links the end to the broker again, if the broker runs. Does nothing after `kill`. */
  mend(): void {
    if (this.#isKilled || this.status !== "disconnected" || !this.#network.isRunning) return;
    this.#link = this.#newLink();
    for (const listener of this.#listeners) listener.activeAtMs = this.#upInLine(this.#link);
    this.#status.set("connected");
  }

  /**
   * Ends as kill -9 ends its process: messages that were sent may arrive, and nothing is delivered to the end any more.
   * Its promises never settle, provided that its clock is stopped too.
   */
  kill(): void {
    this.#isKilled = true;
    this.#link = undefined;
    this.#flushing.clear();
    for (const listener of [...this.#listeners]) this.#drop(listener);
    this.#network.forget(this);
  }

  async #close(): Promise<void> {
    if (this.#isKilled) return new Promise(() => undefined);
    const link = this.#link;
    for (const listener of [...this.#listeners]) this.#drop(listener);
    this.#failAll(new ClosedError({ what: "transport" }));
    this.#status.set("closed");
    // Published messages leave with the link. If the link drops meanwhile, they are lost with it.
    if (link !== undefined) await this.#roundTrip(link).catch(() => undefined);
    this.#link = undefined;
    this.#network.forget(this);
  }

  #newLink(): EndLink {
    const nowMs = this.#network.clock.monotonic();
    return { upMs: nowMs, downMs: nowMs, lostAtMs: Infinity };
  }

  #linked(): EndLink {
    if (this.status === "closed") throw new ClosedError({ what: "transport" });
    if (this.#link === undefined) throw new DisconnectedError({ address: this.address });
    return this.#link;
  }

  #drop(listener: Listener): void {
    listener.isActive = false;
    this.#listeners.delete(listener);
    this.#network.listeners.remove(listener.pattern, listener);
  }

  /** When an in-order message that is sent now reaches the broker. */
  #upInLine(link: EndLink): number {
    link.upMs = Math.max(link.upMs, this.#network.clock.monotonic() + this.#network.delayMs() / 2);
    return link.upMs;
  }

  /** When an in-order message that reaches the broker at `atMs` reaches this end. */
  #downInLine(link: EndLink, atMs: number): number {
    link.downMs = Math.max(link.downMs, atMs + this.#network.delayMs() / 2 + this.#network.lagMs(this.name));
    return link.downMs;
  }

  /** Sends to each subscriber, and to one member of each queue. Returns the number of receivers. */
  #route(link: EndLink, subject: string, payload: Uint8Array, requestId: number | undefined, heading: Heading = {}): number {
    const atMs = this.#upInLine(link);
    const takers = this.#network.takers(subject, atMs);
    const headers = headersOf(heading);
    const replyTo = requestId === undefined ? heading.replyTo : `_INBOX.${this.name}.${requestId}`;
    for (const taker of takers) {
      this.#send(link, taker.owner, atMs, { subject, payload, request: requestId }, (copy) => {
        if (!taker.isActive) return;
        const reply =
          replyTo === undefined ? undefined : (answer: Uint8Array) => taker.owner.#answer(this, subject, answer, requestId, replyTo);
        handle(taker.owner.#log, taker.handler, { subject: heading.subject ?? subject, payload: copy, reply, headers, replyTo });
      });
    }
    return takers.length;
  }

  /** Sends to the end's broker, which finds the receivers at all brokers. */
  #routeOver(brokers: Brokers, link: EndLink, publication: PublishedMessage): void {
    const network = this.#network;
    const atMs = this.#upInLine(link);
    this.#later(atMs, () => {
      if (link.lostAtMs < atMs) return;
      brokers.took(publication);
      const { subject, payload } = publication;
      for (const taker of network.takers(subject, atMs)) {
        brokers.carry(publication, { name: taker.owner.name, sinceMs: taker.activeAtMs }, () => {
          this.#send(link, taker.owner, atMs, { subject, payload, request: undefined }, (copy) => {
            if (taker.isActive) handle(taker.owner.#log, taker.handler, { ...bare, subject, payload: copy });
          });
        });
      }
    });
  }

  #answer(to: NetworkEnd, subject: string, payload: Uint8Array, requestId: number | undefined, replyTo: string): void {
    if (requestId === undefined) this.publish(replyTo, payload);
    else this.#reply(to, subject, payload, requestId);
  }

  #reply(to: NetworkEnd, subject: string, payload: Uint8Array, requestId: number): void {
    if (this.#isKilled) return;
    const link = this.#linked();
    checkSize(`reply to ${subject}`, payload.length, limits.messageBytesMax);
    const parcel = { subject: `${subject} reply`, payload, request: requestId };
    this.#send(link, to, this.#upInLine(link), parcel, (copy) => to.#requests.resolve(requestId, copy));
  }

  #rejectUnheard(link: EndLink, subject: string, requestId: number): void {
    this.#later(this.#downInLine(link, link.upMs), () => {
      if (this.#link === link && !this.#network.isDeaf(this.name))
        this.#requests.fail(requestId, new DisconnectedError({ address: this.address, subject }));
    });
  }

  /**
   * Sends `parcel` to `to`. It reaches the broker at `brokerAtMs`, and is lost, copied or reordered as the fault
   * profile says.
   */
  #send(link: EndLink, to: NetworkEnd, brokerAtMs: number, parcel: Parcel, take: (copy: Uint8Array) => void): void {
    const network = this.#network;
    const { profile } = network;
    const toLink = to.#link;
    const arrivalsMs: number[] = [];
    if (toLink !== undefined && !network.isSevered(this.name, to.name) && !network.happens(profile.loss)) {
      // The routes between brokers may have taken time since `brokerAtMs`.
      const fromMs = Math.max(brokerAtMs, network.clock.monotonic());
      const stray = () => fromMs + network.random.fraction() * profile.strayDelayMsMax;
      arrivalsMs.push(network.happens(profile.straying) ? stray() : to.#downInLine(toLink, fromMs));
      if (network.happens(profile.duplication)) arrivalsMs.push(stray());
    }
    network.onSend?.({ ...parcel, from: this.name, to: to.name, arrivalsMs });
    for (const arrivalMs of arrivalsMs) {
      // Copy now, since the sender may reuse its buffer. Copy for each delivery, since a receiver owns its payload.
      const copy = Buffer.from(parcel.payload);
      this.#later(arrivalMs, () => {
        const isLost = link.lostAtMs < brokerAtMs || to.#link !== toLink || network.isSevered(this.name, to.name);
        if (!isLost) to.#awake(() => take(copy));
      });
    }
  }

  #roundTrip(link: EndLink): Promise<void> {
    const atMs = this.#upInLine(link);
    return new Promise((resolve, reject) => {
      const flushing: Flushing = { resolve, reject };
      this.#flushing.add(flushing);
      const comeBack = () =>
        this.#later(this.#downInLine(link, atMs), () => {
          if (this.#flushing.delete(flushing)) resolve();
        });
      // With a cluster, messages sent before are still on their way to the broker. The answer must come after them.
      if (this.#network.brokers === undefined) comeBack();
      else this.#later(atMs, comeBack);
    });
  }

  #later(atMs: number, action: () => void): void {
    const { clock } = this.#network;
    // A time in the past means now: Node warns of a negative delay.
    clock.setTimeout(action, Math.max(0, atMs - clock.monotonic()));
  }

  #failAll(error: Error): void {
    this.#requests.failAll(error);
    for (const flushing of this.#flushing) flushing.reject(error);
    this.#flushing.clear();
  }
}

/** Fields of a message without headers, for which no process awaits an answer. */
const bare = { reply: undefined, headers: undefined, replyTo: undefined };

const atOnce: Awake = (action) => {
  action();
};

function headersOf({ headers, code }: Heading): MessageHeaders | undefined {
  if (headers === undefined && code === undefined) return undefined;
  const get = (name: string) => headers?.[name] ?? "";
  return { get, last: get, code: code ?? 0 };
}
