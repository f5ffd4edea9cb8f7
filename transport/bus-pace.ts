import { asDurationIfGiven, atLeastOneMs, type Duration, InvalidOptionError, limits } from "../core/index.js";

/** How often a bus sends heartbeats, and how long it may be silent. */
export interface BusPace {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** The pace of a bus, as its user chooses it. */
export interface BusPaceOptions {
  /** The same at all nodes. */
  readonly heartbeatIntervalMs?: Duration | undefined;
  /** Silence after which the bus, or a publisher, counts as lost; at least 2.5 intervals. */
  readonly heartbeatTimeoutMs?: Duration | undefined;
}

/** Number of margins that fit into the shortest history of a stream. */
const marginsMin = 10;

/**
 * An entry that is checked against the history of a stream must be younger than the history by this margin, in
 * milliseconds: a node may not notice for a whole time-out that time has passed, and then asks a bucket and the stream.
 */
export function historyMarginMs(timeoutMs: number): number {
  return timeoutMs + limits.bucketTimeoutMs;
}

/** The shortest history of a stream with which nodes of this time-out make progress. */
export function historyMsMin(timeoutMs: number): number {
  return marginsMin * historyMarginMs(timeoutMs);
}

/** Least number of heartbeats that fit into the time-out: one may be late, and one lost. */
const intervalsMin = 2.5;

/** The pace that `options` select, or the default pace. Throws InvalidOptionError. */
export function busPace(options: BusPaceOptions): BusPace {
  const intervalMs = asDurationIfGiven(options.heartbeatIntervalMs, "heartbeatIntervalMs", atLeastOneMs) ?? limits.heartbeatIntervalMs;
  const timeoutOtherwiseMs = Math.max(limits.heartbeatTimeoutMs, intervalMs * intervalsMin);
  const timeoutMs = asDurationIfGiven(options.heartbeatTimeoutMs, "heartbeatTimeoutMs", atLeastOneMs) ?? timeoutOtherwiseMs;
  if (timeoutMs < intervalMs * intervalsMin) {
    throw new InvalidOptionError({ option: "heartbeatTimeoutMs", reason: `is less than ${intervalsMin} heartbeat intervals` });
  }
  return { intervalMs, timeoutMs };
}
