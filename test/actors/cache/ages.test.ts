import { describe, expect, onTestFinished, test } from "vitest";
import { createCache } from "../../../cache.js";
import type { ReadOptions } from "../../../actors/client/object-client.js";
import { seededRandom } from "../../../core/index.js";
import { clientWorld } from "../../support/client-world.js";
import { counted, objectWorld } from "./objects/object-world.js";
import { gate } from "./open.js";

/**
 * A client and a cache of one process whose event loop can be blocked, and a function that reads a snapshot at most 200
 * ms old.
 */
async function blockable() {
  const world = await objectWorld();
  const { openCache, open, run, writer, clock } = world;
  await run(writer.put("a", 1));
  const nodeClock = clock.node();
  const cache = await openCache({ clock: nodeClock });
  const { client, transport } = await open("blockable", { clock: nodeClock, waitTimeoutMs: 1_000 });
  const cut = () => {
    transport.takes = () => false;
    const timedOut = new Promise<void>((resolve) => clock.setTimeout(resolve, 3_000));
    for (const operation of ["register", "alive", "load"]) {
      transport.heldAnswers.set(operation, timedOut);
      transport.deaf.add(operation);
    }
  };
  const fresh = (key: string) => client.read((tx) => tx.get(key), { maxStaleMs: 200 }).then(({ value }) => value);
  return { ...world, cache, nodeClock, client, cut, fresh };
}

describe("a result whose snapshot has a maximum age", () => {
  test("is not served past that age after the event loop was blocked, nor are results that contain it", async () => {
    const { cache, openCache, nodeClock, clock, run, writer, cut, fresh } = await blockable();
    const read = counted(fresh);
    const cached = cache.cacheable(read, { name: "cached" });
    const sync = cache.cacheable((key: string) => void cached(key).catch(() => undefined), { name: "sync" });
    const second = await openCache({ clock: nodeClock });
    const outer = second.cacheable(async (key: string) => [await cached(key)], { name: "outer", ttl: "1h" });
    const all = () => [cached("a"), outer("a")];
    await run(Promise.all(all()));
    sync("a");
    await clock.advance(100);
    expect(await run(Promise.all(all()))).toEqual([1, [1]]);
    expect(read.runs).toBe(1);
    cut();
    await run(writer.put("a", 2));
    // Meanwhile no timer of the process fires, not even that of the cache's clock.
    nodeClock.stall(2_000);
    await clock.advance(1_000);
    const { hits } = cache.stats();
    const late = Promise.allSettled(all());
    sync("a");
    expect([cache.stats().hits, second.stats().hits]).toEqual([hits, 1]);
    const codes = (await run(late)).map((outcome) => outcome.status === "rejected" && (outcome.reason as { code?: string }).code);
    expect(codes).toEqual(["ZOOID_STALE", "ZOOID_STALE"]);
    expect(cache.stats().entries + second.stats().entries).toBe(0);
  });

  test("is not kept when it was computed while the event loop was blocked past that age", async () => {
    const { cache, nodeClock, clock, cut, fresh } = await blockable();
    const held = gate();
    const cached = cache.cacheable(
      async (key: string) => {
        const value = await fresh(key);
        await held.promise;
        return value;
      },
      { name: "cached" },
    );
    const first = cached("a");
    await clock.advance(10);
    cut();
    nodeClock.stall(2_000);
    await clock.advance(1_000);
    held.open();
    expect(await first).toBe(1);
    expect(cache.stats().entries).toBe(0);
  });
});

/**
 * A client that hears of changes only when it asks. It is the only client of its process, so nothing else invalidates
 * results. Its function reads `a` with `options`; its first run then waits for `held`.
 */
async function lagging(options: ReadOptions) {
  const world = await clientWorld();
  onTestFinished(() => world.end());
  const { open, run, clock } = world;
  const elsewhere = await world.client("elsewhere");
  const put = async (value: number) => {
    const { tid } = await elsewhere.commit({ snapshot: last, writes: { a: String.fromCharCode(value) } });
    last = tid;
  };
  let last = elsewhere.registered.position.tid;
  await put(1);
  const { client, transport } = await open("lagging");
  await run(client.get("a"));
  transport.takes = () => false;
  const cache = await createCache({ clock, random: seededRandom(1) });
  onTestFinished(() => cache.close());
  const held = gate();
  let runs = 0;
  const cached = cache.cacheable(
    async () => {
      const until = runs++ === 0 ? held.promise : undefined;
      const { value } = await client.read((tx) => tx.get("a"), options);
      await until;
      return value;
    },
    { name: "cached" },
  );
  return { ...world, held, cached, put, transport };
}

describe("a call that joins a computation gets a snapshot as fresh as its own read would have", () => {
  const wishes: Record<string, ReadOptions> = {
    "with a maximum age": { maxStaleMs: 200 },
    "with a maximum age of 0": { maxStaleMs: 0 },
    "with serverSync": { serverSync: true },
  };
  for (const [name, options] of Object.entries(wishes)) {
    test(name, async () => {
      const { held, cached, put, clock, run } = await lagging(options);
      const early = cached();
      await clock.advance(1);
      await put(2);
      await clock.advance(Number(options.maxStaleMs ?? 1));
      const late = cached();
      held.open();
      expect(await run(Promise.all([early, late]))).toEqual([1, 2]);
    });
  }

  test("with serverSync, while a request for another call is pending", async () => {
    const { held, cached, put, clock, run, transport } = await lagging({ serverSync: true });
    held.open();
    const answered = gate();
    transport.requests.length = 0;
    transport.heldAnswers.set("alive", answered.promise);
    const early = cached();
    await clock.advance(0);
    expect(transport.requests).toEqual(["alive"]);
    transport.heldAnswers.clear();
    await put(2);
    const late = cached();
    answered.open();
    expect(await run(Promise.all([early, late]))).toEqual([1, 2]);
  });
});
