import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, onTestFinished, test } from "vitest";
import { createCache } from "../../../../cache.js";
import { silentLog } from "../../../../core/index.js";
import { until } from "../../../support/until.js";
import { counted, objectWorld } from "../objects/object-world.js";
import { gate, openCache } from "../open.js";

/** The application's own context: the current request. */
const requests = new AsyncLocalStorage<string>();
const requestNow = () => requests.getStore() ?? "none";

describe("a function, and every callback given with it, runs in the context of the call that it computes for", () => {
  test("a call that came too late for a computation, and a call that joins it", async () => {
    const { cache } = await openCache();
    const held = gate();
    const seen: string[] = [];
    const see = (what: string) => void seen.push(`${what} ${requestNow()}`);
    const load = cache.cacheable(
      async (_id: number) => {
        see("before");
        await held.promise;
        see("after");
        return requestNow();
      },
      {
        name: "load",
        deps: () => {
          see("deps");
          return ["tag"];
        },
        condition: () => {
          see("condition");
          return true;
        },
        ttl: () => {
          see("ttl");
          return "1m";
        },
      },
    );
    const a = requests.run("A", () => load(1));
    await cache.invalidate("tag");
    const b = requests.run("B", () => load(1));
    const c = requests.run("C", () => load(1));
    held.open();
    expect(await Promise.all([a, b, c])).toEqual(["A", "B", "B"]);
    const whole = (request: string) => ["deps", "before", "after"].map((what) => `${what} ${request}`);
    expect(seen).toEqual([...whole("A"), ...whole("B"), "condition B", "ttl B"]);
  });

  test("a call whose first caller gave up", async () => {
    const { cache } = await openCache();
    const held = gate();
    const load = cache.cacheable(
      async (_id: number, signal?: AbortSignal) => {
        await held.promise;
        signal?.throwIfAborted();
        return requestNow();
      },
      { name: "load", key: (id) => id, signal: (_id, signal) => signal },
    );
    const hasty = new AbortController();
    const a = requests.run("A", () => load(1, hasty.signal));
    const gone = expect(a).rejects.toThrow("no time");
    const b = requests.run("B", () => load(1));
    hasty.abort(new Error("no time"));
    held.open();
    await gone;
    expect(await b).toBe("B");
  });

  test("a call that came after an invalidation, when the computation before it fails", async () => {
    const { cache } = await openCache();
    const held = gate();
    let runs = 0;
    const load = cache.cacheable(
      async () => {
        if (runs++ > 0) return requestNow();
        await held.promise;
        throw new Error("old");
      },
      { name: "load", deps: ["tag"] },
    );
    const a = requests.run("A", () => load()).catch((error: unknown) => (error as Error).message);
    await cache.invalidate("tag");
    const b = requests.run("B", () => load());
    held.open();
    expect(await Promise.all([a, b])).toEqual(["old", "B"]);
  });

  test("`getOrSet`", async () => {
    const { cache } = await openCache();
    const held = gate();
    const get = () => cache.getOrSet("key", () => held.promise.then(requestNow), { tags: "tag" });
    const a = requests.run("A", get);
    await cache.invalidate("tag");
    const b = requests.run("B", get);
    held.open();
    expect(await Promise.all([a, b])).toEqual(["A", "B"]);
  });

  test("a caller continues in its own context after a result that was kept in another one", async () => {
    const { cache } = await openCache();
    const inner = cache.cacheable(async (x: number) => x, { name: "inner" });
    await requests.run("A", () => inner(1));
    const outer = cache.cacheable(async (_of: string) => [await inner(1), await inner(1), requestNow()], { name: "outer" });
    expect(await requests.run("B", () => outer("B"))).toEqual([1, 1, "B"]);
    await requests.run("C", async () => {
      await outer("B");
      expect(requestNow()).toBe("C");
    });
  });

  test("a repeated transaction, and the recipe of its update", async () => {
    const { reader, run, writer } = await objectWorld();
    await run(writer.put("k", 0));
    const seen: string[] = [];
    let tries = 0;
    const transacting = requests.run("A", () =>
      reader.transact(async (tx) => {
        const value = await tx.get("k");
        seen.push(requestNow());
        // Another client writes in between, so the transaction conflicts once.
        if (tries++ === 0) await run(writer.put("k", 1));
        await tx.update("k", () => {
          seen.push(requestNow());
          return Number(value) + 10;
        });
      }),
    );
    await requests.run("B", () => run(transacting));
    expect(seen).toEqual(["A", "A", "A", "A"]);
    expect(await run(reader.get("k"))).toBe(11);
  });

  test("the loop over changes", async () => {
    const { reader, run } = await objectWorld();
    const ends = new AbortController();
    const watching = requests.run("A", async () => {
      for await (const { type } of reader.watch("", { signal: ends.signal })) return `${type} ${requestNow()}`;
      return undefined;
    });
    await requests.run("B", () => run(reader.put("k", 1)));
    expect(await watching).toBe("changed A");
  });
});

describe("a call that came too late for a computation of another cache", () => {
  test("depends on what its own computation reads", async () => {
    const { cache: one, openCache: open, reader, run, put, clock } = await objectWorld();
    const two = await open();
    await run(Promise.all([put("a", "a1"), put("b", "b1")]));
    let which = "a";
    const held = gate();
    const inner = one.cacheable(
      async () => {
        const key = which;
        await held.promise;
        return reader.get(key);
      },
      { name: "inner", deps: ["which"] },
    );
    const middle = counted(async () => `page with ${String(await inner())}`);
    const outer = two.cacheable(middle, { name: "outer" });
    const first = inner();
    which = "b";
    await one.invalidate("which");
    const late = outer();
    await clock.advance(0);
    held.open();
    expect(await run(Promise.all([first, late]))).toEqual(["a1", "page with b1"]);
    expect(await run(outer())).toBe("page with b1");
    expect(middle.runs).toBe(1);
    await put("a", "a2");
    expect(await run(outer())).toBe("page with b1");
    expect(middle.runs).toBe(1);
    await put("b", "b2");
    expect(await run(outer())).toBe("page with b2");
  });
});

test("a sweep of the timer does not run in the context of an earlier call of `prune`", async () => {
  const sweeps: string[] = [];
  const note = (_facts: object, message: string) => void (message === "nothing to prune" && sweeps.push(requestNow()));
  const cache = await createCache({ autoPruneInterval: 0.01, log: { ...silentLog, debug: note } });
  onTestFinished(() => cache.close());
  await requests.run("A", () => cache.prune());
  const called = sweeps.lastIndexOf("A");
  await until(() => sweeps.length > called + 2);
  expect(sweeps.slice(called, called + 3)).toEqual(["A", "none", "none"]);
});
