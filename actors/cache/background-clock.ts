import type { Clock } from "../../core/index.js";

/** `clock` with timers that keep no process alive: those of a library that has nothing to do. */
export function backgroundClock(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimeout: (action, delayMs) => {
      const timer = clock.setTimeout(action, delayMs);
      (timer as { unref?: () => void } | undefined)?.unref?.();
      return timer;
    },
    clearTimeout: (timer) => {
      clock.clearTimeout(timer);
    },
  };
}
