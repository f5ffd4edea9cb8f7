import { ClockError, limits, type Tid, tidMsMax, tidToMs, type Seams } from "../../core/index.js";
import type { PositionRecord } from "./records.js";

/** Clock that a TidClock reads, and log for its warnings. */
export interface TidClockDeps extends Pick<Seams, "clock" | "log"> {
  readonly storage: string;
}

interface ClockReading {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/**
 * A jump of the wall clock counts as one when it is still unexplained after this time. The monotonic clock of the
 * system notices a sleep 1 ms late.
 */
const doubtMs = 2;

/**
 * The time of new tids. All ages of history are counted in tids, so this time must advance as real time does:
 *
 *     1. It is the wall clock plus a lead, which is 0 as long as the wall clock is right.
 *     2. A jump of the wall clock that the monotonic clock does not explain changes the lead and not the time. It is
 *        logged.
 *     3. The first tid of a run follows the wall clock, unless that is more than `limits.clockJumpMsMax` behind the
 *        last tid: then the lead is the difference. Both are logged at the start when the difference is more than that.
 *     4. A lead survives a restart: the record of a position contains the wall clock in addition to the tid.
 *
 * A wall clock that is set by `limits.clockJumpMsMax` or less is followed. If it is set back, tids count up by one
 * until it catches up. They never wait for it longer than `limits.clockJumpMsMax`, even if it is set back repeatedly:
 * ages of history would stand still as long.
 */
export class TidClock {
  readonly #deps: TidClockDeps;
  #leadMs: number;
  /** Both clocks at the last tid; undefined: no tid in this run yet. */
  #read: ClockReading | undefined;
  /** Monotonic time at which a jump was first seen that is not explained since. */
  #inDoubtSinceMs: number | undefined;

  constructor(deps: TidClockDeps, { tid, wallMs }: PositionRecord) {
    this.#deps = deps;
    const leadMs = tidToMs(tid) - wallMs;
    this.#leadMs = leadMs > limits.clockJumpMsMax ? leadMs : 0;
    const { storage, clock, log } = deps;
    const aheadMs = tidToMs(tid) - clock.now();
    if (aheadMs > limits.clockJumpMsMax)
      log.error({ storage, tid, aheadMs }, "the last tid is ahead of the wall clock: tids continue after it");
    if (-leadMs > limits.clockJumpMsMax)
      log.warn({ storage, tid, wallMs }, "tids follow the wall clock again, which had jumped ahead of them");
    else if (tid > 0 && -aheadMs > limits.clockJumpMsMax)
      log.info({ storage, tid, passedMs: -aheadMs }, "tids follow the wall clock, which has gone on since the last transaction");
  }

  /** Milliseconds that `last`, the last tid, is ahead of the wall clock; 0 if it is not. */
  aheadMs(last: Tid): number {
    return Math.max(0, tidToMs(last) - this.#deps.clock.now());
  }

  /**
   * Time in milliseconds of the tid after `last`, which the caller assigns now. Throws ClockError when no tid can have
   * that time.
   */
  next(last: Tid): number {
    const { clock } = this.#deps;
    const read = { wallMs: clock.now(), monotonicMs: clock.monotonic() };
    const jumpMs = this.#read === undefined ? 0 : read.wallMs - this.#read.wallMs - (read.monotonicMs - this.#read.monotonicMs);
    const isJump = Math.abs(jumpMs) > limits.clockJumpMsMax;
    if (!isJump) this.#inDoubtSinceMs = undefined;
    else if (read.monotonicMs - (this.#inDoubtSinceMs ??= read.monotonicMs) < doubtMs) return checked(read.wallMs + this.#leadMs - jumpMs);
    const leadMs = this.#read === undefined ? this.#firstLeadMs(last, read) : this.#laterLeadMs(last, read, isJump ? jumpMs : 0);
    const nowMs = checked(read.wallMs + leadMs);
    this.#leadMs = leadMs;
    this.#read = read;
    return nowMs;
  }

  #firstLeadMs(last: Tid, { wallMs }: ClockReading): number {
    const behindMs = tidToMs(last) - wallMs;
    return behindMs - this.#leadMs > limits.clockJumpMsMax ? behindMs : this.#leadMs;
  }

  /** `jumpMs` is 0 when the wall clock did not jump. */
  #laterLeadMs(last: Tid, { wallMs }: ClockReading, jumpMs: number): number {
    const behindMs = tidToMs(last) - (wallMs + this.#leadMs);
    if (jumpMs === 0 && behindMs <= limits.clockJumpMsMax) return this.#leadMs;
    const { storage, log } = this.#deps;
    const leadMs = this.#leadMs + (jumpMs === 0 ? behindMs : -jumpMs);
    log.error({ storage, jumpMs, leadMs }, "the wall clock jumped: tids continue by the monotonic clock");
    return leadMs;
  }
}

/** Throws ClockError. */
function checked(nowMs: number): number {
  if (!(nowMs >= 0 && nowMs <= tidMsMax)) throw new ClockError({ nowMs });
  return nowMs;
}
