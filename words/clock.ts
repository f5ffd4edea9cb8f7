import os from "node:os";
import { onAbort } from "./aborting.js";
import { assert } from "./assert.js";
import { BootClock } from "./boot-clock.js";
import { limits } from "./limits.js";

/**
 * Time as a seam: everything that waits or stamps takes a Clock, so that tests and simulation own time.
 * Has the shape XState asks of a clock, so that one object drives machines and straight code alike.
 */
export interface Clock {
  /** Wall clock, milliseconds since 1970. May go back. */
  now(): number;
  /** Milliseconds since some fixed moment, the time that the system slept included. Never goes back: durations are measured with it. */
  monotonic(): number;
  /** Any delay: a negative one is 0, and with Infinity `action` never runs. A timer of the system alone takes no more than `limits.timerMsMax`. */
  setTimeout(action: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

const bootClock = new BootClock({
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  uptime: () => os.uptime() * 1_000,
});

/** Time of the system. A timer waits for its delay of time awake. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => bootClock.now(),
  setTimeout: (action, delayMs) => (delayMs <= limits.timerMsMax ? setTimeout(action, delayMs) : new LongTimer(action, delayMs)),
  clearTimeout: (timer) => {
    if (timer instanceof LongTimer) timer.clear();
    else clearTimeout(timer as NodeJS.Timeout);
  },
};

/** A timer of the system for a delay that the system's timers do not take: they would fire at once. */
class LongTimer {
  readonly #action: () => void;
  #leftMs: number;
  #timer: NodeJS.Timeout | undefined;
  #keepsProcess = true;

  constructor(action: () => void, delayMs: number) {
    assert(!Number.isNaN(delayMs), "the delay of a timer is a number");
    this.#action = action;
    this.#leftMs = delayMs;
    this.#arm();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }

  /** As the system's timers: the process need not wait for it. */
  unref(): void {
    this.#keepsProcess = false;
    this.#timer?.unref();
  }

  #arm(): void {
    const stepMs = Math.min(this.#leftMs, limits.timerMsMax);
    this.#leftMs -= stepMs;
    this.#timer = this.#leftMs > 0 ? setTimeout(() => this.#arm(), stepMs) : setTimeout(this.#action, stepMs);
    if (!this.#keepsProcess) this.#timer.unref();
  }
}

/** Resolves after `delayMs` on `clock`; rejects with the signal's reason when it aborts first. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const timer = clock.setTimeout(() => {
      stopListening?.();
      resolve();
    }, delayMs);
    const stopListening =
      signal &&
      onAbort(signal, () => {
        clock.clearTimeout(timer);
        reject(signal.reason as Error);
      });
  });
}

/** Resolves when `promise` is settled, or after `timeoutMs` on `clock`. Never rejects. */
export async function soonerOf(clock: Clock, timeoutMs: number, promise: Promise<unknown>): Promise<void> {
  let timer: unknown;
  const late = new Promise<void>((resolve) => {
    timer = clock.setTimeout(resolve, timeoutMs);
  });
  await Promise.race([promise.catch(() => undefined), late]);
  clock.clearTimeout(timer);
}
