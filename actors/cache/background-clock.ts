import type { Clock } from "../../core/index.js";

/** `clock` with timers that do not keep the process alive: an idle library lets the process end. */
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
