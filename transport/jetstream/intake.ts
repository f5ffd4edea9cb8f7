import { limits, type Seams } from "../../core/index.js";
import type { BusEvent, BusPosition, TagVersion } from "../bus.js";
import type { EpochRecord } from "./history.js";
import type { Delivery } from "./messages.js";
import { RareWarning } from "../rare-warning.js";
import { type HeldInvalidations, type KnownInvalidation, KnownInvalidations, timeErrorMs } from "./known-invalidations.js";

/** A reason to examine the history: the stream may count anew what this node has seen. */
export const countsAnew = "the stream may count anew";

export interface StreamIntakeOptions extends Pick<Seams, "clock" | "log"> {
  readonly notify: (event: BusEvent) => void;
  /**
   * The position may belong to another history than the stream's: the history is examined, and nothing is delivered
   * until then.
   */
  readonly onDoubt: (reason: string) => void;
}

/**
 * Delivers the stream's messages in the order of their sequences, each once. A message that does not follow the
 * position is held, within a bound, until the missing ones were delivered. Until the history was examined all messages
 * are held.
 */
export class StreamIntake {
  readonly #options: StreamIntakeOptions;
  readonly #held = new Map<number, Delivery>();
  readonly #known = new KnownInvalidations();
  #position: BusPosition | undefined;
  /** The broker's wall clock minus this node's monotonic clock. */
  brokerAheadMs = 0;
  #record: EpochRecord | undefined;
  /** Sequence of the last heartbeat up to the position. Undefined: not known. */
  #lastBeat: number | undefined;
  #isVerified = false;
  readonly #faults: RareWarning;

  constructor(options: StreamIntakeOptions) {
    this.#options = options;
    this.#faults = new RareWarning(options.clock, options.log, "the payload of a message of the bus was not used");
  }

  /** The record of the history that the position belongs to. */
  get record(): EpochRecord | undefined {
    return this.#record;
  }

  /** All messages up to here were delivered. */
  get position(): BusPosition | undefined {
    return this.#position;
  }

  /** Highest sequence that was delivered. */
  get last(): number {
    return this.position?.sequence ?? 0;
  }

  /** Starts at `position`, where an earlier process was that knew the invalidations `known`. */
  goOnFrom(position: BusPosition, known: readonly TagVersion[] = []): void {
    this.#position = position;
    this.#known.begin(position.sequence + 1, known);
  }

  /** The stream has taken an invalidation, which may not have been delivered yet. */
  acknowledged(invalidation: { readonly tag: string; readonly id: string; readonly sequence: number }): void {
    if (invalidation.sequence > this.last) this.#known.add(invalidation);
  }

  /** The latest invalidation of each tag that the stream had when this node last knew, the latest first. */
  get known(): readonly KnownInvalidation[] {
    return this.#known.latest();
  }

  /** Whether `delivery` shows that the stream now has another message before this node's position than it had. */
  isContradictedBy(delivery: Delivery): boolean {
    return this.#position !== undefined && this.#known.isContradictedBy(delivery, this.#position);
  }

  /** Delivers nothing until `begin`, and forgets the held messages. */
  suspend(): void {
    this.#isVerified = false;
    this.#held.clear();
  }

  /**
   * Continues from `end`, up to which the stream has the invalidations `held`. Without `held` it continues from its
   * position: nothing between that and `end` can be lost.
   */
  begin(end: BusPosition, record: EpochRecord, held?: HeldInvalidations): void {
    this.#record = record;
    this.#isVerified = true;
    if (held !== undefined) {
      this.#position = end;
      this.#lastBeat = undefined;
      this.#known.begin(held.since);
      for (const invalidation of held.invalidations) this.#known.add(invalidation);
      this.#options.log.info({ epoch: end.epoch, sequence: end.sequence }, "invalidations before this one count as missed");
      this.#options.notify({ type: "reset", version: end });
    }
    this.#deliverHeld();
  }

  /** Takes a message that the stream repeated. Returns false if a message before it is missing. */
  receive(delivery: Delivery): boolean {
    // The broker's clock may be corrected meanwhile.
    if (delivery.word.type === "beat" && !Number.isNaN(delivery.time)) {
      this.brokerAheadMs = delivery.time - this.#options.clock.monotonic();
    }
    if (!this.#isVerified) {
      this.#hold(delivery);
      return true;
    }
    if (this.#doubt(delivery) || delivery.sequence <= this.last) return true;
    if (delivery.sequence > this.last + 1) {
      this.#hold(delivery);
      return false;
    }
    this.#deliver(delivery);
    this.#deliverHeld();
    return true;
  }

  /** Takes a message that a consumer delivered. A consumer passes over only superseded messages. */
  takeReplayed(delivery: Delivery): void {
    if (delivery.sequence <= this.last || this.#doubt(delivery)) return;
    if (delivery.sequence > this.last + 1) this.#lastBeat = undefined;
    this.#deliver(delivery);
    this.#deliverHeld();
  }

  /** A message without room is delivered again by a replay. */
  #hold(delivery: Delivery): void {
    if (this.#held.size < limits.earlyInvalidationsMax) this.#held.set(delivery.sequence, delivery);
  }

  #deliverHeld(): void {
    for (const sequence of this.#held.keys()) if (sequence <= this.last) this.#held.delete(sequence);
    for (;;) {
      const next = this.#held.get(this.last + 1);
      if (next === undefined || this.#doubt(next)) return;
      this.#held.delete(next.sequence);
      this.#deliver(next);
    }
  }

  #doubt(delivery: Delivery): boolean {
    const reason = this.#reasonToDoubt(delivery);
    if (reason !== undefined) this.#options.onDoubt(reason);
    return reason !== undefined;
  }

  /**
   * A message's facts about the history come from its publisher, which need not be trusted. The sequence numbers are
   * the broker's own. A node that has lost sight of the history finds out by itself what it does not know.
   */
  #reasonToDoubt(delivery: Delivery): string | undefined {
    const { sequence, time, word } = delivery;
    if (this.position === undefined || this.#record === undefined) return "no history is known";
    const { epoch, sequence: last, time: lastTime } = this.position;
    if (word.type === "epoch") {
      const isEarlier = sequence > last && sequence < this.#record.sequence;
      return word.id === this.#record.id || isEarlier ? undefined : "another history began";
    }
    if (sequence > last) return sequence === last + 1 && this.#isOfAnotherCount(delivery) ? countsAnew : undefined;
    // A copy is no younger than the messages after it.
    const isCopy =
      word.type === "beat" && (word.epoch ?? epoch) === epoch && (word.knew ?? 0) < sequence && !(time > lastTime + timeErrorMs);
    return isCopy || word.type === "unknown" || (word.type === "invalidate" && !this.isContradictedBy(delivery)) ? undefined : countsAnew;
  }

  /**
   * Whether the broker names another heartbeat before this one than this node received. Then the messages that this
   * node received are not those of the stream: the stream lost its end and counted as many new ones, which this node
   * missed without a loss of its link, for example while the route between two brokers was broken.
   */
  #isOfAnotherCount({ beatBefore }: Delivery): boolean {
    return this.#lastBeat !== undefined && beatBefore !== undefined && beatBefore !== 0 && beatBefore !== this.#lastBeat;
  }

  #deliver(delivery: Delivery): void {
    if (this.position === undefined) return;
    const { notify } = this.#options;
    const { sequence, word } = delivery;
    const version = { epoch: this.position.epoch, sequence, time: this.#timeOf(delivery, this.position) };
    this.#position = version;
    if (word.fault !== undefined)
      this.#faults.warn({ sequence, fault: word.fault, tag: word.type === "invalidate" ? word.tag : undefined });
    switch (word.type) {
      case "invalidate":
        this.#known.add({ sequence, tag: word.tag, id: word.id });
        notify({ type: "invalidated", tag: word.tag, id: word.id, version });
        return;
      case "epoch":
        if (word.id === this.#record?.id) this.#record = { ...this.#record, sequence, time: version.time };
        break;
      case "beat":
        this.#lastBeat = sequence;
        break;
      case "unknown":
        break;
    }
    notify({ type: "heartbeat", version });
  }

  /** When the broker took the message, as well as this can be known. */
  #timeOf({ time, isTimeDoubtful }: Delivery, before: BusPosition): number {
    const nowMs = this.#options.clock.monotonic();
    const estimated = Math.floor(nowMs + this.brokerAheadMs);
    // The oldest servers do not give the time at which they took the messages that they repeat.
    if (Number.isNaN(time)) return estimated;
    if (isTimeDoubtful === true) return Math.max(before.time, Math.min(time, estimated + limits.doubtfulTimeMsMax));
    return time;
  }
}
