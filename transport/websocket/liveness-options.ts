import type { Clock, Duration } from "../../core/index.js";

/**
 * How soon the end of a silent link is noticed. These are types of the package: a file of theirs imports nothing of
 * `ws`, whose types a service need not have.
 */
export interface LivenessOptions {
  readonly clock?: Clock | undefined;
  readonly pingIntervalMs?: Duration;
  readonly pingsUnansweredMax?: number;
}
