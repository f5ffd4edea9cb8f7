/** What a BootClock is made of; all in milliseconds. */
export interface TimeSources {
  /** Since some fixed moment. It never goes back, and stands still while the system sleeps. */
  monotonic(): number;
  /** Since 1970. */
  wall(): number;
  /** Since the system was started, the time that it slept included; it may be coarse and slow to read. */
  uptime(): number;
}

/** The wall clock is compared with the monotonic one no more often. */
const lookIntervalMs = 1;

/** Less is no step of the wall clock, and no sleep: uptime is in whole seconds on some systems. */
const stepMsMin = 1_500;

/**
 * A monotonic clock that goes on while the system sleeps, as Linux's CLOCK_BOOTTIME, which Node does not read.
 *
 * After a sleep the wall clock has made a step that the monotonic clock has not. Only then is the uptime read: a step that it does not
 * explain is a clock that was set, and counts for nothing. Sleeps under 1.5 s are not noticed. A monotonic clock that goes back was
 * replaced, as by the fake timers of a test; the time here goes on from where it was.
 */
export class BootClock {
  readonly #sources: TimeSources;
  /** What was slept, and what a replaced clock was behind. */
  #aheadMs = 0;
  #lookedAtMs: number;
  #wallLeadMs: number;
  #uptimeLeadMs: number;

  constructor(sources: TimeSources) {
    this.#sources = sources;
    const monotonicMs = sources.monotonic();
    this.#lookedAtMs = monotonicMs;
    this.#wallLeadMs = sources.wall() - monotonicMs;
    this.#uptimeLeadMs = sources.uptime() - monotonicMs;
  }

  /** Milliseconds since some fixed moment. Never goes back. */
  now(): number {
    const monotonicMs = this.#sources.monotonic();
    const passedMs = monotonicMs - this.#lookedAtMs;
    if (passedMs >= lookIntervalMs || passedMs < 0) this.#look(monotonicMs, passedMs);
    return monotonicMs + this.#aheadMs;
  }

  #look(monotonicMs: number, passedMs: number): void {
    const wallLeadMs = this.#sources.wall() - monotonicMs;
    const hasStepped = Math.abs(wallLeadMs - this.#wallLeadMs) >= stepMsMin;
    this.#lookedAtMs = monotonicMs;
    this.#wallLeadMs = wallLeadMs;
    if (passedMs >= 0 && !hasStepped) return;
    const uptimeLeadMs = this.#sources.uptime() - monotonicMs;
    const sleptMs = uptimeLeadMs - this.#uptimeLeadMs;
    if (passedMs < 0) this.#aheadMs -= passedMs;
    else if (sleptMs >= stepMsMin) this.#aheadMs += sleptMs;
    else if (sleptMs > -stepMsMin) return;
    this.#uptimeLeadMs = uptimeLeadMs;
  }
}
