import { asDurationIfGiven, type Duration, limits, type SeamOptions } from "../../core/index.js";
import { type BusPace, busPace, type BusPaceOptions, historyMsMin } from "../bus-pace.js";
import type { HeadedTransport } from "../transport.js";

/** The place of a bus, and how long it may be silent. */
export interface JetStreamBusOptions extends SeamOptions, BusPaceOptions {
  /** The transport. It stays open when the bus is closed. */
  readonly transport: HeadedTransport;
  /** Nodes with the same prefix share invalidations: 1 to 64 letters, digits, `_` or `-`. */
  readonly prefix: string;
  /** Replicas of the stream, if this bus makes it. Default: 1. */
  readonly replicas?: number | undefined;
  /**
   * How long a stream that this bus makes keeps the last invalidation of a tag. An existing stream keeps its own
   * setting. At least ten times heartbeatTimeoutMs and limits.bucketTimeoutMs together.
   */
  readonly historyMs?: Duration | undefined;
}

/** Times of a bus in milliseconds. */
export interface StreamPace extends BusPace {
  /**
   * How long a stream that the bus makes keeps the last invalidation of a tag, and the shortest time for any stream.
   */
  readonly historyMs: number;
  readonly historyMsMin: number;
}

/** The times that `options` select. Throws InvalidOptionError. */
export function streamPace(options: JetStreamBusOptions): StreamPace {
  const { intervalMs, timeoutMs } = busPace(options);
  const leastMs = historyMsMin(timeoutMs);
  const historyMs = asDurationIfGiven(options.historyMs, "historyMs", { unit: "ms", msMin: leastMs });
  return { intervalMs, timeoutMs, historyMs: historyMs ?? Math.max(limits.busHistoryMs, leastMs), historyMsMin: leastMs };
}
