import { limits } from "../words/index.js";
import type { BusPosition } from "./bus.js";
import type { Delivery } from "./jetstream-messages.js";

/** How far a time that we were told may be from the one that the broker wrote down. */
const timeErrorMs = 100;

/**
 * The invalidations that were told last, by sequence. A stream that lost its end counts on from there, and may have passed our position
 * before we see it again: then it has something else at sequences that we know.
 */
export class ToldInvalidations {
  readonly #ids = new Map<number, string>();
  /** All from here on is known: what has no id here was no invalidation, or superseded. */
  #since = 1;

  /** Nothing before `sequence` is known. */
  begin(sequence: number): void {
    this.#ids.clear();
    this.#since = sequence;
  }

  tell(sequence: number, id: string): void {
    this.#ids.set(sequence, id);
    if (this.#ids.size <= limits.toldInvalidationsMax) return;
    const first = this.#ids.keys().next().value;
    if (first === undefined) return;
    this.#ids.delete(first);
    this.#since = first + 1;
  }

  /** Whether what the stream has at a sequence up to `position` cannot be what it had there when we stood at `position`. */
  isContradictedBy({ sequence, time, word }: Delivery, position: BusPosition): boolean {
    if (sequence > position.sequence) return false;
    if (sequence < this.#since) return time > position.time + timeErrorMs;
    return word.type === "invalidate" && this.#ids.get(sequence) !== word.id;
  }
}
