import { AsyncResource } from "node:async_hooks";
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
  /** Milliseconds since some fixed moment, including time asleep. Never goes back: durations are measured with it. */
  monotonic(): number;
  /**
   * Accepts any delay: a negative one is 0, and with Infinity `action` never runs. (A timer of the system accepts at
   * most `limits.timerMsMax`.)
   */
  setTimeout(action: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

const bootClock = new BootClock({
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  uptime: () => os.uptime() * 1_000,
});

/** Time of the system. A timer counts only the time during which the system is awake. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => {
    if (SystemTimer.areReplaced) SystemTimer.moveAll();
    return bootClock.now();
  },
  setTimeout: (action, delayMs) => {
    if (SystemTimer.areReplaced) SystemTimer.moveAll();
    return new SystemTimer(action, delayMs);
  },
  clearTimeout: (timer) => {
    if (timer instanceof SystemTimer) timer.clear();
  },
};

/**
 * A timer of the system that accepts any delay; the system's own timers fire at once when the delay is too long.
 * When the system's timers are replaced, for example by the fake timers of a test, pending timers move to the new ones:
 * fake timers that are pending when a test restores the real ones never fire.
 */
class SystemTimer {
  static readonly #set = new Set<SystemTimer>();
  static #timers = { set: setTimeout, clear: clearTimeout };

  static get areReplaced(): boolean {
    return SystemTimer.#timers.set !== setTimeout;
  }

  static moveAll(): void {
    const { clear } = SystemTimer.#timers;
    SystemTimer.#timers = { set: setTimeout, clear: clearTimeout };
    for (const timer of SystemTimer.#set) {
      clear(timer.#timer);
      timer.#arm();
    }
  }

  readonly #action: () => void;
  /** Time on the boot clock. */
  readonly #dueMs: number;
  #timer: NodeJS.Timeout | undefined;
  #keepsProcess = true;

  constructor(action: () => void, delayMs: number) {
    assert(!Number.isNaN(delayMs), "the delay of a timer is a number");
    this.#action = action;
    this.#dueMs = bootClock.now() + delayMs;
    SystemTimer.#set.add(this);
    this.#wait(delayMs);
  }

  clear(): void {
    SystemTimer.#set.delete(this);
    SystemTimer.#timers.clear(this.#timer);
  }

  /** Like `unref` of Node's timers: this timer does not keep the process alive. */
  unref(): void {
    this.#keepsProcess = false;
    this.#timer?.unref();
  }

  #arm(): void {
    this.#wait(Math.max(0, this.#dueMs - bootClock.now()));
  }

  #wait(leftMs: number): void {
    const fire = (): void => {
      SystemTimer.#set.delete(this);
      this.#action();
    };
    const { set } = SystemTimer.#timers;
    this.#timer = leftMs <= limits.timerMsMax ? set(fire, leftMs) : set(() => this.#wait(leftMs - limits.timerMsMax), limits.timerMsMax);
    if (!this.#keepsProcess) this.#timer.unref();
  }
}

/**
 * `clock` for machines, which set timers for as long as they live. Its timers run in the asynchronous context in which
 * this function is called. Otherwise the first call whose event sets a timer gives its context to all later timers:
 * they log under that request of the application, and keep in memory what its AsyncLocalStorage holds.
 */
export function detachedClock(clock: Clock): Clock {
  const context = new AsyncResource("zooid:timers");
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimeout: (action, delayMs) => context.runInAsyncScope(() => clock.setTimeout(action, delayMs)),
    clearTimeout: (timer) => clock.clearTimeout(timer),
  };
}

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
