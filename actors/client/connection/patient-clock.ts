import { type Clock, limits } from "../../../core/index.js";

class PatientTimer {
  inner: unknown;
}

/**
 * `clock` for timers that end a silence. A timer that fires late shows that this process was held up. Messages of the
 * other side may then be unread, because an event loop runs its timers before it reads. Such a timer waits once for
 * `limits.heldUpMs` more, so that they are read first.
 */
export function patientClock(clock: Clock): Pick<Clock, "setTimeout" | "clearTimeout"> {
  return {
    setTimeout(action: () => void, delayMs: number): PatientTimer {
      const dueMs = clock.monotonic() + delayMs;
      const timer = new PatientTimer();
      timer.inner = clock.setTimeout(() => {
        if (clock.monotonic() - dueMs < limits.heldUpMs) action();
        else timer.inner = clock.setTimeout(action, limits.heldUpMs);
      }, delayMs);
      return timer;
    },
    clearTimeout(timer: unknown): void {
      if (timer instanceof PatientTimer) clock.clearTimeout(timer.inner);
    },
  };
}
