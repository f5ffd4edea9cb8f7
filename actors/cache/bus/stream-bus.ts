/**
 * The bus with a stream: JetStream numbers all invalidations of all nodes, keeps the last one of each tag, and
 * repeats each on a plain subject, so that no node needs a consumer of its own.
 *
 * The machine of machines/cache/bus.ts decides when this node examines the stream, replays, follows, sends heartbeats
 * and tries again. What the stream repeats, and what this node publishes, never passes through it.
 *
 * 1. A node follows only after a message of its own came back from the stream on this link.
 * 2. A message is applied when its sequence is the next one, or when a consumer that began at the next one delivered
 *    it.
 * 3. The epoch record names the history. A node that notices that history went back writes another record, and the
 *    listeners of all nodes with a position in the old one get a `reset`. A node relies only on its own knowledge: its
 *    acknowledgements, its position, and the invalidations that it has applied.
 * 4. The subject of a message decides what it is. A publisher that may write under one tag can invalidate that tag, and
 *    nothing else.
 * 5. The bus creates the stream where there is none, and never changes it. How long messages are kept is the stream's
 *    setting, not the time that this node asked for.
 * 6. The record is renewed before the stream's age bound removes it.
 *
 * Source: DESIGN, "Semantic cache"; INTERLEAVINGS B2, B3, B5.
 */
import { setMaxListeners } from "node:events";
import { type Actor, fromPromise } from "xstate";
import { busMachine } from "../../../machines/cache/bus.js";
import { assert, ClosedError, delay, dialPace, DisconnectedError, NotAuthorizedError, retryDelay } from "../../../core/index.js";
import type { BusPosition, BusState, BusVersion, Recalled, RecallingBus, TagVersion } from "../../../transport/bus.js";
import { historyMarginMs } from "../../../transport/bus-pace.js";
import { type PublishAck, StreamApi } from "../../../transport/jetstream/api.js";
import { type JetStreamBusOptions, streamPace } from "../../../transport/jetstream/options.js";
import { type StreamNames, streamNames } from "../../../transport/jetstream/stream-names.js";
import { StreamExamination } from "../../../transport/jetstream/examination.js";
import { StreamHistory } from "../../../transport/jetstream/history.js";
import { StreamIntake } from "../../../transport/jetstream/intake.js";
import { LatestRepeated } from "../../../transport/jetstream/latest.js";
import { type Delivery, readRepeated, tagTokens, writeBusWord } from "../../../transport/jetstream/messages.js";
import { SentProof } from "../../../transport/sent-proof.js";
import type { HeadedTransport, Subscription } from "../../../transport/transport.js";
import { type BusWithMachine, DrivenBus } from "./bus-machine.js";
import { StreamWatch } from "./stream-watch.js";

export type { JetStreamBusOptions } from "../../../transport/jetstream/options.js";

/** A bus over JetStream, which creates its stream if there is none. Throws InvalidOptionError. */
export function createJetStreamBus(options: JetStreamBusOptions): RecallingBus & BusWithMachine {
  return new JetStreamBus(options, streamNames(options.prefix));
}

class JetStreamBus extends DrivenBus implements RecallingBus, BusWithMachine {
  readonly kind = "jetstream";
  readonly #transport: HeadedTransport;
  readonly #names: StreamNames;
  readonly #api: StreamApi;
  readonly #history: StreamHistory;
  readonly #intake: StreamIntake;
  readonly #latest: LatestRepeated;
  readonly #examination: StreamExamination;
  readonly #watch: StreamWatch;
  readonly #timeoutMs: number;
  /** How long the stream keeps messages. Until this node has seen the stream: the time that it would ask for. */
  #historyMs: number;
  readonly #closed = new AbortController();
  readonly actor: Actor<typeof busMachine>;
  #subscription: Subscription | undefined;
  #heardAt = -Infinity;
  readonly #proof: SentProof;

  constructor(options: JetStreamBusOptions, names: StreamNames) {
    super(options, { stream: names.stream });
    this.#transport = options.transport;
    this.#names = names;
    // Each request in progress listens to this signal.
    setMaxListeners(0, this.#closed.signal);
    const { intervalMs, timeoutMs, historyMs, historyMsMin } = streamPace(options);
    this.#timeoutMs = timeoutMs;
    this.#historyMs = historyMs;
    const { transport, replicas = 1 } = options;
    const { clock, random, log } = this;
    this.#api = new StreamApi({ transport, names, replicas, historyMs, historyMsMin, signal: this.#closed.signal });
    this.#latest = new LatestRepeated(clock);
    this.#proof = new SentProof(clock, random, intervalMs);
    this.#history = new StreamHistory(this.#api, random);
    this.#intake = new StreamIntake({
      clock,
      log,
      notify: (event) => this.listener.notify(event),
      onDoubt: (reason) => this.#doubt(reason),
    });
    const parts = { transport, names, clock, random, log, api: this.#api, latest: this.#latest, proof: this.#proof };
    this.#examination = new StreamExamination({
      ...parts,
      history: this.#history,
      intake: this.#intake,
      silenceMsMax: timeoutMs,
      onHistory: (found) => {
        this.#historyMs = found;
      },
    });
    this.#watch = new StreamWatch({ ...parts, intervalMs, timeoutMs });
    this.actor = this.drivenBy(this.#provided());
  }

  #provided(): typeof busMachine {
    const { stream } = this.#names;
    return busMachine.provide({
      actors: {
        reach: fromPromise(({ signal }) => this.#reach(signal)),
        examine: fromPromise(({ signal }) => this.#examination.examine(signal)),
        replay: fromPromise(({ signal }) => this.#examination.replayMissing(signal)),
      },
      actions: {
        ...this.effects,
        suspend: () => this.#intake.suspend(),
        forgetHeard: () => {
          this.#latest.forget();
          this.#intake.suspend();
        },
        follow: () => this.#follow(),
        beat: () => void this.#beat(),
        logCatchingUp: (_, { reason }) => {
          this.log.info({ stream, reason, position: this.#intake.last }, "catching up with the invalidation bus");
        },
        noteTrouble: (_, { error }) => this.troubles.met("following", error),
      },
      guards: {
        isWhole: () => this.#examination.isWhole,
        wasHeldUp: () => this.#watch.wasHeldUp,
        isSilent: () => this.#watch.isSilent,
        isBeatDue: () => this.#watch.isBeatDue,
      },
      delays: {
        retryDelay: ({ context }) => retryDelay(context.failures, this.random, dialPace),
        untilLook: () => this.#watch.next(),
      },
    });
  }

  get state(): BusState {
    const position = this.#intake.position;
    if (this.isFollowing && position !== undefined) {
      const { epoch, sequence } = position;
      return { type: "following", epoch, sequence };
    }
    return { type: this.actor.getSnapshot().matches("catchingUp") ? "catchingUp" : "cut" };
  }

  get heardAt(): number {
    return this.#heardAt;
  }

  proveWithin(ms: number): void {
    this.#proof.within(ms);
  }

  get recallAgeMsMax(): number {
    return this.#historyMs - historyMarginMs(this.#timeoutMs);
  }

  follow(from: BusPosition | undefined, known?: readonly TagVersion[]): Promise<void> {
    if (this.#closed.signal.aborted) return Promise.reject(new ClosedError({ what: "bus" }));
    if (from !== undefined) this.#intake.goOnFrom(from, known);
    this.#subscription = this.#transport.subscribe(`${this.#names.repeated}.>`, (message) => {
      const delivery = readRepeated(message, this.#names.stream, this.#names.repeated);
      if (delivery !== undefined) this.#hear(delivery);
    });
    const stop = this.#transport.onStatus((status) => {
      this.actor.send({ type: status === "connected" ? "LINKED" : "LINK_LOST" });
    });
    this.ends.push(() => this.#subscription?.unsubscribe(), stop);
    const followed = this.#whenFollowing();
    if (this.#transport.status === "connected") this.actor.send({ type: "LINKED" });
    return followed;
  }

  async publish(tag: string, id: string): Promise<BusVersion> {
    const subject = tagTokens(tag);
    for (let failures = 0; ;) {
      await this.#whenFollowing();
      const known = this.#intake.position;
      if (known === undefined) continue;
      const { epoch, sequence: knew } = known;
      const sentAt = this.#proof.sending();
      try {
        const ack = await this.#api.append(subject, writeBusWord({ type: "invalidate", epoch, knew, id, tag }), { "Nats-Msg-Id": id });
        this.troubles.over("publishing");
        // An answer from one history means nothing in another one: the invalidation is published there too.
        if (this.#isSound(ack, known)) {
          this.#intake.acknowledged({ tag, id, sequence: ack.sequence });
          // The first copy of a duplicate may be anywhere in the stream.
          if (!ack.isDuplicate) this.#sent(ack.sequence, sentAt);
          return { epoch, sequence: ack.sequence };
        }
      } catch (error) {
        this.#closed.signal.throwIfAborted();
        this.troubles.met("publishing", error, { tag });
        if (error instanceof NotAuthorizedError) throw error;
        if (this.isFollowing && error instanceof DisconnectedError) this.#doubt("the stream does not answer");
      }
      await delay(this.clock, retryDelay(++failures, this.random, dialPace), this.#closed.signal);
    }
  }

  async recall(tags: readonly string[], timeoutMs: number): Promise<Recalled> {
    // The last sequence is read first: the messages that are read after it cover at least that much.
    const { sequence, historyMs } = await this.#api.lastSequence(timeoutMs);
    this.#historyMs = historyMs;
    const held = await Promise.all(tags.map((tag) => this.#api.last(tagTokens(tag), timeoutMs)));
    return { sequences: held.map((message) => message?.sequence ?? 0), reached: sequence };
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const closed = new ClosedError({ what: "bus" });
    this.#closed.abort(closed);
    for (const end of this.ends.splice(0)) end();
    this.actor.send({ type: "CLOSE" });
    this.waiters.reject(closed);
  }

  // ---- Messages of the stream

  #hear(delivery: Delivery): void {
    this.#latest.note(delivery.sequence);
    const isWhole = this.#intake.receive(delivery);
    if (!isWhole && this.isFollowing) this.#doubt("a gap");
    if (this.isFollowing) this.#prove();
  }

  // ---- Effects of the machine

  async #reach(signal: AbortSignal): Promise<void> {
    await this.#transport.flush();
    signal.throwIfAborted();
    if (this.#subscription?.refused !== undefined) throw this.#subscription.refused;
  }

  #follow(): void {
    const version = this.#intake.position;
    assert(version !== undefined, "a node that has examined the stream has a position");
    this.isFollowing = true;
    this.#watch.begin();
    this.#prove();
    this.troubles.over("following");
    this.listener.notify({ type: "following", version });
    this.waiters.resolve();
  }

  #doubt(reason: string): void {
    if (!this.#closed.signal.aborted) this.actor.send({ type: "DOUBTED", reason });
  }

  // ---- Publishing

  #isSound(ack: PublishAck, known: BusPosition): boolean {
    if (this.#intake.position?.epoch !== known.epoch) return false;
    if (ack.isDuplicate || ack.sequence > known.sequence) return true;
    this.#examination.doubtHistory();
    this.#doubt("history went back");
    return false;
  }

  #whenFollowing(): Promise<void> {
    if (this.#closed.signal.aborted) return Promise.reject(new ClosedError({ what: "bus" }));
    return this.isFollowing ? Promise.resolve() : this.waiters.wait();
  }

  // ---- Heartbeats

  #sent(sequence: number, sentAt: number): void {
    this.#proof.sent(sequence, sentAt);
    if (this.isFollowing) this.#prove();
  }

  #prove(): void {
    this.#proof.reached(this.#intake.last);
    this.#heardAt = this.#proof.provenAt;
  }

  async #beat(): Promise<void> {
    const { position: known, record } = this.#intake;
    if (known === undefined || record === undefined) return;
    const { epoch, sequence: knew, time } = known;
    const sentAt = this.#proof.sending();
    try {
      if (time - record.time > this.#historyMs / 2) await this.#history.renew(record);
      else {
        const ack = await this.#api.append("beat", writeBusWord({ type: "beat", epoch, knew }), {});
        if (this.#isSound(ack, known)) this.#sent(ack.sequence, sentAt);
      }
    } catch (error) {
      if (this.#closed.signal.aborted || !this.isFollowing) return;
      this.log.debug({ err: error }, "a heartbeat was not acknowledged");
      if (error instanceof DisconnectedError) this.#doubt("the stream does not answer");
    }
  }
}
