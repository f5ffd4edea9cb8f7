import {
  type Random,
  type Clock,
  ClosedError,
  type Duration,
  encodeMessage,
  type Log,
  type NotAuthorizedError,
  silentLog,
  systemRandom,
  systemClock,
  type Tag,
} from "../../core/index.js";
import type { Bus, BusEvent, BusPosition, BusState, BusVersion } from "../bus.js";
import { BusListener } from "../bus-listener.js";
import { BusTrouble } from "../bus-trouble.js";
import { busPace } from "../bus-pace.js";
import { type PlainKind, plainProtocol, type PlainWord, readPlainWord, type ReadPlainWord } from "./plain-words.js";
import { type HeardAt, PlainPublishers } from "./plain-publishers.js";
import { hearEarlierNodes } from "./earlier-nodes.js";
import { RareWarning } from "../rare-warning.js";
import { checkQueue } from "../subject.js";
import { tagOfSubject, tagSubject } from "../tag-subject.js";
import type { Message, Subscription, Transport } from "../transport.js";

/** Where a bus is, and how long it may be silent. */
export interface PlainBusOptions {
  /** Any transport will do. It is not closed with the bus. */
  readonly transport: Transport;
  /** Nodes of one prefix hear each other: one token of a subject. */
  readonly prefix: string;
  /** The same at all nodes. */
  readonly heartbeatIntervalMs?: Duration | undefined;
  /** Silence after which a publisher, or the broker, counts as lost; at least 2.5 intervals. */
  readonly heartbeatTimeoutMs?: Duration | undefined;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: Log;
}

/**
 * A bus without a stream: nobody keeps what was published. Each publisher numbers its invalidations and repeats its last number in
 * a heartbeat. What may hide a lost one is a `reset`: a heartbeat that counts more than was heard, a publisher that falls silent without
 * goodbye, an unknown one that has published before, and each new link. Positions are this node's own; `follow` always begins at the end.
 *
 * The subject decides what a message is, and which tag it invalidates: a publisher that NATS lets publish below one tag can invalidate what is
 * below it, and nothing else. So the numbers that count are those of heartbeats. Nothing under a tag is left out, whatever number it bears.
 *
 * `heardAt` is when the last message of this node's own was sent that had come back before each other publisher was heard last: all that those had
 * published by then, and the broker had, was heard. Between brokers nobody measures: a node that does not know a publisher yet, or has dropped it
 * after the time-out, misses what a broken route loses until it hears of that publisher again; and a slow route is noticed by nothing as long
 * as it is not silent. Throws InvalidOptionError.
 */
export function createPlainBus(options: PlainBusOptions): Bus {
  checkQueue(options.prefix);
  return new PlainBus(options);
}

/** Heartbeats under way whose sending is remembered: they are as many as fit into the time-out, and some. */
const soundsMax = 64;

interface Publication {
  /** When it was sent last, on the monotonic clock. */
  sentAt: number;
  readonly number: number;
  readonly tag: string;
  readonly id: string;
  readonly resolve: (version: BusVersion) => void;
  readonly reject: (reason: Error) => void;
}

class PlainBus implements Bus {
  readonly kind = "nats";
  readonly #options: PlainBusOptions;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #listener: BusListener;
  readonly #subject: string;
  readonly #self: string;
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #epoch: string;
  /** Not heard back yet, by their number, in its order. */
  readonly #published = new Map<number, Publication>();
  readonly #publishers = new PlainPublishers();
  readonly #ends: (() => void)[] = [];
  #state: "new" | "catchingUp" | "following" | "cut" | "closed" = "new";
  #number = 0;
  #sequence = 0;
  #linkedAt = -Infinity;
  #echoedAt = -Infinity;
  /** When the last message of our own was sent that came back. */
  #provenAt = -Infinity;
  /** When greetings and heartbeats were sent that did not come back yet, by their ids. */
  readonly #sounds = new Map<string, number>();
  #soundings = 0;
  #subscription: Subscription | undefined;
  readonly #trouble: BusTrouble;
  readonly #faults: RareWarning;
  /** When #timer is to fire. */
  #dueMs = Infinity;
  /** Of the hello whose echo shows that this link is whole. */
  #hello = "";
  #timer: unknown = undefined;
  #followed: { readonly resolve: () => void; readonly reject: (reason: Error) => void } | undefined;

  constructor(options: PlainBusOptions) {
    this.#options = options;
    this.#transport = options.transport;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#log = options.log ?? silentLog;
    this.#listener = new BusListener(this.#log);
    this.#trouble = new BusTrouble(this.#log, { prefix: options.prefix });
    this.#faults = new RareWarning(this.#clock, this.#log, "the payload of a message of the bus was not used");
    this.#subject = `zooid.${options.prefix}.invalidations`;
    this.#self = this.#random.id();
    this.#epoch = this.#random.id();
    const { intervalMs, timeoutMs } = busPace(options);
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
  }

  get state(): BusState {
    if (this.#state === "following") return { type: "following", epoch: this.#epoch, sequence: this.#sequence };
    return { type: this.#state === "catchingUp" ? "catchingUp" : "cut" };
  }

  /** The longest silence counts: what the others published since is not known here. */
  get trouble(): Error | undefined {
    return this.#trouble.error;
  }

  get heardAt(): number {
    return Math.min(this.#provenAt, this.#publishers.provenAt);
  }

  publish(tag: string, id: string): Promise<BusVersion> {
    if (this.#state === "closed") return Promise.reject(new ClosedError({ what: "bus" }));
    return new Promise((resolve, reject) => {
      const publication = { sentAt: -Infinity, number: ++this.#number, tag, id, resolve, reject };
      this.#published.set(publication.number, publication);
      // Before the greeting of a link nothing new goes out: the numbers of a publisher must arrive in their order.
      if (this.#hello !== "") this.#send(publication);
    });
  }

  listen(listener: (event: BusEvent) => void): void {
    this.#listener.set(listener);
  }

  follow(_from: BusPosition | undefined): Promise<void> {
    if (this.#state === "closed") return Promise.reject(new ClosedError({ what: "bus" }));
    return new Promise((resolve, reject) => {
      this.#followed = { resolve, reject };
      this.#state = "cut";
      const subscription = this.#transport.subscribe(`${this.#subject}.>`, (message) => this.#take(message));
      this.#subscription = subscription;
      this.#ends.push(this.#transport.onRefused?.((error) => this.#refused(error)) ?? (() => undefined));
      const stop = this.#transport.onStatus((status) => {
        if (status === "connected") this.#linked();
        else this.#lose();
      });
      const stopEarlier = hearEarlierNodes(this.#options, this.#subject, () => this.#reset("a node of an earlier version"));
      this.#ends.push(() => subscription.unsubscribe(), stopEarlier, stop);
      this.#wait();
      if (this.#transport.status === "connected") this.#linked();
    });
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    const wasGreeted = this.#hello !== "";
    this.#state = "closed";
    this.#clock.clearTimeout(this.#timer);
    if (wasGreeted) this.#say("bye");
    for (const end of this.#ends.splice(0)) end();
    const closed = new ClosedError({ what: "bus" });
    for (const { reject } of this.#published.values()) reject(closed);
    this.#published.clear();
    this.#followed?.reject(closed);
    this.#followed = undefined;
    if (wasGreeted) await this.#transport.flush().catch(() => undefined);
  }

  #linked(): void {
    this.#linkedAt = this.#clock.monotonic();
    void this.#greet();
  }

  /** On a new link, or after silence: whoever hears it says where it stands, and its echo shows that the way is whole. */
  async #greet(): Promise<void> {
    const hello = this.#random.id();
    try {
      await this.#transport.flush();
    } catch (error) {
      this.#log.debug({ err: error }, "a link was lost before it was used");
      return;
    }
    if (this.#state === "closed" || this.#state === "following" || this.#transport.status !== "connected") return;
    if (this.#subscription?.refused !== undefined) this.#trouble.met("following", this.#subscription.refused);
    const isNewLink = this.#hello === "";
    this.#hello = hello;
    if (isNewLink) this.#state = "catchingUp";
    // What follows the greeting is heard back once this node follows, and the greeting does not count it: to others it is no jump.
    const [unheard = this.#number + 1] = this.#published.keys();
    this.#say("hello", unheard - 1, hello);
    if (isNewLink) for (const publication of this.#published.values()) this.#send(publication);
  }

  /** The broker does not let us publish on a subject. */
  #refused(error: NotAuthorizedError): void {
    const path = error.subject?.slice(this.#subject.length + 1) ?? "";
    if (error.subject !== `${this.#subject}.${path}`) return;
    if (!path.startsWith("tag.")) {
      this.#trouble.met("following", error);
      return;
    }
    for (const { number, tag, reject } of this.#published.values()) {
      if (path !== `tag.${tagSubject(tag)}`) continue;
      this.#published.delete(number);
      this.#trouble.met("publishing", error, { tag });
      reject(error);
    }
  }

  #lose(): void {
    this.#hello = "";
    this.#cut("the link was lost");
  }

  #cut(reason: string): void {
    if (this.#state === "closed" || this.#state === "cut") return;
    const wasFollowing = this.#state === "following";
    this.#state = "cut";
    this.#publishers.clear();
    if (!wasFollowing) return;
    this.#log.warn({ prefix: this.#options.prefix, reason }, "cut off from the invalidation bus");
    this.#listener.tell({ type: "cut" });
  }

  #wait(): void {
    // A little earlier than the interval, and each node at another moment.
    const delayMs = this.#intervalMs * (1 - this.#random.fraction() / 4);
    this.#dueMs = this.#clock.monotonic() + delayMs;
    this.#timer = this.#clock.setTimeout(() => this.#beat(), delayMs);
  }

  #beat(): void {
    const silentSince = this.#clock.monotonic() - this.#timeoutMs;
    // What is read from now on may still be of before.
    const wasHeldUp = this.#dueMs <= silentSince;
    this.#wait();
    if (this.#state === "following") {
      if (wasHeldUp) this.#cut("this process was held up");
      else if (this.#echoedAt < silentSince) this.#cut("the broker is silent");
      else if (this.#publishers.forgetSilent(silentSince)) this.#reset("a publisher fell silent");
    }
    if (this.#state === "following") this.#say("beat");
    else if (this.#transport.status === "connected") void this.#greet();
  }

  #send(publication: Publication): void {
    const { number, id, tag } = publication;
    publication.sentAt = this.#clock.monotonic();
    this.#write(`tag.${tagSubject(tag)}`, [plainProtocol, "invalidate", this.#self, number, id, tag]);
  }

  #say(kind: Exclude<PlainKind, "invalidate">, number = this.#number, id = String(++this.#soundings)): void {
    if (this.#sounds.size >= soundsMax) this.#sounds.clear();
    this.#sounds.set(id, this.#clock.monotonic());
    this.#write(kind, [plainProtocol, kind, this.#self, number, id, ""]);
  }

  #write(subject: string, fields: readonly unknown[]): void {
    try {
      this.#transport.publish(`${this.#subject}.${subject}`, encodeMessage(fields));
    } catch (error) {
      // The link is gone, of which the transport tells: all that was not heard back is sent again on the next.
      this.#log.debug({ err: error, subject }, "nothing can be published now");
    }
  }

  #take({ subject, payload }: Message): void {
    const path = subject.slice(this.#subject.length + 1);
    const word = readPlainWord(payload);
    if (path.startsWith("tag.")) {
      const tag = tagOfSubject(path.slice(4));
      if (tag === undefined) this.#faults.warn({ subject });
      else this.#takeInvalidation(tag, this.#checked(word, "invalidate", tag));
      return;
    }
    const kind = sounds.find((each) => each === path);
    const read = kind && this.#checked(word, kind);
    if (kind === undefined || read === undefined) this.#faults.warn({ subject });
    else if (read.publisher === this.#self) this.#takeOwn(kind, read);
    else this.#takeOthers(kind, read);
  }

  /** Undefined: it says something else than its subject. */
  #checked(word: ReadPlainWord | undefined, kind: PlainKind, tag?: Tag): PlainWord | undefined {
    if (word?.kind === kind && (tag === undefined || word.tag === tag)) return word;
    if (tag !== undefined) this.#faults.warn({ tag, kind: word?.kind, named: word?.tag });
    return undefined;
  }

  /** Invalidates, whatever the payload says. */
  #takeInvalidation(tag: Tag, word: PlainWord | undefined): void {
    const publication = word?.publisher === this.#self ? this.#published.get(word.number) : undefined;
    if (publication !== undefined && publication.tag === tag && publication.id === word?.id) {
      this.#echoed(publication);
      return;
    }
    if (word !== undefined) this.#publishers.published(word.publisher, word.number, this.#heardNow());
    // What is heard before this node follows is part of the reset that it begins with.
    if (this.#state !== "following") return;
    this.#sequence++;
    this.#listener.tell({ type: "invalidated", tag, id: word?.id ?? "", version: this.#position() });
  }

  #echoed({ number, tag, id, sentAt, resolve }: Publication): void {
    this.#published.delete(number);
    this.#trouble.over("publishing");
    this.#sequence++;
    if (this.#state === "following") {
      this.#prove(sentAt);
      this.#listener.tell({ type: "invalidated", tag, id, version: this.#position() });
    }
    resolve({ epoch: this.#epoch, sequence: this.#sequence });
  }

  #takeOwn(kind: PlainKind, { id }: PlainWord): void {
    const sentAt = this.#sounds.get(id);
    if (sentAt === undefined) return;
    this.#sounds.delete(id);
    const isGreeting = kind === "hello" && id === this.#hello;
    if (isGreeting || this.#state === "following") this.#prove(sentAt);
    if (isGreeting) this.#greeted();
    else if (this.#state === "following") this.#listener.tell({ type: "heartbeat", version: this.#position() });
  }

  #prove(sentAt: number): void {
    this.#echoedAt = this.#clock.monotonic();
    this.#provenAt = Math.max(this.#provenAt, sentAt);
  }

  #greeted(): void {
    if (this.#state === "following") return;
    this.#state = "following";
    this.#trouble.over("following");
    this.#reset("a new link");
    this.#listener.tell({ type: "following", version: this.#position() });
    this.#followed?.resolve();
    this.#followed = undefined;
  }

  #takeOthers(kind: PlainKind, { publisher, number }: PlainWord): void {
    const missed = this.#publishers.heard(publisher, number, this.#heardNow());
    if (missed !== undefined) this.#reset(missed);
    if (kind === "bye") this.#publishers.forget(publisher);
    if (kind === "hello" && this.#state === "following") this.#say("beat");
  }

  #heardNow(): HeardAt {
    return { now: this.#clock.monotonic(), provenAt: Math.max(this.#provenAt, this.#linkedAt) };
  }

  #reset(reason: string): void {
    if (this.#state !== "following") return;
    this.#sequence++;
    this.#log.info({ prefix: this.#options.prefix, reason }, "invalidations may have been missed");
    this.#listener.tell({ type: "reset", version: this.#position() });
  }

  #position(): BusPosition {
    return { epoch: this.#epoch, sequence: this.#sequence, time: this.#clock.now() };
  }
}

const sounds = ["hello", "beat", "bye"] as const satisfies readonly PlainKind[];
