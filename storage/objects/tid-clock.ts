import type { Clock } from "../../core/clock.js";
import { ClockError } from "../../core/errors.js";
import { limits } from "../../core/limits.js";
import type { Log } from "../../core/log.js";
import { type Tid, tidMsMax, tidToMs } from "../../core/tid.js";
import type { PositionRecord } from "./records.js";

/** What a TidClock reads, and where it says that a clock is wrong. */
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
 * The time that tids are given for. All ages of history are counted in tids, so that it must go on as real time does:
 *
 *     1. It is the wall clock and a lead, which is 0 as long as the wall clock is right.
 *     2. A jump of the wall clock that the monotonic clock does not explain changes the lead and not the time. It is logged.
 *     3. The first tid of a run follows the wall clock, unless that would be behind the last tid: then the lead is what it is behind.
 *     4. A lead lasts over a start: the record of a position has the wall clock beside the tid.
 *
 * A clock that is set by `limits.clockJumpMsMax` or less is followed; where it is set back, tids count up by one until it is there again.
 * They never wait for it longer than `limits.clockJumpMsMax`, however often it is set back: ages of history would stand as long.
 */
export class TidClock {
  readonly #deps: TidClockDeps;
  #leadMs: number;
  /** Both clocks when a tid was given last; undefined: this run gave none yet. */
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

  /** Milliseconds that the tid after `last` is given for, which is to be given now. Throws ClockError when no tid can be of that time. */
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
