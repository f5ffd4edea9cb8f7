import { type Random, type Clock, limits } from "../core/index.js";

/** The share of `withinMs` after which this node sends a message of its own. The rest is for a slow link. */
const lapseShareMin = 0.4;
const lapseShareMax = 0.6;

/**
 * The moment as of which this node is known to have received all that the stream had.
 *
 * Only a message of its own proves it: once the node has received all messages before it in the stream, it knows what
 * the stream held when the message was sent. A message of another node may have been under way for any time, and proves
 * nothing about the age of a snapshot.
 */
export class SentProof {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #intervalMs: number;
  /** Messages that are acknowledged and not reached yet: when each was sent, by its sequence. */
  readonly #sent = new Map<number, number>();
  #provenAt = -Infinity;
  #lastSentAt = -Infinity;
  #withinMs: number = limits.maxStaleMs;
  #lapseMs = 0;

  constructor(clock: Clock, random: Random, intervalMs: number) {
    this.#clock = clock;
    this.#random = random;
    this.#intervalMs = intervalMs;
    this.#drawLapse();
  }

  /** On the monotonic clock; -Infinity before anything is proven. */
  get provenAt(): number {
    return this.#provenAt;
  }

  /** The proof must be no older than this, in milliseconds; Infinity: any age will do. */
  within(ms: number): void {
    this.#withinMs = ms;
    this.#drawLapse();
  }

  /** To be called when a message is about to be sent. Returns the moment. */
  sending(): number {
    this.#lastSentAt = this.#clock.monotonic();
    return this.#lastSentAt;
  }

  /** The stream has taken, at `sequence`, the message that was sent at `sentAt`. */
  sent(sequence: number, sentAt: number): void {
    const [oldest] = this.#sent.keys();
    if (this.#sent.size >= limits.sentProofsMax && oldest !== undefined) this.#sent.delete(oldest);
    this.#sent.set(sequence, sentAt);
  }

  /** All messages up to `sequence` were received. */
  reached(sequence: number): void {
    for (const [at, sentAt] of this.#sent) {
      if (at > sequence) continue;
      this.#sent.delete(at);
      if (sentAt <= this.#provenAt) continue;
      this.#provenAt = sentAt;
      this.#drawLapse();
    }
  }

  /** From now on, sequences belong to another history. */
  forgetSent(): void {
    this.#sent.clear();
  }

  /** Milliseconds until this node should send a message of its own; 0: now. */
  get dueInMs(): number {
    if (this.#lapseMs === Infinity) return Infinity;
    const gapMs = Math.max(limits.proofGapMsMin, Math.min(this.#intervalMs, this.#lapseMs));
    return Math.max(0, Math.max(this.#provenAt + this.#lapseMs, this.#lastSentAt + gapMs) - this.#clock.monotonic());
  }

  /** A random lapse, so that the nodes do not all send at the same moment. */
  #drawLapse(): void {
    this.#lapseMs = this.#withinMs * (lapseShareMin + this.#random.fraction() * (lapseShareMax - lapseShareMin));
  }
}
