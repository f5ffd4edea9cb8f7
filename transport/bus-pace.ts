import { InvalidOptionError, limits } from "../words/index.js";

/** How often a bus is heard of, and how long it may be silent. */
export interface BusPace {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** Heartbeats that fit into the time-out: one may be late, and one lost. */
const intervalsMin = 2.5;

/** The pace that `options` ask for; the defaults unless told. Throws InvalidOptionError. */
export function busPace(options: {
  readonly heartbeatIntervalMs?: number | undefined;
  readonly heartbeatTimeoutMs?: number | undefined;
}): BusPace {
  const intervalMs = options.heartbeatIntervalMs ?? limits.heartbeatIntervalMs;
  if (!(intervalMs > 0 && intervalMs <= limits.timerMsMax)) {
    throw new InvalidOptionError({ option: "heartbeatIntervalMs", reason: "is not a positive number of milliseconds" });
  }
  const timeoutMs = options.heartbeatTimeoutMs ?? Math.max(limits.heartbeatTimeoutMs, intervalMs * intervalsMin);
  if (!(timeoutMs >= intervalMs * intervalsMin && timeoutMs <= limits.timerMsMax)) {
    throw new InvalidOptionError({ option: "heartbeatTimeoutMs", reason: `is less than ${intervalsMin} heartbeat intervals` });
  }
  return { intervalMs, timeoutMs };
}
