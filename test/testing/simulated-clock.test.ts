import { describe, expect, test } from "vitest";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import { delay, seededRandom } from "../../core/index.js";

describe("simulated clock", () => {
  test("timers fire at their deadline, in order, ties in the order they were set", async () => {
    const clock = new SimulatedClock();
    const fired: string[] = [];
    const at = (name: string, ms: number) => clock.setTimeout(() => fired.push(`${name}@${clock.monotonic()}`), ms);
    at("c", 20);
    at("a", 10);
    at("b", 10);
    at("now", 0);
    await clock.advance(15);
    expect(fired).toEqual(["now@0", "a@10", "b@10"]);
    expect(clock.monotonic()).toBe(15);
    expect(clock.timerCount).toBe(1);
    expect(clock.steps).toBe(3);
  });

  test("a timer set by another one fires at its own deadline, not where a long advance ends", async () => {
    const clock = new SimulatedClock();
    const fired: number[] = [];
    clock.setTimeout(() => clock.setTimeout(() => fired.push(clock.monotonic()), 500), 1_000);
    await clock.advance(10_000);
    expect(fired).toEqual([1_500]);
  });

  test("a chain of promises settles within the step that began it", async () => {
    const clock = new SimulatedClock();
    let depth = 0;
    clock.setTimeout(() => {
      void (async () => {
        for (; depth < 1_000; depth++) await Promise.resolve();
      })();
    }, 1);
    await clock.step();
    expect(depth).toBe(1_000);
  });

  test("a cancelled timer does not fire and does not count", async () => {
    const clock = new SimulatedClock();
    let fired = 0;
    const timer = clock.setTimeout(() => fired++, 1);
    clock.clearTimeout(timer);
    clock.clearTimeout(timer);
    clock.clearTimeout(undefined);
    expect(clock.timerCount).toBe(0);
    expect(await clock.step()).toBe(false);
    expect(fired).toBe(0);
  });

  test("a wall clock that goes back moves neither timers nor the monotonic clock", async () => {
    const clock = new SimulatedClock({ startMs: 1_000_000 });
    const waited = delay(clock, 100);
    clock.shiftWall(-5_000);
    await clock.settle(waited, 100);
    expect(clock.monotonic()).toBe(100);
    expect(clock.now()).toBe(995_100);
  });

  test("the timers of a stopped process never fire; the timers of others do", async () => {
    const clock = new SimulatedClock({ startMs: 0 });
    const [dead, alive] = [clock.node(7), clock.node()];
    const fired: string[] = [];
    dead.setTimeout(() => fired.push("dead"), 1);
    alive.setTimeout(() => fired.push("alive"), 2);
    expect(dead.now()).toBe(7);
    dead.stop();
    dead.setTimeout(() => fired.push("dead"), 3);
    await clock.advance(10);
    expect(fired).toEqual(["alive"]);
  });

  test("until resolves to false and settle rejects at the time-out, where the clock then stands", async () => {
    const clock = new SimulatedClock();
    const tick = () => clock.setTimeout(tick, 30);
    tick();
    expect(await clock.holdsWithin(() => false, 100)).toBe(false);
    expect(clock.monotonic()).toBe(100);
    await expect(clock.settle(new Promise(() => undefined), 50)).rejects.toThrow("settles within 50 ms");
  });

  test("any mix of deadlines fires sorted by deadline, then by order of setting", async () => {
    const random = seededRandom(1);
    const clock = new SimulatedClock();
    const expected: { dueMs: number; order: number }[] = [];
    const fired: { dueMs: number; order: number }[] = [];
    for (let order = 0; order < 500; order++) {
      const timer = { dueMs: Math.floor(random.fraction() * 50), order };
      const handle = clock.setTimeout(() => fired.push(timer), timer.dueMs);
      if (random.fraction() < 0.3) clock.clearTimeout(handle);
      else expected.push(timer);
    }
    await clock.advance(50);
    expect(fired).toEqual(expected.toSorted((a, b) => a.dueMs - b.dueMs || a.order - b.order));
  });
});
