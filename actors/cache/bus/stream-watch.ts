import { limits } from "../../../core/index.js";
import type { ExaminationDeps } from "../../../transport/jetstream/examination.js";

export interface StreamWatchDeps extends Pick<ExaminationDeps, "clock" | "random" | "latest" | "proof"> {
  readonly intervalMs: number;
  /** Silence after which the node counts as cut off. */
  readonly timeoutMs: number;
}

/** Schedules the looks of a following node at the stream, and judges what the stream has repeated. */
export class StreamWatch {
  readonly #deps: StreamWatchDeps;
  /** When the next look is due, on the monotonic clock. */
  #dueMs = Infinity;
  #intervalMs = 0;
  /** When the node began to follow. */
  #beganAt = -Infinity;

  constructor(deps: StreamWatchDeps) {
    this.#deps = deps;
  }

  /**
   * The node begins to follow. On a slow link, and after a long replay, what the stream last repeated is old by now:
   * the stream counts as silent only once it has not repeated the heartbeats that this node sends from now on.
   */
  begin(): void {
    this.#beganAt = this.#deps.clock.monotonic();
  }

  /** Milliseconds from now until the next look, which is due then. */
  next(): number {
    const { clock, random, proof, intervalMs } = this.#deps;
    // Each node chooses another interval, so that the heartbeat of one serves all.
    this.#intervalMs = intervalMs * (0.75 + random.fraction() / 2);
    const restMs = this.#intervalMs - this.#silentMs;
    const ownMs = proof.dueInMs;
    const delayMs = Math.min(restMs > 0 ? restMs : this.#intervalMs, ownMs > 0 ? ownMs : limits.proofGapMsMin);
    this.#dueMs = clock.monotonic() + delayMs;
    return delayMs;
  }

  /** The timer of this look fired late by a whole time-out: messages that are read from now on may be as old. */
  get wasHeldUp(): boolean {
    return this.#deps.clock.monotonic() - this.#dueMs >= this.#deps.timeoutMs;
  }

  /** The stream has repeated nothing for the time-out, while this node followed. */
  get isSilent(): boolean {
    return this.#silentMs >= this.#deps.timeoutMs;
  }

  /**
   * No message came for this node's interval, while it followed, or an own message must prove that this node is in
   * touch.
   */
  get isBeatDue(): boolean {
    return this.#silentMs >= this.#intervalMs || this.#deps.proof.dueInMs <= 0;
  }

  get #silentMs(): number {
    return this.#deps.clock.monotonic() - Math.max(this.#deps.latest.at, this.#beganAt);
  }
}
