import { describe, expect, test } from "vitest";
import type { Cache, CacheOptions } from "../../../cache.js";
import { ClosedError, limits, silentLog } from "../../../core/index.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { watched } from "../../support/watched.js";
import { openCache } from "./open.js";

const entries = 2_000;

/**
 * A cache of which every entry is stale, and whose sweeps take many steps: each reading of the clock lasts as long as a
 * step may. `ends` is filled with what each sweep has removed.
 */
async function slowCache(options: CacheOptions = {}) {
  const ends: unknown[] = [];
  const note = (facts: object, message: string) => (message === "pruned" || message === "nothing to prune") && ends.push(facts);
  const clock = new SimulatedClock();
  let looks = 0;
  let isSlow = false;
  const slow = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic() + (isSlow ? limits.pruningStepMsMax * looks++ : 0),
    setTimeout: clock.setTimeout.bind(clock),
    clearTimeout: clock.clearTimeout.bind(clock),
  };
  const { cache } = await openCache({ clock: slow, log: { ...silentLog, info: note, debug: note }, ...options });
  await fill(cache, "old");
  isSlow = true;
  return { cache, clock, ends };
}

/** Stores entries that are stale at once: only a sweep finds them. */
async function fill(cache: Cache, tag: string) {
  for (let index = 0; index < entries; index++) void cache.set(`${tag}${index}`, index, { tags: [tag] });
  await cache.invalidate(tag);
}

describe("pruning", () => {
  test("calls during a sweep share the sweep that begins when it has ended", async () => {
    const { cache, clock, ends } = await slowCache();
    const first = watched(cache.prune().finally(() => ends.push("first")));
    await clock.step();
    expect(first.state).toBe("waiting");
    await fill(cache, "new");
    const others = ["second", "third"].map((name) => watched(cache.prune().finally(() => ends.push(name))));
    await clock.until(() => others.every(({ state }) => state === "done"), 60_000);
    const [second, third] = others;
    expect(third?.value).toBe(second?.value);
    expect(ends).toEqual([first.value, "first", second?.value, "second", "third"]);
    expect((first.value?.entries ?? 0) + (second?.value?.entries ?? 0)).toBe(2 * entries);
    expect(cache.stats().entries).toBe(0);
  });

  test("a call during a sweep of the timer waits for a whole sweep of its own", async () => {
    const { cache, clock, ends } = await slowCache({ autoPruneInterval: "1m" });
    await clock.advance(59_999);
    await clock.until(() => cache.stats().entries < entries, 1_000);
    expect(cache.stats().entries).toBeGreaterThan(0);
    await fill(cache, "new");
    const called = watched(cache.prune().finally(() => ends.push("called")));
    await clock.until(() => called.state === "done", 50_000);
    const [automatic, own] = ends;
    expect(ends).toEqual([automatic, own, "called"]);
    expect(own).toEqual(called.value);
    expect(cache.stats().entries).toBe(0);
  });

  test("calls that share a sweep have tags removed that are unused for the shortest of their times", async () => {
    const { cache, clock } = await openCache({ autoPruneSecs: Infinity });
    await cache.invalidate("idle");
    const tags = cache.stats().tags;
    await clock.advance(10_000);
    const running = cache.prune("1h");
    const waiting = [cache.prune("1m"), cache.prune("5s"), cache.prune()];
    expect(await clock.settle(running, 1_000)).toEqual({ entries: 0, tags: 0 });
    expect(await clock.settle(Promise.all(waiting), 1_000)).toEqual(waiting.map(() => ({ entries: 0, tags: 1 })));
    expect(cache.stats().tags).toBe(tags - 1);
  });

  test("calls reject with ClosedError when the cache is closed before their sweep has ended", async () => {
    const { cache, clock } = await slowCache();
    const calls = [watched(cache.prune())];
    await clock.step();
    calls.push(watched(cache.prune()));
    await clock.settle(cache.close(), 60_000);
    for (const { error } of calls) expect(error).toBeInstanceOf(ClosedError);
    await expect(cache.prune()).rejects.toThrow(ClosedError);
  });

  test("other code runs between the steps of a sweep of the timer", async () => {
    const { cache, clock } = await slowCache({ autoPruneInterval: "1m" });
    await clock.advance(59_999);
    let left = entries;
    let turns = 0;
    await clock.until(() => {
      if (cache.stats().entries < left) turns++;
      left = cache.stats().entries;
      return left === 0;
    }, 60_000);
    expect(turns).toBeGreaterThan(3);
  });
});
