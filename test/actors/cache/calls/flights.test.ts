import { describe, expect, test } from "vitest";
import { CircularCallError, OutsideComputationError } from "../../../../cache.js";
import { TimeoutError } from "../../../../core/index.js";
import { type Gate, gate, openCache } from "../open.js";

/** A cached function whose computations end when the test says so. */
async function gated(options: { readonly signal?: (name: string, signal?: AbortSignal) => AbortSignal | undefined } = {}) {
  const { cache, clock } = await openCache();
  const gates: Gate<string>[] = [];
  const load = cache.cacheable(
    (_name: string, _signal?: AbortSignal) => {
      const next = gate<string>();
      gates.push(next);
      return next.promise;
    },
    { name: "load", deps: ["a:b"], key: (name) => name, ...options },
  );
  return { cache, clock, gates, load };
}

describe("a flight", () => {
  test("is shared by all calls while it lasts", async () => {
    const { gates, load } = await gated();
    const callers = Array.from({ length: 100 }, () => load("x"));
    gates[0]?.open("value");
    expect(new Set(await Promise.all(callers))).toEqual(new Set(["value"]));
    expect(gates).toHaveLength(1);
  });

  test("B1: a call after an invalidation gets no result computed before it; a call that overlaps it gets the older result", async () => {
    const { cache, gates, load } = await gated();
    const before = load("x");
    await cache.invalidate("a");
    const after = [load("x"), load("x")];
    gates[0]?.open("old");
    expect(await before).toBe("old");
    expect(gates).toHaveLength(2);
    gates[1]?.open("new");
    expect(await Promise.all(after)).toEqual(["new", "new"]);
    expect(await load("x")).toBe("new");
    expect(gates).toHaveLength(2);
  });

  test("B1: late calls share one new flight, however much is invalidated meanwhile", async () => {
    const { cache, gates, load } = await gated();
    const before = load("x");
    await cache.invalidate("a");
    const late = [load("x"), load("x")];
    gates[0]?.open("old");
    await before;
    await cache.invalidate("a");
    gates[1]?.open("newer");
    expect(await Promise.all(late)).toEqual(["newer", "newer"]);
    expect(gates).toHaveLength(2);
    const next = load("x");
    expect(gates).toHaveLength(3);
    gates[2]?.open("newest");
    expect(await next).toBe("newest");
  });

  test("is joined after an unrelated invalidation, since its result is still valid when it lands", async () => {
    const { cache, gates, load } = await gated();
    const before = load("x");
    await cache.invalidate("z");
    const after = load("x");
    gates[0]?.open("value");
    expect(await Promise.all([before, after])).toEqual(["value", "value"]);
    expect(gates).toHaveLength(1);
  });

  test("is not kept when its key was deleted meanwhile", async () => {
    const { gates, load } = await gated();
    const before = load("x");
    await load.invalidate("x");
    gates[0]?.open("old");
    expect(await before).toBe("old");
    void load("x");
    expect(gates).toHaveLength(2);
  });

  test("fails for all joined calls with the same error object", async () => {
    const { gates, load } = await gated();
    const failure = new Error("down", { cause: "cable" });
    const callers = [load("x"), load("x"), load("x")];
    gates[0]?.fail(failure);
    const outcomes = await Promise.allSettled(callers);
    expect(outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.reason : undefined))).toEqual([failure, failure, failure]);
    void load("x");
    expect(gates).toHaveLength(2);
  });

  test("releases joined calls at its time-out; its first caller waits on, and its result is not kept", async () => {
    const { clock, gates, load } = await gated();
    const leader = load("x");
    const follower = load("x");
    const freed = expect(follower).rejects.toThrow(TimeoutError);
    await clock.advance(60_000);
    await freed;
    const second = load("x");
    gates[1]?.open("second");
    expect(await second).toBe("second");
    gates[0]?.open("first");
    expect(await leader).toBe("first");
    expect(await load("x")).toBe("second");
  });

  test("goes on for the other callers when one gives up, even the first", async () => {
    const { gates, load } = await gated({ signal: (_name, signal) => signal });
    const patient = new AbortController();
    const hasty = new AbortController();
    const first = load("x", hasty.signal);
    const second = load("x", patient.signal);
    hasty.abort(new Error("no time"));
    await expect(first).rejects.toThrow("no time");
    gates[0]?.open("value");
    expect(await second).toBe("value");
  });

  test("runs again for the other callers when the abort of its first caller made it fail", async () => {
    const { gates, load } = await gated({ signal: (_name, signal) => signal });
    const hasty = new AbortController();
    const first = load("x", hasty.signal);
    const second = load("x", new AbortController().signal);
    const gone = expect(first).rejects.toThrow("no time");
    hasty.abort(new Error("no time"));
    gates[0]?.fail(hasty.signal.reason);
    await gone;
    gates[1]?.open("value");
    expect(await second).toBe("value");
  });

  test("that would wait for itself fails, and the error names the circle", async () => {
    const { cache } = await openCache();
    const circle: { b?: (x: number) => Promise<string> } = {};
    const a = cache.cacheable(async (x: number): Promise<string> => `a ${await circle.b?.(x)}`, { name: "a" });
    circle.b = cache.cacheable(async (x: number): Promise<string> => `b ${await a(x)}`, { name: "b" });
    const failure = await a(1).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CircularCallError);
    expect((failure as CircularCallError).circle).toBe("a(1) → b(1) → a(1)");
  });

  test("that waits for a flight that waits for it fails, though neither called itself", async () => {
    const { cache } = await openCache();
    const meet = gate();
    const other: { b?: () => Promise<string> } = {};
    const a = cache.cacheable(async (): Promise<string> => (await meet.promise, `a ${await other.b?.()}`), { name: "a" });
    const b = cache.cacheable(async (): Promise<string> => (await meet.promise, `b ${await a()}`), { name: "b" });
    other.b = b;
    const both = Promise.allSettled([a(), b()]);
    meet.open();
    const outcomes = await both;
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(String((outcomes[0] as PromiseRejectedResult).reason)).toMatch(/a\(\) → b\(\) → a\(\)|b\(\) → a\(\) → b\(\)/);
  });
});

describe("dependencies", () => {
  test("are added from within a computation, across awaits; outside of one that is an error", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const load = cache.cacheable(
      async (id: string) => {
        await Promise.resolve();
        cache.addDeps([`city:${id}`]);
        return ++computed;
      },
      { name: "load" },
    );
    expect([await load("DE"), await load("DE")]).toEqual([1, 1]);
    await cache.invalidate("city:FR");
    expect(await load("DE")).toBe(1);
    await cache.invalidate("city");
    expect(await load("DE")).toBe(2);
    expect(() => {
      cache.addDeps("x");
    }).toThrow(OutsideComputationError);
  });

  test("of nested calls, and their keys, are dependencies of the outer result, on hits too", async () => {
    const { cache } = await openCache();
    let inner = 0;
    let outer = 0;
    const city = cache.cacheable(async (id: string) => `${id} ${++inner}`, { name: "city", deps: (id) => [`city:${id}`] });
    const page = cache.cacheable(async () => `page ${++outer} of ${await city("DE")}`, { name: "page" });
    await city("DE");
    expect(await page()).toBe("page 1 of DE 1");
    await cache.invalidate("city:DE");
    expect(await page()).toBe("page 2 of DE 2");
    expect(await page()).toBe("page 2 of DE 2");
    await city.invalidate("DE");
    expect(await page()).toBe("page 3 of DE 3");
  });

  test("of sync functions are passed to their callers", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const part = cache.cacheable((id: string) => `${id} ${++computed}`, { name: "part", deps: ["part"] });
    const whole = cache.cacheable((id: string) => `whole ${part(id)}`, { name: "whole" });
    expect(whole("x")).toBe("whole x 1");
    expect(whole("x")).toBe("whole x 1");
    await cache.invalidate("part");
    expect(whole("x")).toBe("whole x 2");
  });

  test("on an absent key are dependencies too", async () => {
    const { cache } = await openCache();
    const known = cache.cacheable(async () => (await cache.get("x")) !== undefined, { name: "known" });
    expect(await known()).toBe(false);
    await cache.set("x", 1);
    expect(await known()).toBe(true);
    await cache.delete("x");
    expect(await known()).toBe(false);
  });
});
