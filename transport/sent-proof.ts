import { type Random, type Clock, limits } from "../core/index.js";

/** Share of the time within which proof is asked for after which this node sees to its own: what is left is for a link that is slow. */
const lapseShareMin = 0.4;
const lapseShareMax = 0.6;

/**
 * The moment as of which this node is known to have been told all that the stream had.
 *
 * Only a message of its own tells: once all before it in the stream was told, the node knows what the stream held when the message was sent. What
 * another node published may have been under way for any time, and proves nothing about how old a snapshot is.
 */
export class SentProof {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #intervalMs: number;
  /** Acknowledged, and not reached yet: when each was sent, by its sequence. */
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

  /** -Infinity before anything is proven. On the monotonic clock. */
  get provenAt(): number {
    return this.#provenAt;
  }

  /** Whoever relies on it wants it no older than this, in milliseconds; Infinity: any age will do. */
  within(ms: number): void {
    this.#withinMs = ms;
    this.#drawLapse();
  }

  /** A message is about to be sent: gives the moment. */
  sending(): number {
    this.#lastSentAt = this.#clock.monotonic();
    return this.#lastSentAt;
  }

  /** The stream has taken at `sequence` what was sent at `sentAt`. */
  sent(sequence: number, sentAt: number): void {
    const [oldest] = this.#sent.keys();
    if (this.#sent.size >= limits.sentProofsMax && oldest !== undefined) this.#sent.delete(oldest);
    this.#sent.set(sequence, sentAt);
  }

  /** All up to `sequence` was told. */
  reached(sequence: number): void {
    for (const [at, sentAt] of this.#sent) {
      if (at > sequence) continue;
      this.#sent.delete(at);
      if (sentAt <= this.#provenAt) continue;
      this.#provenAt = sentAt;
      this.#drawLapse();
    }
  }

  /** Sequences are those of another history from now on. */
  forgetSent(): void {
    this.#sent.clear();
  }

  /** Milliseconds until this node should send something of its own; 0: now. */
  get dueInMs(): number {
    if (this.#lapseMs === Infinity) return Infinity;
    const gapMs = Math.max(limits.proofGapMsMin, Math.min(this.#intervalMs, this.#lapseMs));
    return Math.max(0, Math.max(this.#provenAt + this.#lapseMs, this.#lastSentAt + gapMs) - this.#clock.monotonic());
  }

  /** Each node at another moment. */
  #drawLapse(): void {
    this.#lapseMs = this.#withinMs * (lapseShareMin + this.#random.fraction() * (lapseShareMax - lapseShareMin));
  }
}
