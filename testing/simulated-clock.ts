import type { Clock } from "../core/index.js";
import { assert } from "../core/index.js";

/** Wall clock of a simulation at its start: the first moment of 2026. */
const simulationStartMs = Date.UTC(2026, 0, 1);

interface Timer {
  readonly dueMs: number;
  /** Order of setting: of timers due together, the first set fires first. */
  readonly order: number;
  readonly owner: NodeClock | undefined;
  action: (() => void) | undefined;
}

/**
 * A clock that stands still until it is stepped. Each step moves it to the next deadline, never past one, and fires one
 * timer. Timers that are due together fire in the order in which they were set. All effects of a timer have settled
 * when its step resolves, provided that they wait only for promises and this clock.
 */
export class SimulatedClock implements Clock {
  readonly #heap: Timer[] = [];
  #elapsedMs = 0;
  #wallOffsetMs: number;
  #order = 0;
  #cancelled = 0;
  #steps = 0;

  constructor(options: { readonly startMs?: number } = {}) {
    this.#wallOffsetMs = options.startMs ?? simulationStartMs;
  }

  /** In whole milliseconds, as the system clock's. */
  now(): number {
    return Math.floor(this.#wallOffsetMs + this.#elapsedMs);
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  setTimeout(action: () => void, delayMs: number): unknown {
    return this.#add(action, delayMs, undefined);
  }

  clearTimeout(timer: unknown): void {
    if (timer !== undefined) this.#cancel(timer as Timer);
  }

  /** Moves the wall clock by `ms`, back if negative. Timers and `monotonic` are not affected. */
  shiftWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /**
   * The clock of one simulated process, `skewMs` ahead of this one and `rate` times as fast. `stop` ends all its
   * timers.
   */
  node(skewMs = 0, rate = 1): NodeClock {
    return new NodeClock(this, skewMs, rate, {
      add: (owner, action, delayMs) => this.#add(action, delayMs, owner),
      cancel: (timer) => {
        this.#cancel(timer as Timer);
      },
    });
  }

  /** Number of timers that have not fired yet. */
  get timerCount(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** Number of timers that have fired. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Fires the next timer and lets all its effects settle. Without a timer it resolves to false, and the clock stands.
   */
  async step(): Promise<boolean> {
    const timer = this.#next();
    if (timer === undefined) {
      await settled();
      return false;
    }
    this.#pop();
    this.#steps++;
    this.#elapsedMs = timer.dueMs;
    const { action } = timer;
    timer.action = undefined;
    action?.();
    await settled();
    return true;
  }

  /** Fires all timers of the next `ms`, then stands at the end of that time. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms;
    // Code that ran before the first step may still have a timer to set.
    await settled();
    for (let timer = this.#next(); timer !== undefined && timer.dueMs <= endMs; timer = this.#next()) await this.step();
    this.#elapsedMs = endMs;
  }

  /** Steps until `holds` returns true. Rejects when it does not within `timeoutMs` of simulated time. */
  async until(holds: () => boolean, timeoutMs: number): Promise<void> {
    const inTime = await this.holdsWithin(holds, timeoutMs);
    assert(inTime, `${holds.toString()} returns true within ${timeoutMs} ms`);
  }

  /** Steps until `holds` returns true, at most `timeoutMs` of simulated time. Resolves to whether it did. */
  async holdsWithin(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    const endMs = this.#elapsedMs + timeoutMs;
    await settled();
    while (!holds()) {
      const timer = this.#next();
      if (timer === undefined || timer.dueMs > endMs) {
        this.#elapsedMs = endMs;
        return false;
      }
      await this.step();
    }
    return true;
  }

  /**
   * Steps until `promise` settles, at most `timeoutMs` of simulated time; then resolves or rejects as `promise` does.
   */
  async settle<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
    let isSettled = false;
    const mark = () => {
      isSettled = true;
    };
    promise.then(mark, mark);
    const inTime = await this.holdsWithin(() => isSettled, timeoutMs);
    assert(inTime, `a promise awaited in simulation settles within ${timeoutMs} ms`);
    return promise;
  }

  #add(action: () => void, delayMs: number, owner: NodeClock | undefined): Timer {
    const dueMs = this.#elapsedMs + (delayMs > 0 ? delayMs : 0);
    assert(!Number.isNaN(delayMs), "the delay of a timer is a number");
    const isEndless = dueMs === Infinity;
    const timer: Timer = { dueMs, order: this.#order++, owner, action: isEndless ? undefined : action };
    if (!isEndless) this.#push(timer);
    return timer;
  }

  #cancel(timer: Timer): void {
    if (timer.action === undefined) return;
    timer.action = undefined;
    this.#cancelled++;
  }

  /** The next timer that will fire; it stays in the heap. Removes cancelled timers before it. */
  #next(): Timer | undefined {
    for (;;) {
      const timer = this.#heap[0];
      if (timer === undefined) return undefined;
      if (timer.action !== undefined && timer.owner?.isStopped !== true) return timer;
      if (timer.action === undefined) this.#cancelled--;
      this.#pop();
    }
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt] as Timer;
      if (!isBefore(timer, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Timer;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= heap.length) break;
      const right = heap[childAt + 1];
      if (right !== undefined && isBefore(right, heap[childAt] as Timer)) childAt++;
      const child = heap[childAt] as Timer;
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
  }
}

interface Timers {
  add(owner: NodeClock, action: () => void, delayMs: number): unknown;
  cancel(timer: unknown): void;
}

/** Clock of one simulated process. It has its own wall clock, and can be stopped for good or stalled for a while. */
export class NodeClock implements Clock {
  readonly #clock: SimulatedClock;
  readonly #timers: Timers;
  readonly #rate: number;
  /** Time at which both clocks show the same monotonic time. */
  readonly #sinceMs: number;
  #skewMs: number;
  #isStopped = false;
  #busyUntilMs = -Infinity;
  /** Actions that wait until the process is awake again, in order. */
  readonly #waiting: (() => void)[] = [];

  /** Made by SimulatedClock.node. */
  constructor(clock: SimulatedClock, skewMs: number, rate: number, timers: Timers) {
    assert(rate > 0, "a clock goes forward");
    this.#clock = clock;
    this.#skewMs = skewMs;
    this.#rate = rate;
    this.#sinceMs = clock.monotonic();
    this.#timers = timers;
  }

  now(): number {
    return Math.floor(this.#clock.now() + this.#skewMs);
  }

  monotonic(): number {
    if (this.#rate === 1) return this.#clock.monotonic();
    return this.#sinceMs + (this.#clock.monotonic() - this.#sinceMs) * this.#rate;
  }

  setTimeout(action: () => void, delayMs: number): unknown {
    if (this.#isStopped) return undefined;
    const timer: NodeTimer = { isCleared: false, inner: undefined };
    const fire = () => {
      this.awake(() => {
        if (!timer.isCleared) action();
      });
    };
    timer.inner = this.#timers.add(this, fire, delayMs / this.#rate);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    if (timer === undefined) return;
    const placed = timer as NodeTimer;
    placed.isCleared = true;
    this.#timers.cancel(placed.inner);
  }

  /** Moves this process's wall clock by `ms`, back if negative. */
  shiftWall(ms: number): void {
    this.#skewMs += ms;
  }

  /** Stalls the process: for the next `ms` none of its timers fires, and actions given to `awake` wait. */
  stall(ms: number): void {
    const untilMs = this.#clock.monotonic() + ms;
    if (untilMs <= this.#busyUntilMs) return;
    this.#busyUntilMs = untilMs;
    this.#timers.add(this, () => this.#wake(), ms);
  }

  /** Runs `action` now; while the process is stalled, after the stall, in order; never after `stop`. */
  readonly awake = (action: () => void): void => {
    if (this.#isStopped) return;
    if (this.isHeldUp) this.#waiting.push(action);
    else action();
  };

  /** Whether the process is stalled, or has not yet run all actions that waited. */
  get isHeldUp(): boolean {
    return this.#clock.monotonic() < this.#busyUntilMs || this.#waiting.length > 0;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Ends the process's timers as kill -9 does: none fires from now on. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting.length = 0;
  }

  /** Runs one waiting action and lets its effects settle before the next one, as an event loop does. */
  #wake(): void {
    if (this.#clock.monotonic() < this.#busyUntilMs) return;
    const action = this.#waiting.shift();
    if (action === undefined) return;
    this.#timers.add(this, () => this.#wake(), 0);
    action();
  }
}

/** A timer of a process's clock, as `clearTimeout` takes it. */
interface NodeTimer {
  isCleared: boolean;
  inner: unknown;
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

/** Resolves when all promise reactions that can run have run, including those they cause. About 1 µs. */
function settled(): Promise<void> {
  // Node runs an immediate only when the queues of ticks and of promise reactions are empty.
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
