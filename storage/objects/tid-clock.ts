import type { Clock } from "../../core/clock.js";
import { ClockError } from "../../core/errors.js";
import { limits } from "../../core/limits.js";
import type { Log } from "../../core/log.js";
import { type Tid, tidMsMax, tidToMs } from "../../core/tid.js";
import type { PositionRecord } from "./records.js";

/** Clock that a TidClock reads, and log for its warnings. */
export interface TidClockDeps {
  readonly storage: string;
  readonly clock: Clock;
  readonly log: Log;
}

interface ClockReading {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/**
 * The time of new tids. All ages of history are counted in tids, so this time must advance as real time does:
 *
 *     1. It is the wall clock plus a lead, which is 0 as long as the wall clock is right.
 *     2. A jump of the wall clock that the monotonic clock does not explain changes the lead and not the time. It is
 *        logged.
 *     3. The first tid of a run follows the wall clock, unless that is more than `limits.clockJumpMsMax` behind the
 *        last tid: then the lead is the difference.
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

  constructor(deps: TidClockDeps, { tid, wallMs }: PositionRecord) {
    this.#deps = deps;
    const leadMs = tidToMs(tid) - wallMs;
    this.#leadMs = leadMs > limits.clockJumpMsMax ? leadMs : 0;
    const { storage, log } = deps;
    if (-leadMs > limits.clockJumpMsMax)
      log.warn({ storage, tid, wallMs }, "tids follow the wall clock again, which had jumped ahead of them");
    const aheadMs = this.aheadMs(tid);
    if (aheadMs > limits.clockJumpMsMax)
      log.error({ storage, tid, aheadMs }, "the last transaction is of a time that the wall clock has not reached: tids go on from there");
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
    const leadMs = this.#read === undefined ? this.#firstLeadMs(last, read) : this.#laterLeadMs(this.#read, read, last);
    const nowMs = read.wallMs + leadMs;
    if (!(nowMs >= 0 && nowMs <= tidMsMax)) throw new ClockError({ nowMs });
    this.#leadMs = leadMs;
    this.#read = read;
    return nowMs;
  }

  #firstLeadMs(last: Tid, { wallMs }: ClockReading): number {
    const behindMs = tidToMs(last) - wallMs;
    return behindMs - this.#leadMs > limits.clockJumpMsMax ? behindMs : this.#leadMs;
  }

  #laterLeadMs(before: ClockReading, { wallMs, monotonicMs }: ClockReading, last: Tid): number {
    const jumpMs = wallMs - before.wallMs - (monotonicMs - before.monotonicMs);
    const behindMs = tidToMs(last) - (wallMs + this.#leadMs);
    const isJump = Math.abs(jumpMs) > limits.clockJumpMsMax;
    if (!isJump && behindMs <= limits.clockJumpMsMax) return this.#leadMs;
    const { storage, log } = this.#deps;
    const leadMs = this.#leadMs + (isJump ? -jumpMs : behindMs);
    log.error({ storage, jumpMs, leadMs }, "the wall clock jumped: tids go on by the time that has passed");
    return leadMs;
  }
}
