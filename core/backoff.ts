import { limits, type Random } from "./index.js";

/**
 * Pause before another attempt after `failures` failed ones (from 1): doubled each time up to retryDelayMsMax, and half
 * of it random.
 */
export function retryDelay(failures: number, random: Random): number {
  const longest = Math.min(limits.retryDelayMsMin * 2 ** Math.max(0, failures - 1), limits.retryDelayMsMax);
  return longest * (0.5 + random.fraction() / 2);
}
