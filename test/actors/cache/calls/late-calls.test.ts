import { describe, expect, test } from "vitest";
import { type ObjectWorld, objectWorld } from "../objects/object-world.js";
import { gate, openCache } from "../open.js";

/**
 * A computation takes its snapshot, `commit` is applied, and the function is called again. Returns the values of both
 * calls and of a third, later one.
 */
async function calledAcross(
  world: ObjectWorld,
  fn: (held: Promise<void>) => Promise<unknown>,
  commit: () => Promise<unknown>,
): Promise<readonly unknown[]> {
  const { cache, clock, run } = world;
  const held = gate();
  let runs = 0;
  // Only the first run waits.
  const cached = cache.cacheable(() => fn(runs++ === 0 ? held.promise : Promise.resolve()), { name: "fn" });
  const early = cached();
  await clock.advance(0);
  await commit();
  const late = cached();
  held.open();
  return run(Promise.all([early, late, cached()]));
}

describe("a call after a transaction was applied gets no older value, though it joined a computation with an older snapshot", () => {
  const ways: Record<string, (world: ObjectWorld, held: Promise<void>) => Promise<unknown>> = {
    "of `read`": async ({ reader }, held) =>
      (
        await reader.read(async (tx) => {
          await held;
          return tx.get("k");
        })
      ).value,
    "of `transact`": async ({ reader }, held) =>
      (
        await reader.transact(async (tx) => {
          await held;
          return tx.get("k");
        })
      ).value,
    "of `begin`": async ({ reader }, held) => {
      await using tx = await reader.begin();
      await held;
      return await tx.get("k");
    },
    "that lists": async ({ reader }, held) => {
      const { value } = await reader.read(async (tx) => {
        await held;
        for await (const [, row] of tx.list("k")) return row;
        return undefined;
      });
      return value;
    },
  };
  for (const [name, way] of Object.entries(ways)) {
    test(`${name}: its own commit`, async () => {
      const world = await objectWorld();
      const { reader, run, put } = world;
      await put("k", 1);
      const got = await calledAcross(
        world,
        (held) => way(world, held),
        () => run(reader.put("k", 2)),
      );
      expect(got).toEqual([1, 2, 2]);
    });
    test(`${name}: another client's commit`, async () => {
      const world = await objectWorld();
      await world.put("k", 1);
      const got = await calledAcross(
        world,
        (held) => way(world, held),
        () => world.put("k", 2),
      );
      expect(got).toEqual([1, 2, 2]);
    });
  }

  test("a computation whose load is in flight", async () => {
    const world = await objectWorld();
    const { open, run, writer, clock } = world;
    await run(writer.put("k", 1));
    const { client, transport } = await open("slow");
    let isFirst = true;
    const got = await calledAcross(
      world,
      async (held) => {
        if (isFirst) transport.heldAnswers.set("load", held);
        isFirst = false;
        const value = client.get("k");
        await clock.advance(0);
        transport.heldAnswers.clear();
        return value;
      },
      async () => {
        const tid = await run(writer.put("k", 2));
        while (client.position.tid < tid) await clock.advance(1);
      },
    );
    expect(got).toEqual([1, 2, 2]);
  });

  test("a computation of `getOrSet`", async () => {
    const { cache, reader, run, put, clock } = await objectWorld();
    await put("k", 1);
    const held = gate();
    const get = (until: Promise<void>) =>
      cache.getOrSet("own", async () => {
        const { value } = await reader.read(async (tx) => {
          await until;
          return tx.get("k");
        });
        return value;
      });
    const early = get(held.promise);
    await clock.advance(0);
    await run(reader.put("k", 2));
    const late = get(Promise.resolve());
    held.open();
    expect(await run(Promise.all([early, late]))).toEqual([1, 2]);
  });

  test("a computation that awaits a function of another cache", async () => {
    const world = await objectWorld();
    const { openCache: open, reader, run, put, clock } = world;
    const [second, third] = [await open(), await open()];
    await put("k", 1);
    const held = gate();
    let runs = 0;
    const inner = third.cacheable(
      async () => {
        const until = runs++ === 0 ? held.promise : undefined;
        const { value } = await reader.read(async (tx) => {
          await until;
          return tx.get("k");
        });
        return value;
      },
      { name: "inner" },
    );
    const middle = second.cacheable(async () => [await inner()], { name: "middle" });
    const outer = world.cache.cacheable(async () => [await middle()], { name: "outer" });
    const early = outer();
    await clock.advance(0);
    await run(reader.put("k", 2));
    const late = [outer(), middle(), inner()];
    held.open();
    expect(await run(early)).toEqual([[1]]);
    expect(await run(Promise.all(late))).toEqual([[[2]], [2], 2]);
    await put("k", 3);
    expect(await run(Promise.all([outer(), middle(), inner()]))).toEqual([[[3]], [3], 3]);
  });

  test("after an unrelated change the call gets the joined result", async () => {
    const world = await objectWorld();
    await world.put("k", 1);
    let runs = 0;
    const got = await calledAcross(
      world,
      (held) => {
        runs++;
        return ways["of `read`"]?.(world, held) ?? held;
      },
      () => world.put("other", 2),
    );
    expect([...got, runs]).toEqual([1, 1, 1, 1]);
  });
});

/** A function that reads a row which the test sets, fails for a missing row, and ends when the test says so. */
async function failing(options: { readonly cacheErrors?: boolean; readonly staleIfError?: string } = {}) {
  const { cache } = await openCache();
  const rows = new Map<string, string>();
  const held = [gate(), gate(), gate()];
  let runs = 0;
  const load = cache.cacheable(
    async (key: string) => {
      const row = rows.get(key);
      await held[runs++]?.promise;
      if (row === undefined) throw new Error("no such row");
      return row;
    },
    { name: "load", deps: ["rows:x"], ...options },
  );
  return { cache, rows, held, load, runs: () => runs };
}

const outcomeOf = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => (error as Error).message);

describe("a failure", () => {
  for (const cacheErrors of [false, true]) {
    const how = cacheErrors ? ", with `cacheErrors`" : "";

    test(`from before an invalidation reaches the calls that overlap it, and no later call${how}`, async () => {
      const { cache, rows, held, load, runs } = await failing({ cacheErrors });
      const early = [load("x"), load("x")].map(outcomeOf);
      rows.set("x", "made");
      await cache.invalidate("rows");
      const late = [load("x"), load("x")].map(outcomeOf);
      for (const { open } of held) open();
      expect(await Promise.all(early)).toEqual(["no such row", "no such row"]);
      expect(await Promise.all(late)).toEqual(["made", "made"]);
      expect(await load("x")).toBe("made");
      expect(runs()).toBe(2);
    });

    test(`that is still valid reaches all joined calls${how}`, async () => {
      const { cache, held, load, runs } = await failing({ cacheErrors });
      const early = outcomeOf(load("x"));
      await cache.invalidate("other");
      const late = outcomeOf(load("x"));
      for (const { open } of held) open();
      expect(await Promise.all([early, late])).toEqual(["no such row", "no such row"]);
      expect(runs()).toBe(1);
      expect(await outcomeOf(load("x"))).toBe("no such row");
      expect(runs()).toBe(cacheErrors ? 1 : 2);
    });

    test(`of a key that was deleted meanwhile reaches no later call${how}`, async () => {
      const { rows, held, load } = await failing({ cacheErrors });
      const early = outcomeOf(load("x"));
      rows.set("x", "made");
      await load.invalidate("x");
      const late = outcomeOf(load("x"));
      for (const { open } of held) open();
      expect(await Promise.all([early, late])).toEqual(["no such row", "made"]);
    });

    test(`computed from objects that a transaction has changed reaches no later call${how}`, async () => {
      const { cache, reader, run, clock } = await objectWorld();
      const held = gate();
      let runs = 0;
      const load = cache.cacheable(
        async () => {
          const until = runs++ === 0 ? held.promise : undefined;
          const { value } = await reader.read(async (tx) => {
            await until;
            return tx.get("k");
          });
          if (value === undefined) throw new Error("no such row");
          return value;
        },
        { name: "load", cacheErrors },
      );
      const early = outcomeOf(load());
      await clock.advance(0);
      await run(reader.put("k", 1));
      const late = outcomeOf(load());
      held.open();
      expect(await run(Promise.all([early, late]))).toEqual(["no such row", 1]);
      expect(await run(load())).toBe(1);
    });
  }

  test("from before an invalidation gives the last value to the calls that overlap it, and a new computation to later ones", async () => {
    const { cache, rows, held, load, runs } = await failing({ staleIfError: "1m" });
    rows.set("x", "first");
    held[0]?.open();
    expect(await load("x")).toBe("first");
    await cache.invalidate("rows");
    rows.delete("x");
    const early = outcomeOf(load("x"));
    rows.set("x", "second");
    await cache.invalidate("rows");
    const late = [load("x"), load("x")].map(outcomeOf);
    for (const { open } of held) open();
    expect(await early).toBe("first");
    expect(await Promise.all(late)).toEqual(["second", "second"]);
    expect(runs()).toBe(3);
  });

  test("that is valid gives the last value to all joined calls", async () => {
    const { cache, rows, held, load, runs } = await failing({ staleIfError: "1m" });
    rows.set("x", "first");
    held[0]?.open();
    await load("x");
    await cache.invalidate("rows");
    rows.delete("x");
    const early = load("x");
    await cache.invalidate("other");
    const late = load("x");
    for (const { open } of held) open();
    expect(await Promise.all([early, late])).toEqual(["first", "first"]);
    expect(runs()).toBe(2);
  });
});
