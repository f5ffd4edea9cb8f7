/** Clocks that a BootClock reads; all in milliseconds. */
export interface TimeSources {
  /** Milliseconds since some fixed moment. It never goes back, and stands still while the system sleeps. */
  monotonic(): number;
  /** Milliseconds since 1970. */
  wall(): number;
  /** Milliseconds since the start of the system, including time asleep. It may be coarse and slow to read. */
  uptime(): number;
}

/** Shortest interval between two comparisons of the wall clock with the monotonic clock. */
const lookIntervalMs = 1;

/**
 * A smaller difference is neither a step of the wall clock nor a sleep: some systems give the uptime in whole seconds.
 */
const stepMsMin = 1_500;

/**
 * A monotonic clock that goes on while the system sleeps, like Linux's CLOCK_BOOTTIME, which Node does not read.
 *
 * After a sleep, the wall clock has made a step that the monotonic clock has not made. Only then is the uptime read: a
 * step that the uptime does not explain means that the wall clock was set, and it is ignored. Sleeps under 1.5 s are
 * not noticed. When the monotonic clock goes back, it was replaced, for example by the fake timers of a test; the time
 * here then goes on from where it was.
 */
export class BootClock {
  readonly #sources: TimeSources;
  /** Time asleep, plus the time that a replaced clock went back. */
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
