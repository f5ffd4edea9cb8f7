import { type Clock, limits, type Log } from "../words/index.js";
import type { BusEvent, BusPosition } from "./bus.js";
import type { EpochRecord } from "./jetstream-history.js";
import type { Delivery } from "./jetstream-messages.js";
import { ToldInvalidations } from "./told-invalidations.js";

/** A reason to examine the history: the stream counts anew what this node has seen. */
export const wentBack = "history went back";

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
  readonly #told = new ToldInvalidations();
  #position: BusPosition | undefined;
  /** The broker's wall clock before our monotonic one. */
  brokerAheadMs = 0;
  #record: EpochRecord | undefined;
  #isVerified = false;

  constructor(options: StreamIntakeOptions) {
    this.#options = options;
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

  /** Stands at `position`, where an earlier process stood. */
  goOnFrom(position: BusPosition): void {
    this.#position = position;
    this.#told.begin(position.sequence + 1);
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

  /** Goes on from where it stands if nothing between there and `end` can be lost, else from `end`. */
  begin(end: BusPosition, record: EpochRecord, isWhole: boolean): void {
    this.#record = record;
    this.#isVerified = true;
    if (!isWhole) {
      this.#position = end;
      this.#told.begin(end.sequence + 1);
      this.#options.log.info({ epoch: end.epoch, sequence: end.sequence }, "invalidations before this one count as missed");
      this.#options.tell({ type: "reset", version: end });
    }
    this.#tellHeld();
  }

  /** Takes what the stream repeated; false when something before it is missing. */
  take(delivery: Delivery): boolean {
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

  #reasonToDoubt(delivery: Delivery): string | undefined {
    const { sequence, word } = delivery;
    if (this.position === undefined || this.#record === undefined) return "no history is known";
    const { epoch, sequence: last } = this.position;
    if (word.type === "epoch") {
      const isEarlier = sequence > last && sequence < this.#record.sequence;
      return word.id === this.#record.id || isEarlier ? undefined : "another history began";
    }
    if (word.type !== "beat" && word.type !== "invalidate") return undefined;
    // Of one who has not heard of this history yet; but what stands below our position comes from a stream that counts anew.
    if (word.epoch !== epoch) return sequence > last ? undefined : "a message of another history";
    return sequence > word.knew && !this.isContradictedBy(delivery) ? undefined : wentBack;
  }

  #tell({ sequence, time, word }: Delivery): void {
    if (this.position === undefined) return;
    const { clock, log, tell } = this.#options;
    // The oldest servers do not say when they took what they repeat.
    const estimated = Math.floor(clock.monotonic() + this.brokerAheadMs);
    const version = { epoch: this.position.epoch, sequence, time: Number.isNaN(time) ? estimated : time };
    this.#position = version;
    switch (word.type) {
      case "invalidate":
        this.#told.tell(sequence, word.id);
        tell({ type: "invalidated", tag: word.tag, id: word.id, version });
        return;
      case "foreign":
        log.warn({ sequence }, "a node speaks another version of the protocol");
        tell({ type: "reset", version });
        return;
      case "malformed":
        log.warn({ sequence }, "a message of the bus was dropped");
        break;
      case "epoch":
        if (word.id === this.#record?.id) this.#record = { id: word.id, sequence, time: version.time };
        break;
      case "beat":
        break;
    }
    tell({ type: "heartbeat", version });
  }
}
