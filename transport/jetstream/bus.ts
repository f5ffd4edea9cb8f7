/**
 * The bus with a stream: JetStream numbers all invalidations of all nodes, keeps the last of each tag, and repeats each on a plain
 * subject, so that it needs no consumer per node.
 *
 *     cut ──link──▶ catchingUp ──────────────────▶ following
 *      ▲              ▲   examine, replay             │
 *      └──link lost───┴──────silence, gap, doubt──────┘
 *
 * 1. A node follows only after it saw a message of its own come back from the stream on this link.
 * 2. A message is applied when its sequence is the next one, or when a consumer that started at the next one delivered it.
 * 3. The epoch record names the history. A node that sees that history went back writes another one, and all nodes that stood in the old one
 *    are told a `reset`. Only what the node itself knows counts: its acknowledgements, its position, and the invalidations that it was told of.
 * 4. The subject of a message decides what it is. A publisher that may write under one tag can invalidate that tag, and nothing else.
 * 5. The stream is made where there is none, and never changed. How long it keeps what it takes counts, whatever was asked for.
 * 6. The record is renewed before the stream's age bound takes it.
 *
 * Source: DESIGN, "Semantic cache"; INTERLEAVINGS B2, B3, B5.
 */
import { setMaxListeners } from "node:events";
import {
  type Random,
  type Clock,
  ClosedError,
  delay,
  DisconnectedError,
  limits,
  type Log,
  NotAuthorizedError,
  silentLog,
  systemRandom,
  systemClock,
} from "../../core/index.js";
import type { BusEvent, BusPosition, BusState, BusVersion, Recalled, RecallingBus, TagVersion } from "../bus.js";
import { BusListener } from "../bus-listener.js";
import { BusTrouble } from "../bus-trouble.js";
import { historyMarginMs } from "../bus-pace.js";
import { type PublishAck, StreamApi } from "./api.js";
import { type JetStreamBusOptions, streamPace } from "./options.js";
import { type StreamNames, streamNames } from "./stream-names.js";
import { StreamExamination } from "./examination.js";
import { StreamHistory } from "./history.js";
import { StreamIntake } from "./intake.js";
import { LatestRepeated } from "./latest.js";
import { type Delivery, readRepeated, tagTokens, writeBusWord } from "./messages.js";
import { SentProof } from "../sent-proof.js";
import type { HeadedTransport, Subscription } from "../transport.js";
import { Waiters } from "../waiters.js";

export type { JetStreamBusOptions } from "./options.js";

/** A bus over JetStream, whose stream it makes where there is none. Throws InvalidOptionError. */
export function createJetStreamBus(options: JetStreamBusOptions): RecallingBus {
  return new JetStreamBus(options, streamNames(options.prefix));
}

class JetStreamBus implements RecallingBus {
  readonly kind = "jetstream";
  readonly #transport: HeadedTransport;
  readonly #names: StreamNames;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #listener: BusListener;
  readonly #api: StreamApi;
  readonly #history: StreamHistory;
  readonly #intake: StreamIntake;
  readonly #latest: LatestRepeated;
  readonly #examination: StreamExamination;
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  /** What the stream is made with, until it was seen. */
  #historyMs: number;
  readonly #closed = new AbortController();
  readonly #ends: (() => void)[] = [];
  /** Until this node follows. */
  readonly #waiters = new Waiters();
  #state: "cut" | "catchingUp" | "following" = "cut";
  readonly #trouble: BusTrouble;
  #subscription: Subscription | undefined;
  /** The listener was told that this node follows, and of no cut since. */
  #isToldToFollow = false;
  #heardAt = -Infinity;
  readonly #proof: SentProof;
  /** When #timer is to fire. */
  #dueMs = Infinity;
  /** Of the catching up that is under way. */
  #round = new AbortController();
  #timer: unknown = undefined;

  constructor(options: JetStreamBusOptions, names: StreamNames) {
    this.#transport = options.transport;
    this.#names = names;
    // Each request under way listens to it.
    setMaxListeners(0, this.#closed.signal);
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#log = options.log ?? silentLog;
    this.#listener = new BusListener(this.#log);
    this.#trouble = new BusTrouble(this.#log, { stream: names.stream });
    const { intervalMs, timeoutMs, historyMs, historyMsMin } = streamPace(options);
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    this.#historyMs = historyMs;
    this.#api = new StreamApi({
      transport: options.transport,
      names,
      replicas: options.replicas ?? 1,
      historyMs,
      historyMsMin,
      signal: this.#closed.signal,
    });
    this.#latest = new LatestRepeated(this.#clock);
    this.#proof = new SentProof(this.#clock, this.#random, intervalMs);
    this.#history = new StreamHistory(this.#api, this.#random);
    this.#intake = new StreamIntake({
      clock: this.#clock,
      log: this.#log,
      tell: (event) => this.#listener.tell(event),
      onDoubt: (reason) => this.#catchUp(reason),
    });
    this.#examination = new StreamExamination({
      transport: options.transport,
      names,
      api: this.#api,
      history: this.#history,
      intake: this.#intake,
      latest: this.#latest,
      proof: this.#proof,
      clock: this.#clock,
      random: this.#random,
      log: this.#log,
      silenceMsMax: this.#timeoutMs,
      onHistory: (historyMs) => {
        this.#historyMs = historyMs;
      },
      onWhole: () => this.#followFromHere(),
    });
  }

  get state(): BusState {
    const position = this.#intake.position;
    if (this.#state !== "following" || position === undefined) return { type: this.#state === "cut" ? "cut" : "catchingUp" };
    const { epoch, sequence } = position;
    return { type: "following", epoch, sequence };
  }

  get trouble(): Error | undefined {
    return this.#trouble.error;
  }

  get heardAt(): number {
    return this.#heardAt;
  }

  proveWithin(ms: number): void {
    this.#proof.within(ms);
  }

  listen(listener: (event: BusEvent) => void): void {
    this.#listener.set(listener);
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
      if (status === "connected") this.#catchUp("a new link");
      else this.#lose();
    });
    this.#ends.push(() => this.#subscription?.unsubscribe(), stop);
    this.#wait(this.#intervalMs);
    const followed = this.#whenFollowing();
    if (this.#transport.status === "connected") this.#catchUp("the start");
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
        this.#trouble.over("publishing");
        // An answer from one history says nothing in another: it is published there too.
        if (this.#isSound(ack, known)) {
          this.#intake.acknowledged({ tag, id, sequence: ack.sequence });
          // A copy may stand anywhere.
          if (!ack.isDuplicate) this.#sent(ack.sequence, sentAt);
          return { epoch, sequence: ack.sequence };
        }
      } catch (error) {
        this.#closed.signal.throwIfAborted();
        this.#trouble.met("publishing", error, { tag });
        if (error instanceof NotAuthorizedError) throw error;
        if (this.#state === "following" && error instanceof DisconnectedError) this.#catchUp("the stream does not answer");
      }
      await this.#pause(++failures, this.#closed.signal);
    }
  }

  async recall(tags: readonly string[], timeoutMs: number): Promise<Recalled> {
    // Asked first: what is held later covers it.
    const { sequence, historyMs } = await this.#api.lastSequence(timeoutMs);
    this.#historyMs = historyMs;
    const held = await Promise.all(tags.map((tag) => this.#api.last(tagTokens(tag), timeoutMs)));
    return { sequences: held.map((message) => message?.sequence ?? 0), reached: sequence };
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const closed = new ClosedError({ what: "bus" });
    this.#state = "cut";
    this.#closed.abort(closed);
    this.#round.abort(closed);
    this.#clock.clearTimeout(this.#timer);
    for (const end of this.#ends.splice(0)) end();
    this.#waiters.reject(closed);
    this.#intake.suspend();
  }

  // ---- What the stream tells

  #hear(delivery: Delivery): void {
    this.#latest.note(delivery.sequence);
    const isWhole = this.#intake.receive(delivery);
    if (!isWhole && this.#state === "following") this.#catchUp("a gap");
    if (this.#state === "following") this.#prove();
  }

  // ---- Catching up

  #lose(): void {
    this.#round.abort(new DisconnectedError({ address: this.#transport.address }));
    this.#cut("the link was lost");
  }

  #cut(reason: string): void {
    this.#state = "cut";
    this.#latest.forget();
    this.#intake.suspend();
    if (!this.#isToldToFollow) return;
    this.#isToldToFollow = false;
    this.#log.warn({ stream: this.#names.stream, reason }, "cut off from the invalidation bus");
    this.#listener.tell({ type: "cut" });
  }

  /** Begins anew, whatever was under way. */
  #catchUp(reason: string): void {
    if (this.#closed.signal.aborted || this.#transport.status !== "connected") return;
    this.#round.abort(new DisconnectedError({ address: this.#transport.address }));
    const round = new AbortController();
    this.#round = round;
    if (this.#state === "following") this.#state = "catchingUp";
    this.#intake.suspend();
    this.#log.info({ stream: this.#names.stream, reason, position: this.#intake.last }, "catching up with the invalidation bus");
    void this.#tryUntilFollowing(round.signal);
  }

  async #tryUntilFollowing(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted && this.#transport.status === "connected";) {
      try {
        await this.#tryToFollow(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#trouble.met("following", error);
        this.#cut("could not catch up");
        await this.#pause(++failures, signal).catch(() => undefined);
      }
    }
  }

  async #tryToFollow(signal: AbortSignal): Promise<void> {
    await this.#transport.flush();
    signal.throwIfAborted();
    if (this.#subscription?.refused !== undefined) throw this.#subscription.refused;
    // Some of what was heard may be of another history; what is missing is replayed.
    this.#latest.forget();
    this.#intake.suspend();
    this.#state = "catchingUp";
    await this.#examination.run(signal);
  }

  #followFromHere(): void {
    const version = this.#intake.position;
    if (version === undefined) return;
    this.#state = "following";
    this.#prove();
    this.#trouble.over("following");
    this.#isToldToFollow = true;
    this.#listener.tell({ type: "following", version });
    this.#waiters.resolve();
  }

  // ---- Publishing

  #isSound(ack: PublishAck, known: BusPosition): boolean {
    if (this.#intake.position?.epoch !== known.epoch) return false;
    if (ack.isDuplicate || ack.sequence > known.sequence) return true;
    this.#examination.doubtHistory();
    this.#catchUp("history went back");
    return false;
  }

  #whenFollowing(): Promise<void> {
    if (this.#closed.signal.aborted) return Promise.reject(new ClosedError({ what: "bus" }));
    if (this.#state === "following") return Promise.resolve();
    return this.#waiters.wait();
  }

  // ---- Heartbeats

  #sent(sequence: number, sentAt: number): void {
    this.#proof.sent(sequence, sentAt);
    if (this.#state === "following") this.#prove();
  }

  #prove(): void {
    this.#proof.reached(this.#intake.last);
    this.#heardAt = this.#proof.provenAt;
  }

  #wait(delayMs: number): void {
    this.#dueMs = this.#clock.monotonic() + delayMs;
    this.#timer = this.#clock.setTimeout(() => this.#watch(), delayMs);
  }

  #watch(): void {
    // Each node at another moment, so that one of them speaks for all.
    const intervalMs = this.#intervalMs * (0.75 + this.#random.fraction() / 2);
    const nowMs = this.#clock.monotonic();
    const silentMs = nowMs - this.#latest.at;
    // What is read from now on may still be of before.
    const wasHeldUp = nowMs - this.#dueMs >= this.#timeoutMs;
    const restMs = intervalMs - silentMs;
    const ownMs = this.#state === "following" ? this.#proof.dueInMs : Infinity;
    const isDue = restMs <= 0 || ownMs <= 0;
    this.#wait(Math.min(restMs > 0 ? restMs : intervalMs, ownMs > 0 ? ownMs : limits.proofGapMsMin));
    if (this.#state !== "following" || (!isDue && !wasHeldUp)) return;
    if (silentMs < this.#timeoutMs && !wasHeldUp) void this.#beat();
    else {
      const reason = wasHeldUp ? "this process was held up" : "the stream is silent";
      this.#cut(reason);
      this.#catchUp(reason);
    }
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
      if (this.#closed.signal.aborted || this.#state !== "following") return;
      this.#log.debug({ err: error }, "a heartbeat was not acknowledged");
      if (error instanceof DisconnectedError) this.#catchUp("the stream does not answer");
    }
  }

  #pause(failures: number, signal: AbortSignal): Promise<void> {
    const longestMs = Math.min(limits.dialDelayMsMin * 2 ** Math.min(failures - 1, 16), limits.dialDelayMsMax);
    return delay(this.#clock, longestMs * (0.5 + this.#random.fraction() / 2), signal);
  }
}
