import { type Clock, limits, type Log } from "../../core/index.js";
import type { BusEvent, BusPosition, TagVersion } from "../bus.js";
import type { EpochRecord } from "./history.js";
import type { Delivery } from "./messages.js";
import { RareWarning } from "../rare-warning.js";
import { type HeldInvalidations, type KnownInvalidation, KnownInvalidations, timeErrorMs } from "./known-invalidations.js";

/** A reason to examine the history: the stream may count anew what this node has seen. */
export const countsAnew = "the stream may count anew";

export interface StreamIntakeOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly tell: (event: BusEvent) => void;
  /** The position may not be of the history that the stream is in: it is to be examined, and nothing is told until then. */
  readonly onDoubt: (reason: string) => void;
}

/**
 * Tells what the stream says in the order of its sequences, each once: what does not follow the position is held, bounded, until
 * what is missing was told. Before the history was examined everything is held.
 */
export class StreamIntake {
  readonly #options: StreamIntakeOptions;
  readonly #held = new Map<number, Delivery>();
  readonly #told = new KnownInvalidations();
  #position: BusPosition | undefined;
  /** The broker's wall clock before our monotonic one. */
  brokerAheadMs = 0;
  #record: EpochRecord | undefined;
  #isVerified = false;
  readonly #faults: RareWarning;

  constructor(options: StreamIntakeOptions) {
    this.#options = options;
    this.#faults = new RareWarning(options.clock, options.log, "the payload of a message of the bus was not used");
  }

  /** Of the history that the position is in. */
  get record(): EpochRecord | undefined {
    return this.#record;
  }

  /** All up to here was told. */
  get position(): BusPosition | undefined {
    return this.#position;
  }

  /** Highest sequence told. */
  get last(): number {
    return this.position?.sequence ?? 0;
  }

  /** Stands at `position`, where an earlier process stood, which knew the invalidations `known`. */
  goOnFrom(position: BusPosition, known: readonly TagVersion[] = []): void {
    this.#position = position;
    this.#told.begin(position.sequence + 1, known);
  }

  /** The stream has taken an invalidation, which may not have been told yet. */
  acknowledged(invalidation: { readonly tag: string; readonly id: string; readonly sequence: number }): void {
    if (invalidation.sequence > this.last) this.#told.tell(invalidation);
  }

  /** The latest invalidation of each tag that the stream had when we last knew, the latest first. */
  get known(): readonly KnownInvalidation[] {
    return this.#told.latest();
  }

  /** Whether the stream has something else than it had before our position, of which this is a part. */
  isContradictedBy(delivery: Delivery): boolean {
    return this.#position !== undefined && this.#told.isContradictedBy(delivery, this.#position);
  }

  /** Tells nothing until `begin`, and forgets what it holds. */
  suspend(): void {
    this.#isVerified = false;
    this.#held.clear();
  }

  /** Goes on from `end`, up to which the stream has `held`; without that from where it stands: nothing between there and `end` can be lost. */
  begin(end: BusPosition, record: EpochRecord, held?: HeldInvalidations): void {
    this.#record = record;
    this.#isVerified = true;
    if (held !== undefined) {
      this.#position = end;
      this.#told.begin(held.since);
      for (const invalidation of held.invalidations) this.#told.tell(invalidation);
      this.#options.log.info({ epoch: end.epoch, sequence: end.sequence }, "invalidations before this one count as missed");
      this.#options.tell({ type: "reset", version: end });
    }
    this.#tellHeld();
  }

  /** Takes what the stream repeated; false when something before it is missing. */
  receive(delivery: Delivery): boolean {
    // The broker's clock may be put right meanwhile.
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
    this.#tell(delivery);
    this.#tellHeld();
    return true;
  }

  /** Takes what a consumer delivered, which passes over only what was superseded. */
  takeReplayed(delivery: Delivery): void {
    if (delivery.sequence <= this.last || this.#doubt(delivery)) return;
    this.#tell(delivery);
    this.#tellHeld();
  }

  /** What finds no room is delivered once more by a replay. */
  #hold(delivery: Delivery): void {
    if (this.#held.size < limits.earlyInvalidationsMax) this.#held.set(delivery.sequence, delivery);
  }

  #tellHeld(): void {
    for (const sequence of this.#held.keys()) if (sequence <= this.last) this.#held.delete(sequence);
    for (;;) {
      const next = this.#held.get(this.last + 1);
      if (next === undefined || this.#doubt(next)) return;
      this.#held.delete(next.sequence);
      this.#tell(next);
    }
  }

  #doubt(delivery: Delivery): boolean {
    const reason = this.#reasonToDoubt(delivery);
    if (reason !== undefined) this.#options.onDoubt(reason);
    return reason !== undefined;
  }

  /**
   * What a message says of the history is said by its publisher, whom nobody needs to believe: the numbers are the broker's own. A node that has
   * lost sight of the history finds out by itself what it does not know.
   */
  #reasonToDoubt(delivery: Delivery): string | undefined {
    const { sequence, time, word } = delivery;
    if (this.position === undefined || this.#record === undefined) return "no history is known";
    const { epoch, sequence: last, time: lastTime } = this.position;
    if (word.type === "epoch") {
      const isEarlier = sequence > last && sequence < this.#record.sequence;
      return word.id === this.#record.id || isEarlier ? undefined : "another history began";
    }
    if (sequence > last) return undefined;
    // A copy is no younger than what came after it.
    const isCopy =
      word.type === "beat" && (word.epoch ?? epoch) === epoch && (word.knew ?? 0) < sequence && !(time > lastTime + timeErrorMs);
    return isCopy || word.type === "unknown" || (word.type === "invalidate" && !this.isContradictedBy(delivery)) ? undefined : countsAnew;
  }

  #tell(delivery: Delivery): void {
    if (this.position === undefined) return;
    const { tell } = this.#options;
    const { sequence, word } = delivery;
    const version = { epoch: this.position.epoch, sequence, time: this.#timeOf(delivery, this.position) };
    this.#position = version;
    if (word.fault !== undefined)
      this.#faults.warn({ sequence, fault: word.fault, tag: word.type === "invalidate" ? word.tag : undefined });
    switch (word.type) {
      case "invalidate":
        this.#told.tell({ sequence, tag: word.tag, id: word.id });
        tell({ type: "invalidated", tag: word.tag, id: word.id, version });
        return;
      case "epoch":
        if (word.id === this.#record?.id) this.#record = { ...this.#record, sequence, time: version.time };
        break;
      case "beat":
      case "unknown":
        break;
    }
    tell({ type: "heartbeat", version });
  }

  /** When the broker took it, as well as it can be known. */
  #timeOf({ time, isTimeDoubtful }: Delivery, before: BusPosition): number {
    const nowMs = this.#options.clock.monotonic();
    const estimated = Math.floor(nowMs + this.brokerAheadMs);
    // The oldest servers do not say when they took what they repeat.
    if (Number.isNaN(time)) return estimated;
    if (isTimeDoubtful === true) return Math.max(before.time, Math.min(time, estimated + limits.doubtfulTimeMsMax));
    return time;
  }
}
