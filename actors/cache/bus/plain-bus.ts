import { type Actor } from "xstate";
import { plainBusMachine } from "../../../machines/cache/plain-bus.js";
import { ClosedError, type NotAuthorizedError, type SeamOptions, type Tag } from "../../../core/index.js";
import type { BusPosition, BusState, BusVersion } from "../../../transport/bus.js";
import { busPace, type BusPaceOptions } from "../../../transport/bus-pace.js";
import { type PlainWord, readPlainWord, type SoundKind, soundKinds, writePlainWord } from "../../../transport/nats/plain-words.js";
import { type HeardAt, PlainPublishers } from "../../../transport/nats/plain-publishers.js";
import { hearEarlierNodes } from "../../../transport/nats/earlier-nodes.js";
import { RareWarning } from "../../../transport/rare-warning.js";
import { checkQueue } from "../../../transport/subject.js";
import { tagOfSubject, tagSubject } from "../../../transport/tag-subject.js";
import type { Message, Subscription, Transport } from "../../../transport/transport.js";
import { type BusWithMachine, DrivenBus } from "./bus-machine.js";
import { PlainSounds } from "./plain-sounds.js";

/** Options of a bus over plain NATS. */
export interface PlainBusOptions extends SeamOptions, BusPaceOptions {
  /** Any transport will do. It is not closed with the bus. */
  readonly transport: Transport;
  /** Nodes with the same prefix share invalidations. One token of a subject. */
  readonly prefix: string;
}

/**
 * A bus without a stream: the broker keeps no invalidation. Each publisher numbers its invalidations and repeats its
 * last number in its heartbeats. Every sign that an invalidation may be lost is a `reset`: a heartbeat with a higher
 * number than this node has received, a publisher that falls silent without goodbye, an unknown publisher that has
 * published before, and each new link. Positions are this node's own; `follow` always begins at the end.
 *
 * The subject decides what a message is, and which tag it invalidates: a publisher that NATS lets publish below one
 * tag can invalidate tags below it, and nothing else. So only the numbers in heartbeats count. A message under a tag
 * always invalidates; its number does not matter.
 *
 * `heardAt` is the time at which this node sent the last of its own messages that came back before it last heard each
 * other publisher. This node has received everything that those publishers had published, and the broker had taken, by
 * that time. The path between two brokers is not measured: while a route is broken, a node misses what the route loses
 * from a publisher that it does not know yet, or has dropped after the time-out, until it hears that publisher again. A
 * slow route that is never silent is not noticed. Throws InvalidOptionError.
 */
export function createPlainBus(options: PlainBusOptions): BusWithMachine {
  checkQueue(options.prefix);
  return new PlainBus(options);
}

interface Publication {
  /** When it was sent last, on the monotonic clock. */
  sentAt: number;
  readonly number: number;
  readonly tag: string;
  readonly id: string;
  readonly resolve: (version: BusVersion) => void;
  readonly reject: (reason: Error) => void;
}

class PlainBus extends DrivenBus implements BusWithMachine {
  readonly kind = "nats";
  readonly #options: PlainBusOptions;
  readonly #transport: Transport;
  readonly #subject: string;
  readonly #self: string;
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #epoch: string;
  /** Publications that have not come back yet, by their number, in its order. */
  readonly #published = new Map<number, Publication>();
  readonly #publishers = new PlainPublishers();
  readonly actor: Actor<typeof plainBusMachine>;
  #isClosed = false;
  #number = 0;
  #sequence = 0;
  #linkedAt = -Infinity;
  #echoedAt = -Infinity;
  /** When this node sent the last of its own messages that came back. */
  #provenAt = -Infinity;
  readonly #sounds = new PlainSounds();
  #soundings = 0;
  #subscription: Subscription | undefined;
  readonly #faults: RareWarning;
  /** When the next heartbeat is due, on the monotonic clock. */
  #dueMs = Infinity;
  /** Whether this link has had a greeting. */
  #isGreeted = false;

  constructor(options: PlainBusOptions) {
    super(options, { prefix: options.prefix });
    this.#options = options;
    this.#transport = options.transport;
    this.#faults = new RareWarning(this.clock, this.log, "the payload of a message of the bus was not used");
    this.#subject = `zooid.${options.prefix}.invalidations`;
    this.#self = this.random.id();
    this.#epoch = this.random.id();
    const { intervalMs, timeoutMs } = busPace(options);
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    this.actor = this.drivenBy(this.#provided());
  }

  #provided(): typeof plainBusMachine {
    return plainBusMachine.provide({
      actions: {
        ...this.effects,
        greet: () => void this.#greet(),
        unlink: () => {
          this.#isGreeted = false;
          this.#sounds.forgetGreetings();
        },
        forgetPublishers: () => {
          // This node still does not know what a publisher that fell silent has published.
          this.#provenAt = this.heardAt;
          this.#publishers.clear();
        },
        follow: () => this.#follow(),
        beat: () => this.#beat(),
      },
      guards: {
        // Messages that are read from now on may be as old.
        wasHeldUp: () => this.#dueMs <= this.#silentSince,
        isSilent: () => this.#echoedAt < this.#silentSince,
      },
      delays: { beatDelay: () => this.#nextBeat() },
    });
  }

  get state(): BusState {
    if (this.isFollowing) return { type: "following", epoch: this.#epoch, sequence: this.#sequence };
    return { type: this.actor.getSnapshot().matches("greeting") ? "catchingUp" : "cut" };
  }

  /** The longest silence counts: this node does not know what a silent publisher has published since. */
  get heardAt(): number {
    return Math.min(this.#provenAt, this.#publishers.provenAt);
  }

  publish(tag: string, id: string): Promise<BusVersion> {
    if (this.#isClosed) return Promise.reject(new ClosedError({ what: "bus" }));
    return new Promise((resolve, reject) => {
      const publication = { sentAt: -Infinity, number: ++this.#number, tag, id, resolve, reject };
      this.#published.set(publication.number, publication);
      // Until the greeting of a link this node publishes nothing new: its numbers must arrive in their order.
      if (this.#isGreeted) this.#send(publication);
    });
  }

  follow(_from: BusPosition | undefined): Promise<void> {
    if (this.#isClosed) return Promise.reject(new ClosedError({ what: "bus" }));
    const subscription = this.#transport.subscribe(`${this.#subject}.>`, (message) => this.#take(message));
    this.#subscription = subscription;
    this.ends.push(this.#transport.onRefused?.((error) => this.#refused(error)) ?? (() => undefined));
    const stop = this.#transport.onStatus((status) => {
      if (status === "connected") this.#linked();
      else this.actor.send({ type: "LINK_LOST" });
    });
    const stopEarlier = hearEarlierNodes(this.#options, this.#subject, () => this.#reset("a node of an earlier version"));
    this.ends.push(() => subscription.unsubscribe(), stopEarlier, stop);
    const followed = this.waiters.wait();
    if (this.#transport.status === "connected") this.#linked();
    return followed;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    const wasGreeted = this.#isGreeted;
    this.#isClosed = true;
    this.actor.send({ type: "CLOSE" });
    if (wasGreeted) this.#say("bye");
    for (const end of this.ends.splice(0)) end();
    const closed = new ClosedError({ what: "bus" });
    for (const { reject } of this.#published.values()) reject(closed);
    this.#published.clear();
    this.waiters.reject(closed);
    if (wasGreeted) await this.#transport.flush().catch(() => undefined);
  }

  #linked(): void {
    this.#linkedAt = this.clock.monotonic();
    this.actor.send({ type: "LINKED" });
  }

  /** Every node that receives the greeting answers with its last number. The echo shows that the path is whole. */
  async #greet(): Promise<void> {
    const hello = this.random.id();
    try {
      await this.#transport.flush();
    } catch (error) {
      this.log.debug({ err: error }, "a link was lost before it was used");
      return;
    }
    if (this.#isClosed || this.isFollowing || this.#transport.status !== "connected") return;
    if (this.#subscription?.refused !== undefined) this.troubles.met("following", this.#subscription.refused);
    const isNewLink = !this.#isGreeted;
    this.#isGreeted = true;
    // Publications sent after the greeting come back once this node follows. The greeting does not count them, so that
    // other nodes see no jump.
    const [unheard = this.#number + 1] = this.#published.keys();
    this.#say("hello", unheard - 1, hello);
    if (isNewLink) for (const publication of this.#published.values()) this.#send(publication);
  }

  /** The broker does not let this node publish on a subject. */
  #refused(error: NotAuthorizedError): void {
    const path = error.subject?.slice(this.#subject.length + 1) ?? "";
    if (error.subject !== `${this.#subject}.${path}`) return;
    if (!path.startsWith("tag.")) {
      this.troubles.met("following", error);
      return;
    }
    for (const { number, tag, reject } of this.#published.values()) {
      if (path !== `tag.${tagSubject(tag)}`) continue;
      this.#published.delete(number);
      this.troubles.met("publishing", error, { tag });
      reject(error);
    }
  }

  /** Milliseconds until the next heartbeat: slightly less than the interval, and different at each node. */
  #nextBeat(): number {
    const delayMs = this.#intervalMs * (1 - this.random.fraction() / 4);
    this.#dueMs = this.clock.monotonic() + delayMs;
    return delayMs;
  }

  get #silentSince(): number {
    return this.clock.monotonic() - this.#timeoutMs;
  }

  #beat(): void {
    if (this.#publishers.forgetSilent(this.#silentSince)) this.#reset("a publisher fell silent");
    this.#say("beat");
  }

  #send(publication: Publication): void {
    const { number, id, tag } = publication;
    publication.sentAt = this.clock.monotonic();
    this.#write(`tag.${tagSubject(tag)}`, { publisher: this.#self, number, id });
  }

  #say(kind: SoundKind, number = this.#number, id = String(++this.#soundings)): void {
    this.#sounds.sent(id, this.clock.monotonic(), kind === "hello");
    this.#write(kind, { publisher: this.#self, number, id });
  }

  #write(subject: string, word: PlainWord): void {
    try {
      this.#transport.publish(`${this.#subject}.${subject}`, writePlainWord(word));
    } catch (error) {
      // The link is gone. The next one gets all publications that have not come back.
      this.log.debug({ err: error, subject }, "nothing can be published now");
    }
  }

  #take({ subject, payload }: Message): void {
    const path = subject.slice(this.#subject.length + 1);
    const word = readPlainWord(payload);
    if (path.startsWith("tag.")) {
      const tag = tagOfSubject(path.slice(4));
      if (tag === undefined) this.#faults.warn({ subject });
      else this.#takeInvalidation(tag, word);
      return;
    }
    const kind = soundKinds.find((each) => each === path);
    if (kind === undefined || word === undefined) this.#faults.warn({ subject });
    else if (word.publisher === this.#self) this.#takeOwn(kind, word);
    else this.#takeOthers(kind, word);
  }

  /** Invalidates the tag of the subject. The payload cannot prevent that. */
  #takeInvalidation(tag: Tag, word: PlainWord | undefined): void {
    const publication = word?.publisher === this.#self ? this.#published.get(word.number) : undefined;
    if (publication !== undefined && publication.tag === tag && publication.id === word?.id) {
      this.#echoed(publication);
      return;
    }
    // The reset with which this node begins to follow covers all earlier invalidations.
    if (this.isFollowing) {
      this.#sequence++;
      this.listener.notify({ type: "invalidated", tag, id: word?.id ?? "", version: this.#position() });
    }
    if (word !== undefined) this.#publishers.published(word.publisher, word.number, this.#heardNow());
  }

  #echoed({ number, tag, id, sentAt, resolve }: Publication): void {
    this.#published.delete(number);
    this.troubles.over("publishing");
    this.#sequence++;
    if (this.isFollowing) {
      this.#prove(sentAt);
      this.listener.notify({ type: "invalidated", tag, id, version: this.#position() });
    }
    resolve({ epoch: this.#epoch, sequence: this.#sequence });
  }

  #takeOwn(kind: SoundKind, { id }: PlainWord): void {
    const sound = this.#sounds.echoed(id);
    if (sound === undefined) return;
    const isGreeting = kind === "hello" && sound.isGreeting;
    if (isGreeting || this.isFollowing) this.#prove(sound.sentAt);
    if (isGreeting) this.actor.send({ type: "ECHOED" });
    else if (this.isFollowing) this.listener.notify({ type: "heartbeat", version: this.#position() });
  }

  #prove(sentAt: number): void {
    this.#echoedAt = this.clock.monotonic();
    this.#provenAt = Math.max(this.#provenAt, sentAt);
  }

  #follow(): void {
    this.isFollowing = true;
    this.#sounds.forgetGreetings();
    this.troubles.over("following");
    this.#reset("a new link");
    this.listener.notify({ type: "following", version: this.#position() });
    this.waiters.resolve();
  }

  #takeOthers(kind: SoundKind, { publisher, number }: PlainWord): void {
    const missed = this.#publishers.heard(publisher, number, this.#heardNow());
    if (missed !== undefined) this.#reset(missed);
    if (kind === "bye") this.#publishers.forget(publisher);
    if (kind === "hello" && this.isFollowing) this.#say("beat");
  }

  #heardNow(): HeardAt {
    return { now: this.clock.monotonic(), provenAt: Math.max(this.#provenAt, this.#linkedAt) };
  }

  #reset(reason: string): void {
    if (!this.isFollowing) return;
    this.#sequence++;
    this.log.info({ prefix: this.#options.prefix, reason }, "invalidations may have been missed");
    this.listener.notify({ type: "reset", version: this.#position() });
  }

  #position(): BusPosition {
    return { epoch: this.#epoch, sequence: this.#sequence, time: this.clock.now() };
  }
}
