import { describe, expect, test } from "vitest";
import { createCache } from "../../../../cache.js";
import { keyTag } from "../../../../storage/results/result-key.js";
import { SimulatedClock } from "../../../../testing/simulated-clock.js";
import { createBroker } from "../../../../transport/index.js";
import { readBusWord } from "../../../../transport/jetstream/messages.js";
import { encodeMessage, limits, seededRandom } from "../../../../core/index.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { bucketWorld, ScriptedBroker } from "../tiers/bucket-nodes.js";
import { type Gate, gate, openCache } from "../open.js";

const temporaryFolder = temporaryFolders();
/** Lets writes in the background finish. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
/** A key whose tag contains only its hash. */
const hashedKey = "/".repeat(100);

describe("a key that was invalidated while its value was computed", () => {
  test.each(["k", hashedKey])("is not set to the older value: %.8s", async (key) => {
    const { cache } = await openCache();
    for (const meanwhile of [() => cache.delete(key), () => cache.set(key, "newer"), () => cache.clear()]) {
      const since = cache.now();
      await meanwhile();
      await cache.set(key, "old", { since });
      expect(await cache.get(key)).toBe(undefined);
    }
    await cache.set(key, "new", { since: cache.now() });
    expect(await cache.get(key)).toBe("new");
  });

  test.each(["k", hashedKey])("has no value for later calls: %.8s", async (key) => {
    const { cache } = await openCache();
    const gates: Gate<string>[] = [];
    const load = cache.cacheable(
      (_key: string): Promise<string> => {
        const slow = gate<string>();
        gates.push(slow);
        return slow.promise;
      },
      { name: "load", deps: ["a"] },
    );
    const before = load(key);
    await load.invalidate(key);
    const after = load(key);
    gates[0]?.open("old");
    expect(await before).toBe("old");
    await settled();
    gates[1]?.open("new");
    expect(await after).toBe("new");
    expect(await load(key)).toBe("new");
  });

  test("by the function itself, which returns no promise, is computed again", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const count = cache.cacheable(
      (key: string) => {
        if (++computed === 1) void count.invalidate(key);
        return computed;
      },
      { name: "count", deps: ["a"] },
    ) as ((key: string) => number) & { invalidate(key: string): Promise<unknown> };
    expect([count("k"), count("k"), count("k")]).toEqual([1, 2, 2]);
  });

  test.each(["k", hashedKey])("by the function itself, before it returns a promise, is computed again: %.8s", async (key) => {
    const { cache } = await openCache();
    for (const meanwhile of [() => cache.delete(key), () => cache.set(key, "set")]) {
      const kept = await cache.getOrSet(key, async () => {
        void meanwhile();
        return "old";
      });
      expect(kept).toBe("old");
      expect(await cache.get(key)).not.toBe("old");
      await cache.delete(key);
    }
  });

  test("is not kept by a computation past the bound on flights, which no other call can join", async () => {
    const { cache } = await openCache();
    const never = gate();
    for (let count = 0; count < limits.flightsMax; count++) void cache.getOrSet(`${count}`, () => never.promise);
    const slow = gate<string>();
    const before = cache.getOrSet("k", () => slow.promise, { tags: ["a"] });
    await cache.delete("k");
    slow.open("old");
    expect(await before).toBe("old");
    expect(await cache.get("k")).toBe(undefined);
  });

  test("while a bucket was searched for it is not kept, at any moment of the search", async () => {
    for (let turns = 0; turns < 12; turns++) {
      const { open } = bucketWorld();
      const [one, other] = [open(), open()];
      await settled();
      await one.cache.set("k", "old", { tags: ["a"] });
      await settled();
      const asked = other.cache.get("k");
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const deleted = other.cache.delete("k");
      await asked;
      expect(await other.cache.get("k"), `deleted after ${turns} turns`).toBe(undefined);
      await deleted;
    }
  });
});

describe("a value that was set", () => {
  test("is not shared when another node deleted its key before, and this node hears of that only after its acknowledgement", async () => {
    const { clock, open } = bucketWorld();
    const broker = new ScriptedBroker(clock, 100);
    const [mine, others] = [broker.connect(), broker.connect()];
    const [one, other] = [open({ bus: mine }), open({ bus: others })];
    await settled();
    const since = one.cache.now();
    broker.isPrompt = false;
    const published = one.cache.set("k", "old", { tags: ["a"], since });
    const own = keyTag('""("k")');
    // Messages to this node are delayed; its acknowledgement arrives.
    mine.isCut = true;
    broker.invalidate(own, "theirs");
    const [{ id } = { id: "" }] = broker.waiting;
    broker.number();
    mine.isCut = false;
    await published;
    await settled();
    mine.emit({ type: "invalidated", tag: own, id: "theirs", version: { epoch: "e", sequence: 101, time: clock.now() } });
    mine.emit({ type: "invalidated", tag: own, id, version: broker.version });
    await settled();
    expect([await one.cache.get("k"), await other.cache.get("k")]).toEqual([undefined, undefined]);
  });

  test("and cannot be written to a folder does not leave the older value there", async () => {
    const folder = await temporaryFolder();
    const { cache } = await openCache({ storageUrl: `lmdb:${folder}`, maxBytes: 400 });
    let value: unknown = "first";
    const load = cache.cacheable(async () => value, { name: "load", deps: ["a"] });
    expect(await load()).toBe("first");
    value = () => "of no folder";
    expect(await load.refresh()).toBe(value);
    await cache.set("another", "in memory");
    value = "third";
    expect(await load()).not.toBe("first");
  });
});

describe("a last value", () => {
  test.each([false, true])("stands in for the duration of staleIfError after it expired; with refresh: %s", async (isAnew) => {
    const { cache, clock } = await openCache();
    let isDown = false;
    const load = cache.cacheable(
      async () => {
        if (isDown) throw new Error("down");
        return "last";
      },
      { name: "load", ttl: 10, readExtendTtl: false, staleIfError: 60 },
    );
    const ask = () => (isAnew ? load.refresh() : load());
    expect(await load()).toBe("last");
    isDown = true;
    await clock.advance(69_000);
    expect(await ask()).toBe("last");
    await clock.advance(2_000);
    await expect(ask()).rejects.toThrow("down");

    isDown = false;
    expect(await load()).toBe("last");
    isDown = true;
    await clock.advance(71_000);
    await expect(ask()).rejects.toThrow("down");
  });
});

describe("a last value that another tier had", () => {
  const failing = { name: "load", deps: ["a"], staleIfError: 60 };
  const fail = (): Promise<string> => Promise.reject(new Error("down"));

  test("stands in, too, from an earlier process", async () => {
    const storageUrl = `lmdb:${await temporaryFolder()}`;
    const { cache: before } = await openCache({ storageUrl });
    await before.cacheable(async () => "last", failing)();
    await before.close();
    const { cache } = await openCache({ storageUrl });
    let isDown = false;
    const load = cache.cacheable(async () => (isDown ? fail() : "not asked"), failing);
    expect(await load()).toBe("last");
    isDown = true;
    await cache.invalidate("a");
    expect(await load()).toBe("last");
  });

  test("stands in, too, from another node", async () => {
    const { open } = bucketWorld();
    const [one, other] = [open(), open()];
    await settled();
    await one.cache.cacheable(async () => "last", failing)();
    await settled();
    const load = other.cache.cacheable(async () => fail(), failing);
    expect(await load()).toBe("last");
    await other.cache.invalidate("a");
    expect(await load()).toBe("last");
  });
});

describe("a result made in place of a failed nested call is not kept", () => {
  const tags = Array.from({ length: limits.entryTagsMax + 1 }, (_, index) => `t${index}`);

  test("when that call has more dependencies than can be remembered", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const fail = () => {
      cache.addDeps(tags);
      throw new Error("down");
    };
    const inner = cache.cacheable(async () => fail(), { name: "inner", deps: ["i"] });
    const outer = cache.cacheable(async () => inner().catch(() => ++computed), { name: "outer", deps: ["o"] });
    expect([await outer(), await outer()]).toEqual([1, 2]);
    const innerSync = cache.cacheable((): number => fail(), { name: "innerSync", deps: ["i"] });
    const attempt = (): number => {
      try {
        return innerSync();
      } catch {
        return ++computed;
      }
    };
    const outerSync = cache.cacheable(attempt, { name: "outerSync", deps: ["o"] });
    expect([outerSync(), outerSync()]).toEqual([3, 4]);
  });

  test("when that call took too long, or was given up", async () => {
    const { cache, clock } = await openCache({ flightTimeout: 1 });
    let computed = 0;
    const slow = gate<string>();
    let asks = new AbortController();
    const inner = cache.cacheable((): Promise<string> => slow.promise, { name: "inner", deps: ["i"] });
    const impatient = cache.cacheable((): Promise<string> => slow.promise, {
      name: "impatient",
      deps: ["i"],
      signal: () => asks.signal,
    });
    const outer = cache.cacheable(() => inner().catch(() => `instead${++computed}`), { name: "outer", deps: ["o"] });
    const givesUp = cache.cacheable(() => impatient().catch(() => `instead${++computed}`), { name: "givesUp", deps: ["o"] });
    const first = inner();
    const second = outer();
    await clock.advance(1_000);
    expect(await second).toBe("instead1");
    const third = givesUp();
    asks.abort(new Error("enough"));
    expect(await third).toBe("instead2");
    asks = new AbortController();
    slow.open("value");
    expect(await first).toBe("value");
    expect([await outer(), await givesUp()]).toEqual(["value", "value"]);
  });
});

describe("a message of the bus that names no tag", () => {
  /** Texts that are no tags, and the tokens that a node of another version may choose for them. */
  const notTags: readonly (readonly [tag: string, tokens: string])[] = [
    [":a:b", "=.a.b"],
    ["::", "=.="],
    ["a::b", "a.=.b"],
    ["a:", "a.="],
    ["a b", "a=20b"],
    ["x".repeat(limits.tagLengthMax + 1), "x".repeat(limits.tagLengthMax + 1)],
    ["a:".repeat(limits.tagLevelsMax) + "a", "a.".repeat(limits.tagLevelsMax) + "a"],
  ];

  test("changes nothing over plain NATS, and clear() works as before", async () => {
    const clock = new SimulatedClock();
    const broker = createBroker({ clock });
    const cache = await createCache({ transport: broker.connect(), clock, random: seededRandom(2) });
    const raw = broker.connect();
    await clock.advance(1_000);
    expect(cache.stats().bus?.type).toBe("following");
    notTags.forEach(([, tokens], index) =>
      raw.publish(`zooid.zooid.invalidations.tag.${tokens}`, encodeMessage([2, "other", index + 1, `id-${index}`])),
    );
    await clock.advance(100);
    expect(cache.stats().tags).toBe(1);
    const load = cache.cacheable(async () => cache.stats().computations, { name: "load", deps: ["a:b"] });
    await load();
    await clock.settle(cache.clear(), 1_000);
    expect(await load()).toBe(2);
    await clock.settle(cache.close(), 1_000);
  });

  test.each(notTags)("changes nothing over a stream, neither as a subject nor in a payload: %.10s", (tag, tokens) => {
    const payload = encodeMessage([1, "invalidate", "e", 1, "id", tag]);
    expect(readBusWord(`tag.${tokens}`, payload)).toEqual({ type: "unknown", fault: "no subject" });
    expect(readBusWord("tag.a", payload)).toMatchObject({ tag: "a", id: "" });
  });
});

describe("a result with more tags than the bound", () => {
  test("is given, and not kept, wherever the tags come from", async () => {
    const { cache } = await openCache();
    const tags = Array.from({ length: limits.entryTagsMax + 1 }, (_, index) => `t${index}`);
    let computed = 0;
    const load = cache.cacheable(async () => ++computed, { name: "load", deps: tags });
    expect([await load(), await load()]).toEqual([1, 2]);
    await cache.set("k", "value", { tags });
    expect(await cache.get("k")).toBe(undefined);
    await cache.set("k", "value", { tags: tags.slice(1) });
    expect([await cache.get("k"), cache.stats().keepFailures]).toEqual(["value", 3]);
  });
});

describe("a cache that was closed", () => {
  test("keeps nothing any more, since it would not hear of invalidations", async () => {
    const { clock, open } = bucketWorld();
    const { cache } = open({ maxStaleSecs: 1e6 });
    let computed = 0;
    const load = cache.cacheable(async () => ++computed, { name: "load", deps: ["a"] });
    expect([await load(), await load()]).toEqual([1, 1]);
    await clock.settle(cache.close(), 1_000);
    expect([await load(), await load()]).toEqual([2, 3]);
    await expect(cache.set("k", 1)).rejects.toMatchObject({ code: "ZOOID_CLOSED" });
    expect(await cache.get("k")).toBe(undefined);
  });
});

describe("a thenable that is not a promise", () => {
  /** A thenable as queries of databases return it. */
  // oxlint-disable-next-line unicorn/no-thenable -- the test needs a thenable
  const query = (then: (resolve: (value: number) => void) => void): Promise<number> => ({ then }) as unknown as Promise<number>;

  test("runs within its computation, when it is awaited", async () => {
    const { cache } = await openCache();
    let asked = 0;
    const inner = cache.cacheable(async () => ++asked, { name: "inner", deps: ["late"] });
    const run = (resolve: (value: number) => void) => {
      cache.addDeps("later");
      void inner().then(resolve);
    };
    const load = cache.cacheable(() => query(run), { name: "load", deps: ["a"] });
    expect([await load(), await load()]).toEqual([1, 1]);
    await cache.invalidate("late");
    expect(await load()).toBe(2);
    await cache.invalidate("later");
    expect([await load(), cache.stats().computations]).toEqual([2, 5]);
  });

  test("fails when it throws, and answers once", async () => {
    const { cache } = await openCache();
    const fail = cache.cacheable(
      () =>
        query(() => {
          throw new Error("down");
        }),
      { name: "fail", deps: ["a"] },
    );
    await expect(Promise.all([fail(), fail()])).rejects.toThrow("down");
    const answers = [1, 2, 3];
    const load = cache.cacheable(() => query((resolve) => answers.forEach(resolve)), { name: "load", deps: ["a"] });
    expect([await load(), await load()]).toEqual([1, 1]);
    expect(cache.stats()).toMatchObject({ flights: 0, computations: 2, failures: 1 });
    const tagged = cache.cacheable(async () => cache.addDeps("b"), { name: "tagged", deps: ["a"] });
    await tagged();
  });
});
