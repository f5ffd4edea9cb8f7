import { onAbort } from "./aborting.js";

/**
 * Time as a seam: everything that waits or stamps takes a Clock, so that tests and simulation own time.
 * Has the shape XState asks of a clock, so that one object drives machines and straight code alike.
 */
export interface Clock {
  /** Wall clock, milliseconds since 1970. May go back. */
  now(): number;
  /** Milliseconds since some fixed moment. Never goes back: durations are measured with it. */
  monotonic(): number;
  setTimeout(action: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** Time of the system. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (action, delayMs) => setTimeout(action, delayMs),
  clearTimeout: (timer) => {
    clearTimeout(timer as NodeJS.Timeout);
  },
};

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
