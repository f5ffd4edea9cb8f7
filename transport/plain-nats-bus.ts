import {
  type Chance,
  type Clock,
  ClosedError,
  decodeMessage,
  type Duration,
  encodeMessage,
  isTagOrRoot,
  limits,
  type Log,
  silentLog,
  systemChance,
  systemClock,
} from "../words/index.js";
import type { Bus, BusEvent, BusPosition, BusState, BusVersion } from "./bus.js";
import { BusListener } from "./bus-listener.js";
import { busPace } from "./bus-pace.js";
import { checkQueue } from "./subject.js";
import type { Transport } from "./transport.js";

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
  readonly chance?: Chance;
  readonly log?: Log;
}

/**
 * A bus without a stream: nobody keeps what was published. Each publisher numbers its invalidations and repeats its last number in
 * a heartbeat. What may hide a lost one is a `reset`: a jump in a publisher's numbers, one that falls silent without goodbye, an
 * unknown one that has published before, and each new link. Positions are this node's own; `follow` always begins at the end.
 * Two nodes that a broken route keeps from each other learn of it after the time-out only, by the silence of the other. Throws InvalidOptionError.
 */
export function createPlainBus(options: PlainBusOptions): Bus {
  checkQueue(options.prefix);
  return new PlainBus(options);
}

const protocol = 1;
type Kind = "hello" | "beat" | "invalidate" | "bye";
type Word = readonly [kind: Kind, publisher: string, number: number, id: string, tag: string];

interface Publication {
  readonly number: number;
  readonly tag: string;
  readonly id: string;
  readonly resolve: (version: BusVersion) => void;
  readonly reject: (reason: Error) => void;
}

interface Publisher {
  number: number;
  /** On the monotonic clock. */
  heardAt: number;
}

class PlainBus implements Bus {
  readonly kind = "nats";
  readonly #options: PlainBusOptions;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #log: Log;
  readonly #listener: BusListener;
  readonly #subject: string;
  readonly #self: string;
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #epoch: string;
  /** Not heard back yet, by their number, in its order. */
  readonly #published = new Map<number, Publication>();
  /** All others that live. */
  readonly #publishers = new Map<string, Publisher>();
  readonly #ends: (() => void)[] = [];
  #state: "new" | "catchingUp" | "following" | "cut" | "closed" = "new";
  #number = 0;
  #sequence = 0;
  #echoedAt = -Infinity;
  /** The same, as far as it proves anything. */
  #provenAt = -Infinity;
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
    this.#chance = options.chance ?? systemChance;
    this.#log = options.log ?? silentLog;
    this.#listener = new BusListener(this.#log);
    this.#subject = `zooid.${options.prefix}.invalidations`;
    this.#self = this.#chance.id();
    this.#epoch = this.#chance.id();
    const { intervalMs, timeoutMs } = busPace(options);
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
  }

  get state(): BusState {
    if (this.#state === "following") return { type: "following", epoch: this.#epoch, sequence: this.#sequence };
    return { type: this.#state === "catchingUp" ? "catchingUp" : "cut" };
  }

  /** The longest silence counts: what the others published since is not known here. */
  get heardAt(): number {
    let heardAt = this.#provenAt;
    for (const publisher of this.#publishers.values()) heardAt = Math.min(heardAt, publisher.heardAt);
    return heardAt;
  }

  publish(tag: string, id: string): Promise<BusVersion> {
    if (this.#state === "closed") return Promise.reject(new ClosedError({ what: "bus" }));
    return new Promise((resolve, reject) => {
      const publication = { number: ++this.#number, tag, id, resolve, reject };
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
      const subscription = this.#transport.subscribe(this.#subject, ({ payload }) => this.#take(payload));
      const stop = this.#transport.onStatus((status) => {
        if (status === "connected") void this.#greet();
        else this.#lose();
      });
      this.#ends.push(() => subscription.unsubscribe(), stop);
      this.#wait();
      if (this.#transport.status === "connected") void this.#greet();
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

  /** On a new link, or after silence: whoever hears it says where it stands, and its echo shows that the way is whole. */
  async #greet(): Promise<void> {
    const hello = this.#chance.id();
    try {
      await this.#transport.flush();
    } catch (error) {
      this.#log.debug({ err: error }, "a link was lost before it was used");
      return;
    }
    if (this.#state === "closed" || this.#state === "following" || this.#transport.status !== "connected") return;
    const isNewLink = this.#hello === "";
    this.#hello = hello;
    if (isNewLink) this.#state = "catchingUp";
    // What follows the greeting is heard back once this node follows, and the greeting does not count it: to others it is no jump.
    const [unheard = this.#number + 1] = this.#published.keys();
    this.#write(["hello", this.#self, unheard - 1, hello, ""]);
    if (isNewLink) for (const publication of this.#published.values()) this.#send(publication);
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
    const delayMs = this.#intervalMs * (1 - this.#chance.fraction() / 4);
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
      else this.#dropSilent(silentSince);
    }
    if (this.#state === "following") this.#say("beat");
    else if (this.#transport.status === "connected") void this.#greet();
  }

  #dropSilent(silentSince: number): void {
    let dropped = 0;
    for (const [id, publisher] of this.#publishers) {
      if (publisher.heardAt >= silentSince) continue;
      this.#publishers.delete(id);
      dropped++;
    }
    if (dropped > 0) this.#reset("a publisher fell silent");
  }

  #send({ number, id, tag }: Publication): void {
    this.#write(["invalidate", this.#self, number, id, tag]);
  }

  #say(kind: "beat" | "bye"): void {
    this.#write([kind, this.#self, this.#number, "", ""]);
  }

  #write(word: Word): void {
    try {
      this.#transport.publish(this.#subject, encodeMessage([protocol, ...word]));
    } catch (error) {
      // The link is gone, of which the transport tells: all that was not heard back is sent again on the next.
      this.#log.debug({ err: error, kind: word[0] }, "nothing can be published now");
    }
  }

  #take(payload: Uint8Array): void {
    const word = this.#read(payload);
    if (word === undefined) return;
    if (word[1] === this.#self) this.#takeOwn(word);
    else this.#takeOthers(word);
  }

  #read(payload: Uint8Array): Word | undefined {
    let message: unknown;
    try {
      message = decodeMessage(payload, "invalidation");
    } catch (error) {
      this.#log.warn({ err: error }, "a message of the bus was dropped");
      return undefined;
    }
    if (Array.isArray(message) && Number.isSafeInteger(message[0]) && message[0] !== protocol) {
      this.#reset("a node speaks another version of the protocol");
      return undefined;
    }
    if (isWord(message)) return message.slice(1) as unknown as Word;
    this.#log.warn({ prefix: this.#options.prefix }, "a message of the bus was dropped");
    return undefined;
  }

  #takeOwn([kind, , number, id]: Word): void {
    const isGreeting = kind === "hello" && id === this.#hello;
    if (isGreeting || this.#state === "following") {
      this.#echoedAt = this.#clock.monotonic();
      // A process that was held up reads late what came by then: no later than a timer that is due proves anything.
      this.#provenAt = Math.max(this.#provenAt, Math.min(this.#echoedAt, this.#dueMs));
    }
    if (kind === "invalidate") this.#echoed(number);
    else if (isGreeting) this.#greeted();
    else if (this.#state === "following") this.#listener.tell({ type: "heartbeat", version: this.#position() });
  }

  #echoed(number: number): void {
    const publication = this.#published.get(number);
    if (publication === undefined) return;
    this.#published.delete(number);
    const { tag, id } = publication;
    this.#sequence++;
    // What is heard before this node follows is part of the reset that it begins with.
    if (this.#state === "following") this.#listener.tell({ type: "invalidated", tag, id, version: this.#position() });
    publication.resolve({ epoch: this.#epoch, sequence: this.#sequence });
  }

  #greeted(): void {
    if (this.#state === "following") return;
    this.#state = "following";
    this.#reset("a new link");
    this.#listener.tell({ type: "following", version: this.#position() });
    this.#followed?.resolve();
    this.#followed = undefined;
  }

  #takeOthers([kind, from, number, id, tag]: Word): void {
    const known = this.#publishers.get(from);
    const last = known?.number ?? 0;
    const isNext = kind === "invalidate" && number === last + 1;
    // All that was not told is in the jump: a copy, or what a heartbeat repeats, is not above what is known.
    if (number > last && !isNext) this.#reset(known === undefined ? "an unknown publisher" : "a jump in a publisher's numbers");
    if (kind === "bye") this.#publishers.delete(from);
    else if (known !== undefined) {
      known.number = Math.max(known.number, number);
      known.heardAt = this.#clock.monotonic();
    } else if (this.#publishers.size < limits.busPublishersMax) {
      this.#publishers.set(from, { number, heardAt: this.#clock.monotonic() });
    }
    if (isNext && this.#state === "following") {
      this.#sequence++;
      this.#listener.tell({ type: "invalidated", tag, id, version: this.#position() });
    }
    if (kind === "hello" && this.#state === "following") this.#say("beat");
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

const kinds: readonly unknown[] = ["hello", "beat", "invalidate", "bye"] satisfies readonly Kind[];

function isWord(message: unknown): message is readonly [number, ...Word] {
  if (!Array.isArray(message) || message.length !== 6) return false;
  const [, kind, publisher, number, id, tag] = message as readonly unknown[];
  return (
    kinds.includes(kind) &&
    [publisher, id, tag].every((text) => typeof text === "string" && text.length <= limits.keyBytesMax) &&
    isTagOrRoot(tag as string) &&
    Number.isSafeInteger(number) &&
    (number as number) >= 0
  );
}
