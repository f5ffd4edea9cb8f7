import { limits } from "./limits.js";
import type { Random } from "./random.js";

/** First and longest pause between attempts, in milliseconds. */
export interface RetryPace {
  readonly delayMsMin: number;
  readonly delayMsMax: number;
}

const callPace: RetryPace = { delayMsMin: limits.retryDelayMsMin, delayMsMax: limits.retryDelayMsMax };
/** The pace of attempts to reach a broker or its stream. */
export const dialPace: RetryPace = { delayMsMin: limits.dialDelayMsMin, delayMsMax: limits.dialDelayMsMax };

/**
 * Milliseconds to wait before another attempt after `failures` failed ones (from 1): doubled each time up to
 * `delayMsMax`. For work inside one process; attempts of several processes need `retryDelay`.
 */
export function backOff(failures: number, { delayMsMin, delayMsMax }: RetryPace): number {
  return Math.min(delayMsMin * 2 ** Math.max(0, failures - 1), delayMsMax);
}

/** As `backOff`, and half of it random. The default pace is that of requests to a storage server. */
export function retryDelay(failures: number, random: Random, pace: RetryPace = callPace): number {
  return backOff(failures, pace) * (0.5 + random.fraction() / 2);
}
