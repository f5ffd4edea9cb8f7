import { limits, type Random } from "./index.js";

/** Pause before another attempt after `failures` of them, from 1: doubled each time up to retryDelayMsMax, and half of it by chance. */
export function retryDelay(failures: number, random: Random): number {
  const longest = Math.min(limits.retryDelayMsMin * 2 ** Math.max(0, failures - 1), limits.retryDelayMsMax);
  return longest * (0.5 + random.fraction() / 2);
}
