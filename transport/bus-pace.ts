import { asDurationIfGiven, atLeastOneMs, type Duration, InvalidOptionError, limits } from "../core/index.js";

/** How often a bus is heard of, and how long it may be silent. */
export interface BusPace {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** Margins that fit into the shortest history of a stream. */
const marginsMin = 10;

/**
 * What is judged by the history of a stream must be so much younger than that is long: a node may not notice for a time-out that time goes on,
 * and then asks a bucket and the stream.
 */
export function historyMarginMs(timeoutMs: number): number {
  return timeoutMs + limits.bucketTimeoutMs;
}

/** The shortest history of a stream with which nodes of such a time-out get anywhere. */
export function historyMsMin(timeoutMs: number): number {
  return marginsMin * historyMarginMs(timeoutMs);
}

/** Heartbeats that fit into the time-out: one may be late, and one lost. */
const intervalsMin = 2.5;

/** The pace that `options` ask for; the defaults unless told. Throws InvalidOptionError. */
export function busPace(options: {
  readonly heartbeatIntervalMs?: Duration | undefined;
  readonly heartbeatTimeoutMs?: Duration | undefined;
}): BusPace {
  const intervalMs = asDurationIfGiven(options.heartbeatIntervalMs, "heartbeatIntervalMs", atLeastOneMs) ?? limits.heartbeatIntervalMs;
  const timeoutOtherwiseMs = Math.max(limits.heartbeatTimeoutMs, intervalMs * intervalsMin);
  const timeoutMs = asDurationIfGiven(options.heartbeatTimeoutMs, "heartbeatTimeoutMs", atLeastOneMs) ?? timeoutOtherwiseMs;
  if (timeoutMs < intervalMs * intervalsMin) {
    throw new InvalidOptionError({ option: "heartbeatTimeoutMs", reason: `is less than ${intervalsMin} heartbeat intervals` });
  }
  return { intervalMs, timeoutMs };
}
