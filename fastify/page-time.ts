import { randomUUID } from "node:crypto";
import type { Clock } from "../core/index.js";

/**
 * When a page was made: by the wall clock, for other processes, and by the monotonic clock, for the process that made
 * it.
 */
export interface PageTime {
  /** Milliseconds since 1970. */
  readonly wallMs: number;
  readonly monotonicMs: number;
  /** Identifies the clock that gave `monotonicMs`. */
  readonly clock: string;
}

const names = new WeakMap<Clock, string>();

export function pageTime(clock: Clock): PageTime {
  return { wallMs: clock.now(), monotonicMs: clock.monotonic(), clock: nameOf(clock) };
}

/**
 * Whole seconds since `made`. A page of this process ages correctly even when the wall clock is set. Another process
 * may have made the page by a wall clock that is ahead, so the age is never below 0.
 */
export function ageSecs(made: PageTime, clock: Clock): number {
  const ageMs = made.clock === nameOf(clock) ? clock.monotonic() - made.monotonicMs : clock.now() - made.wallMs;
  return Math.max(0, Math.floor(ageMs / 1_000));
}

function nameOf(clock: Clock): string {
  let name = names.get(clock);
  if (name === undefined) names.set(clock, (name = randomUUID()));
  return name;
}
