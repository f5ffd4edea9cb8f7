import { describe, expect, onTestFinished, test } from "vitest";
import { type Cache, createCache, createInvalidationHub } from "../../../../cache.js";
import { SimulatedClock } from "../../../../testing/simulated-clock.js";
import type { Bus, BusEvent, BusState, BusVersion } from "../../../../transport/bus.js";
import { seededRandom } from "../../../../core/index.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { gate, openCache } from "../open.js";

const temporaryFolder = temporaryFolders();

/** Two nodes on one bus. */
async function twoNodes(): Promise<readonly [Cache, Cache]> {
  const clock = new SimulatedClock();
  const hub = createInvalidationHub({ clock, random: seededRandom(1) });
  const open = async (seed: number) => (await openCache({ bus: hub.connect(), clock, random: seededRandom(seed) })).cache;
  return [await open(2), await open(3)];
}

/** A bus that emits the events of the test. */
class ScriptedBus implements Bus {
  readonly kind = "jetstream";
  state: BusState = { type: "cut" };
  heardAt = -Infinity;
  readonly published: { readonly tag: string; readonly id: string; readonly acknowledge: (sequence: number) => void }[] = [];
  emit: (event: BusEvent) => void = () => undefined;

  publish(tag: string, id: string): Promise<BusVersion> {
    return new Promise((resolve) => {
      this.published.push({ tag, id, acknowledge: (sequence) => resolve({ epoch: "e", sequence }) });
    });
  }
  listen(listener: (event: BusEvent) => void): void {
    this.emit = listener;
  }
  follow(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  following(sequence: number, heardAt: number): void {
    this.state = { type: "following", epoch: "e", sequence };
    this.heardAt = heardAt;
    const version = { epoch: "e", sequence, time: 0 };
    this.emit({ type: "reset", version });
    this.emit({ type: "following", version });
  }
  invalidated(tag: string, id: string, sequence: number): void {
    this.emit({ type: "invalidated", tag, id, version: { epoch: "e", sequence, time: 0 } });
  }
}

async function scripted(options = {}) {
  const bus = new ScriptedBus();
  const clock = new SimulatedClock();
  const cache = await createCache({ bus, clock, random: seededRandom(1), ...options });
  onTestFinished(() => cache.close());
  return { bus, clock, cache };
}

describe("nodes of one cache", () => {
  test("hear of each other's invalidations", async () => {
    const [one, other] = await twoNodes();
    let computed = 0;
    const load = other.cacheable(async () => ++computed, { name: "load", deps: ["a:b"] });
    await load();
    expect(await one.invalidate("a")).toBe("published");
    expect(await load()).toBe(2);
    expect(await one.clear()).toBe("published");
    expect(await load()).toBe(3);
  });

  test("B9: the other nodes hear of set, delete and clear of a key, and a set keeps its own value", async () => {
    const [one, other] = await twoNodes();
    await other.set("x", "theirs");
    await one.set("x", "ours");
    expect([await one.get("x"), await other.get("x")]).toEqual(["ours", undefined]);
    await other.set("x", "theirs again");
    expect([await one.get("x"), await other.get("x")]).toEqual([undefined, "theirs again"]);
    await one.delete("x");
    expect(await other.get("x")).toBe(undefined);
    const long = "long/".repeat(100);
    await one.set(long, 1);
    expect(await one.get(long)).toBe(1);
    await other.delete(long);
    expect(await one.get(long)).toBe(undefined);
  });

  test("B9: a set with `since` does not keep a value that was computed before an invalidation", async () => {
    const { cache } = await openCache();
    const since = cache.now();
    await cache.invalidate("a");
    await cache.set("x", "old", { tags: ["a:b"], since });
    expect(await cache.get("x")).toBe(undefined);
    await cache.set("x", "new", { tags: ["a:b"], since: cache.now() });
    expect(await cache.get("x")).toBe("new");
  });
});

describe("an invalidation", () => {
  test("B4: applies at its node before the bus has numbered it, and results computed before it are not kept", async () => {
    const { bus, cache } = await scripted();
    bus.following(100, 0);
    const first = gate<string>();
    const answers = [first.promise, Promise.resolve("new"), Promise.resolve("newer")];
    let computed = 0;
    const load = cache.cacheable(() => answers[computed++] ?? Promise.resolve("newest"), { name: "load", deps: ["a:b"] });
    const before = load();
    const published = cache.invalidate("a");
    first.open("old");
    expect(await before).toBe("old");
    expect(await load()).toBe("new");
    expect(await load()).toBe("new");
    // A computation that began while the invalidation was pending is repeated once its sequence is known, and then
    // kept.
    bus.published[0]?.acknowledge(101);
    expect(await published).toBe("published");
    bus.invalidated("a", bus.published[0]?.id ?? "", 101);
    expect(await load()).toBe("newer");
    expect(await load()).toBe("newer");
    expect(cache.tagVersion("a:b")).toBe(101);
  });

  test("B7: is queued after publishTimeout, and published under the same tag once the bus follows", async () => {
    const { bus, clock, cache } = await scripted({ publishTimeout: "250ms", maxStaleSecs: 60 });
    const asked = cache.invalidate("a:b");
    expect(await clock.settle(asked, 250)).toBe("queued");
    expect(cache.stats().outbox).toBe(1);
    expect(bus.published).toEqual([]);
    bus.following(1, clock.monotonic());
    expect(bus.published.map(({ tag }) => tag)).toEqual(["a:b"]);
    bus.published[0]?.acknowledge(2);
    await clock.advance(0);
    expect(cache.stats().outbox).toBe(0);
  });

  test("B7: waits once per tag, and a parent absorbs its children; a sent one does not cover later ones", async () => {
    const { bus, cache, clock } = await scripted({ publishTimeout: 1 });
    const children = [cache.invalidate(["a:b", "a:c", "ab"]), cache.invalidate("a:b")];
    expect(cache.stats().outbox).toBe(3);
    const parent = cache.invalidate("a");
    expect(cache.stats().outbox).toBe(2);
    bus.following(1, 0);
    expect(bus.published.map(({ tag }) => tag)).toEqual(["ab", "a"]);
    const later = cache.invalidate("a:b");
    expect(bus.published.map(({ tag }) => tag)).toEqual(["ab", "a", "a:b"]);
    bus.published.forEach(({ acknowledge }, index) => {
      acknowledge(2 + index);
    });
    await clock.advance(0);
    expect(await Promise.all([...children, parent, later])).toEqual(["published", "published", "published", "published"]);
  });

  test("B7: repeated while it waits, applies each time, and is published once", async () => {
    const { bus, cache, clock } = await scripted({ publishTimeout: 1 });
    bus.following(1, 0);
    let computed = 0;
    const load = cache.cacheable(async (_id: string) => ++computed, { name: "load", deps: (id) => [`a:b:${id}`] });
    bus.state = { type: "cut" };
    expect([await load("c"), await load("d")]).toEqual([1, 2]);
    const asked = [cache.invalidate("a:b:c")];
    expect([await load("c"), await load("c"), await load("d")]).toEqual([3, 3, 2]);
    asked.push(cache.invalidate("a:b:c"));
    expect([await load("c"), await load("c"), await load("d")]).toEqual([4, 4, 2]);
    asked.push(cache.invalidate("a:b"));
    expect([await load("c"), await load("d")]).toEqual([5, 6]);
    // The waiting parent covers these two; here they apply to their own tag only.
    asked.push(cache.invalidate("a:b:c"), cache.invalidate("a:b:c"));
    expect([await load("c"), await load("d")]).toEqual([7, 6]);
    asked.push(cache.invalidate("a:b"));
    expect([await load("c"), await load("d")]).toEqual([8, 9]);
    expect(cache.stats().outbox).toBe(1);
    bus.state = { type: "following", epoch: "e", sequence: 1 };
    bus.emit({ type: "following", version: { epoch: "e", sequence: 1, time: 0 } });
    expect(bus.published.map(({ tag }) => tag)).toEqual(["a:b"]);
    bus.published[0]?.acknowledge(2);
    await clock.advance(0);
    expect(new Set(await Promise.all(asked))).toEqual(new Set(["published"]));
    bus.invalidated("a:b", bus.published[0]?.id ?? "", 2);
    expect([await load("c"), await load("c")]).toEqual([10, 10]);
  });

  test("B7: the number of tags that a full outbox covers is bounded, too", async () => {
    const folder = await temporaryFolder();
    const { bus, cache, clock } = await scripted({ publishTimeout: 1, storageUrl: `lmdb:${folder}` });
    bus.following(1, 0);
    let computed = 0;
    const load = cache.cacheable(async () => ++computed, { name: "load", deps: ["elsewhere"] });
    bus.state = { type: "cut" };
    await load();
    void cache.clear();
    for (let tag = 0; tag < 10_500; tag++) void cache.invalidate(`tag:${tag}`);
    expect(cache.stats()).toMatchObject({ outbox: 1 });
    expect(cache.stats().tags).toBeLessThan(10_010);
    expect(await load()).toBe(2);
    void cache.invalidate("elsewhere");
    expect([await load(), await load()], "past the bound an invalidation applies like the one that covers it").toEqual([3, 3]);
    await clock.advance(2);
    await cache.close();
    const again = await scripted({ storageUrl: `lmdb:${folder}` });
    expect(again.cache.stats()).toMatchObject({ outbox: 1 });
    expect(again.cache.stats().tags).toBeGreaterThan(9_990);
    expect(again.cache.stats().tags).toBeLessThan(10_010);
  });

  test("B7: more than the outbox holds become one invalidation of everything", async () => {
    const { bus, cache, clock } = await scripted({ publishTimeout: 1 });
    const asked = Array.from({ length: 10_001 }, (_, index) => cache.invalidate(`tag:${index}`));
    expect(cache.stats().outbox).toBe(1);
    bus.following(1, 0);
    expect(bus.published.map(({ tag }) => tag)).toEqual([""]);
    bus.published[0]?.acknowledge(2);
    await clock.advance(0);
    expect(new Set(await Promise.all(asked))).toEqual(new Set(["published"]));
  });
});

describe("a node that is cut off", () => {
  test("serves its results for maxStaleSecs since the last heartbeat, then computes and keeps nothing", async () => {
    const { bus, clock, cache } = await scripted({ maxStaleSecs: 5 });
    let computed = 0;
    const load = cache.cacheable(async () => ++computed, { name: "load" });
    bus.following(1, 0);
    expect(await load()).toBe(1);
    bus.state = { type: "cut" };
    bus.emit({ type: "cut" });
    await clock.advance(4_900);
    expect(await load()).toBe(1);
    await clock.advance(200);
    expect([await load(), await load()]).toEqual([2, 3]);
    expect(cache.stats().isInTouch).toBe(false);
    bus.heardAt = clock.monotonic();
    expect([await load(), await load()]).toEqual([1, 1]);
  });

  test("treats all its results as stale when the bus cannot deliver the missed invalidations", async () => {
    const { bus, cache } = await scripted();
    let computed = 0;
    const load = cache.cacheable(async () => ++computed, { name: "load" });
    bus.following(100, 0);
    await load();
    bus.emit({ type: "reset", version: { epoch: "other", sequence: 3, time: 0 } });
    bus.emit({ type: "following", version: { epoch: "other", sequence: 3, time: 0 } });
    expect(await load()).toBe(2);
    expect(await load()).toBe(2);
  });
});
