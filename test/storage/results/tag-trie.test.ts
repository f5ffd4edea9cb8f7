import { describe, expect, test } from "vitest";
import { TagTrie } from "../../../storage/results/tag-trie.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { AssertionError, asTag, limits, rootTag } from "../../../core/index.js";

function opened(sizes: { readonly nodesMax?: number; readonly unusedMax?: number } = {}) {
  const clock = new SimulatedClock();
  return { clock, trie: new TagTrie({ clock, ...sizes }) };
}

const country = asTag("country:DE");
const city = asTag("country:DE:city:1");
const other = asTag("country:FR");

test("the known tags are listed with their own versions and pending invalidations", () => {
  const { trie } = opened();
  const known = () => Object.fromEntries(Array.from(trie.tags(), ({ tag, version, isPending }) => [tag, isPending ? "pending" : version]));
  expect(known()).toEqual({ "": 0 });
  trie.depend([city]);
  trie.apply(asTag("country"), 7);
  const pending = trie.pend(other);
  expect(known()).toEqual({ "": 0, country: 7, "country:DE": 0, "country:DE:city": 0, "country:DE:city:1": 0, "country:FR": "pending" });
  trie.settle(pending, 9);
  expect(known()).toMatchObject({ "country:FR": 9 });
  trie.reset(3);
  expect(known()).toMatchObject({ "": 3, country: 0, "country:FR": 0 });
});

describe("an invalidation", () => {
  test("makes results stale that began before it and depend on its tag or on a tag below it", () => {
    const { trie } = opened();
    const dependency = trie.depend([city, other]);
    const before = trie.begin();
    for (const [sequence, tag] of [city, country, asTag("country"), rootTag, other].entries()) {
      const began = trie.begin();
      expect(trie.isStale(dependency, began)).toBe(false);
      const { version } = trie;
      trie.apply(tag, sequence + 1);
      expect(trie.version).not.toBe(version);
      expect(trie.isStale(dependency, began)).toBe(true);
    }
    expect(trie.isStale(dependency, before)).toBe(true);
    expect(trie.tagVersion(city)).toBe(4);
    expect(trie.tagVersion(other)).toBe(5);
  });

  test("of a tag that is below, beside, or only spelt alike does not count", () => {
    const { trie } = opened();
    const dependency = trie.depend([asTag("a.b:c")]);
    const began = trie.begin();
    for (const [sequence, tag] of ["a:b.c", "a:b:c", "a.b:c:d", "a.b:cc", "a"].entries()) trie.apply(asTag(tag), sequence + 1);
    expect(trie.isStale(dependency, began)).toBe(false);
  });

  test("counts for a result that began at an earlier sequence, and not for one that began at its sequence", () => {
    const { trie } = opened();
    const dependency = trie.depend([country]);
    trie.apply(country, 7);
    expect(trie.isStale(dependency, trie.beganElsewhere(6))).toBe(true);
    expect(trie.isStale(dependency, trie.beganElsewhere(7))).toBe(false);
    trie.advance(9);
    trie.apply(country, 7);
    expect(trie.sequence).toBe(9);
    expect(trie.isStale(dependency, trie.beganElsewhere(7))).toBe(false);
  });

  test("of everything counts for a result without tags", () => {
    const { trie } = opened();
    const dependency = trie.depend([]);
    const began = trie.begin();
    trie.apply(country, 1);
    expect(trie.isStale(dependency, began)).toBe(false);
    trie.apply(rootTag, 2);
    expect(trie.isStale(dependency, began)).toBe(true);
  });

  test("during a computation counts for a tag that was unknown before the computation ended", () => {
    for (const unusedMax of [0, 10]) {
      const { trie } = opened({ unusedMax });
      const began = trie.begin();
      trie.apply(country, 1);
      expect(trie.isStale(trie.depend([city]), began)).toBe(true);
    }
  });

  test("of another tag does not affect a computation whose tags were unknown before it ended", () => {
    const { trie } = opened();
    const began = trie.begin();
    for (let sequence = 1; sequence <= 100; sequence++) trie.apply(asTag(`country:FR:city:${sequence}`), sequence);
    expect(trie.isStale(trie.depend([city]), began)).toBe(false);
  });
});

describe("B4: a local invalidation that has no sequence yet", () => {
  test("counts at once, and lets only results pass that began in this process after it", () => {
    const { trie } = opened();
    trie.advance(100);
    const dependency = trie.depend([city]);
    const unrelated = trie.depend([other]);
    const before = trie.begin();
    const { version } = trie;
    const pending = trie.pend(country);
    expect(trie.version).not.toBe(version);
    expect(trie.isStale(dependency, before)).toBe(true);
    expect(trie.isStale(dependency, trie.begin())).toBe(false);
    // An entry of another process may have begun at any sequence of the bus: the invalidation may be numbered after it.
    expect(trie.isStale(dependency, trie.beganElsewhere(100))).toBe(true);
    expect(trie.isStale(dependency, trie.beganElsewhere(150))).toBe(true);
    expect(trie.isStale(unrelated, trie.beganElsewhere(100))).toBe(false);

    trie.settle(pending, 101);
    expect(trie.isStale(dependency, before)).toBe(true);
    expect(trie.isStale(dependency, trie.beganElsewhere(100))).toBe(true);
    expect(trie.isStale(dependency, trie.beganElsewhere(101))).toBe(false);
    expect(trie.stats().pending).toBe(0);
  });

  test("stays pending when a later one of the same tag is numbered first", () => {
    const { trie } = opened();
    const dependency = trie.depend([country]);
    const first = trie.pend(country);
    trie.settle(trie.pend(country), 5);
    expect(trie.isStale(dependency, trie.beganElsewhere(9))).toBe(true);
    trie.settle(first, 6);
    expect(trie.isStale(dependency, trie.beganElsewhere(9))).toBe(false);
  });

  test("is settled once", () => {
    const { trie } = opened();
    const pending = trie.pend(country);
    trie.settle(pending, 1);
    expect(() => trie.settle(pending, 2)).toThrow(AssertionError);
  });
});

describe("B12: a pruned tag", () => {
  test("leaves its version as the floor of the missing tags below its parent, not of existing ones", async () => {
    const { clock, trie } = opened();
    const kept = trie.depend([asTag("country:FR")]);
    const dependency = trie.depend([city]);
    const began = trie.begin();
    trie.apply(city, 8);
    trie.release(dependency);
    await clock.advance(1_000);
    expect(trie.prune(1_001, 5)).toStrictEqual({ removed: 0, done: true });
    expect(trie.prune(1_000, 5)).toStrictEqual({ removed: 3, done: true });
    expect(trie.stats().nodes).toBe(3);
    expect(trie.tagVersion(city)).toBe(8);
    expect(trie.tagVersion(other)).toBe(0);
    expect(trie.isStale(trie.depend([city]), began)).toBe(true);
    expect(trie.isStale(kept, began)).toBe(false);
  });

  test("stays while an entry, a pending invalidation or a tag below it needs it", async () => {
    const { clock, trie } = opened();
    const dependency = trie.depend([city]);
    trie.release(trie.depend([other]));
    const pending = trie.pend(other);
    await clock.advance(10);
    expect(trie.prune(0, 5).removed).toBe(0);
    trie.release(dependency);
    trie.settle(pending, 1);
    expect(trie.prune(0, 5)).toStrictEqual({ removed: 5, done: true });
    expect(trie.tagVersion(city)).toBe(1);
  });

  test("does not remove a parent that was used later, until that is old enough itself", async () => {
    const { clock, trie } = opened();
    trie.release(trie.depend([city]));
    await clock.advance(50);
    trie.release(trie.depend([country]));
    await clock.advance(50);
    expect(trie.prune(100, 5)).toStrictEqual({ removed: 2, done: true });
    await clock.advance(50);
    expect(trie.prune(100, 5)).toStrictEqual({ removed: 2, done: true });
  });

  test("is removed in steps that keep to their time", () => {
    let ms = 0;
    const clock = Object.assign(new SimulatedClock(), { monotonic: () => (ms += 1) });
    const trie = new TagTrie({ clock });
    const dependencies = Array.from({ length: 1_000 }, (_, index) => trie.depend([asTag(`t${index}`)]));
    for (const dependency of dependencies) trie.release(dependency);
    const steps = [];
    for (let step = trie.prune(0, 3); ; step = trie.prune(0, 3)) {
      steps.push(step.removed);
      if (step.done) break;
    }
    expect(Math.max(...steps)).toBe(192);
    expect(trie.stats().nodes).toBe(1);
  });
});

describe("another epoch", () => {
  test("makes everything known before it stale, from any first sequence, and keeps results that begin in it", () => {
    for (const sequence of [0, 3, 5_000, 9_000]) {
      const { trie } = opened();
      trie.apply(country, 5_000);
      const dependency = trie.depend([country]);
      const before = [trie.begin(), trie.beganElsewhere(5_100)];
      trie.reset(sequence);
      for (const began of before) expect(trie.isStale(dependency, began)).toBe(true);
      const began = trie.begin();
      expect(trie.isStale(dependency, began)).toBe(false);
      expect(trie.isStale(dependency, trie.beganElsewhere(sequence + 1))).toBe(false);
      trie.apply(country, sequence + 1);
      expect(trie.isStale(dependency, began)).toBe(true);
      expect(trie.tagVersion(country)).toBe(sequence + 1);
    }
  });

  test("that numbered a pending invalidation before the reset lets no result become valid again in between", () => {
    const { trie } = opened();
    trie.apply(other, 10);
    const dependency = trie.depend([country]);
    const unrelated = trie.depend([other]);
    const before = trie.begin();
    trie.settle(trie.pend(country), undefined);
    expect(trie.isStale(dependency, before)).toBe(true);
    expect(trie.isStale(dependency, trie.beganElsewhere(10))).toBe(true);
    expect(trie.isStale(unrelated, before)).toBe(false);
    trie.reset(2);
    expect(trie.isStale(dependency, before)).toBe(true);
    expect(trie.isStale(dependency, trie.begin())).toBe(false);
  });

  test("keeps invalidations pending that it has not numbered", () => {
    const { trie } = opened();
    const dependency = trie.depend([country]);
    const pending = trie.pend(country);
    trie.reset(3);
    expect(trie.isStale(dependency, trie.beganElsewhere(4))).toBe(true);
    trie.settle(pending, 4);
    expect(trie.isStale(dependency, trie.beganElsewhere(4))).toBe(false);
  });
});

describe("bounds", () => {
  test("a trie without room judges by the rest below a parent, and counts every invalidation there", () => {
    const { trie } = opened({ nodesMax: 3 });
    const exact = trie.depend([country]);
    const coarse = trie.depend([asTag("country:DE:a"), other]);
    expect(trie.stats().nodes).toBe(3);
    const began = trie.begin();
    trie.apply(asTag("country:IT"), 1);
    expect(trie.isStale(exact, began)).toBe(false);
    expect(trie.isStale(coarse, began)).toBe(true);
    const later = trie.begin();
    const pending = trie.pend(asTag("country:DE:a"));
    expect(trie.isStale(coarse, later)).toBe(true);
    trie.settle(pending, 2);
    expect(trie.isStale(exact, began)).toBe(false);
  });

  test("a trie without room first removes tags that nothing depends on", () => {
    const { trie } = opened({ nodesMax: 4 });
    trie.apply(asTag("x"), 1);
    trie.release(trie.depend([asTag("y")]));
    const dependency = trie.depend([asTag("a:b")]);
    const began = trie.begin();
    trie.apply(asTag("z"), 2);
    expect(trie.isStale(dependency, began)).toBe(false);
    expect(trie.tagVersion(asTag("x"))).toBe(2);
    expect(trie.stats().nodes).toBeLessThanOrEqual(4);
  });

  test("invalidations of tags that nothing depends on leave at most unusedMax nodes each with their parents", () => {
    const { trie } = opened({ unusedMax: 10 });
    for (let sequence = 1; sequence <= 1_000; sequence++) {
      if (sequence % 2 === 0) trie.apply(asTag(`a:${sequence}`), sequence);
      else trie.settle(trie.pend(asTag(`b:${sequence}:c`)), sequence);
    }
    expect(trie.stats().nodes).toBeLessThanOrEqual(1 + 3 * 10);
    expect(trie.tagVersion(asTag("a:2"))).toBeGreaterThanOrEqual(2);
  });

  test("an invalidation takes no longer with 100,000 entries below it than with one", () => {
    const { trie } = opened();
    const dependencies = Array.from({ length: 100_000 }, (_, index) => trie.depend([country, asTag(`country:DE:${index}`)]));
    const began = trie.begin();
    const begun = process.cpuUsage();
    for (let sequence = 1; sequence <= 10_000; sequence++) trie.apply(country, sequence);
    const { user, system } = process.cpuUsage(begun);
    // In microseconds: ten for each invalidation would be slow, and one for each entry a hundred thousand times as
    // much.
    expect(user + system).toBeLessThan(500_000);
    expect(dependencies.every((dependency) => trie.isStale(dependency, began))).toBe(true);
  });
});

describe("tags whose versions need not be remembered", () => {
  test("are forgotten, with their parents, when nothing has depended on them for a while; invalidated tags are not", async () => {
    const { trie, clock } = opened();
    const names = () => Array.from(trie.tags(), ({ tag }) => tag as string);
    const idle: number[] = [];
    trie.onIdle((atMs) => idle.push(atMs));
    const held = trie.depend([asTag("a:kept")]);
    const all = ["a:x:y", "b:c:d", "e:f"].map((tag) => trie.depend([asTag(tag)]));
    trie.apply(asTag("b"), 1);
    for (const dependency of all) trie.release(dependency);
    expect(idle).toHaveLength(3);
    expect(trie.forget(1_000, 5)).toStrictEqual({ removed: 0, done: true, dueMs: clock.monotonic() + 1_000 });
    await clock.advance(1_000);
    // "b" becomes idle only now, when there is no tag below it.
    expect(trie.forget(1_000, 5)).toStrictEqual({ removed: 6, done: true, dueMs: clock.monotonic() + 1_000 });
    await clock.advance(1_000);
    expect(trie.forget(1_000, 5)).toStrictEqual({ removed: 0, done: true, dueMs: Infinity });
    expect(names()).toEqual(["", "a", "a:kept", "b"]);
    expect(trie.prune(60_000, 5).removed).toBe(0);
    expect([trie.tagVersion(asTag("b:c")), trie.tagVersion(asTag("e"))]).toEqual([1, 0]);
    await clock.advance(59_000);
    expect(trie.prune(60_000, 5).removed).toBe(1);
    trie.release(held);
  });

  test("are judged as before when something depends on them again", () => {
    const { trie } = opened();
    const before = trie.begin();
    trie.release(trie.depend([asTag("a:b:c")]));
    trie.apply(asTag("a:z"), 1);
    trie.apply(asTag("a"), 2);
    trie.forget(0, 5);
    const dependency = trie.depend([asTag("a:b:c")]);
    expect([trie.isStale(dependency, before), trie.isStale(dependency, trie.begin())]).toEqual([true, false]);
    trie.apply(asTag("a:b"), 3);
    expect(trie.isStale(dependency, { ...before, sequence: 2, position: 2 })).toBe(true);
    trie.release(dependency);
  });

  test("are bounded, for any number released at once", () => {
    const { trie } = opened();
    for (let id = 0; id < 3 * limits.tagsIdleMax; id++) trie.release(trie.depend([asTag(`a:t${id}`)]));
    expect(trie.size).toBeLessThan(limits.tagsIdleMax + 10);
  });
});
