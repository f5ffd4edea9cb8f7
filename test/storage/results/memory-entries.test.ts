import { expect, test } from "vitest";
import { MemoryEntryStore, type MemoryEntryStoreOptions } from "../../../storage/results/memory-entries.js";
import { EntrySlot } from "../../../storage/results/memory-entry.js";
import { TagTrie } from "../../../storage/results/tag-trie.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { asTag, InvalidValueError } from "../../../core/index.js";
import { entryStoreSuite, tags } from "../../suites/entry-store.js";

function makeStore(options: Partial<MemoryEntryStoreOptions> = {}) {
  const clock = new SimulatedClock();
  const trie = new TagTrie({ clock });
  const store = new MemoryEntryStore({ trie, clock, ...options });
  const invalidate = (tag: string) => {
    trie.apply(asTag(tag), trie.sequence + 1);
  };
  return { clock, trie, store, invalidate };
}

entryStoreSuite("in memory", (options) => {
  const { clock, trie, store } = makeStore(options);
  const invalidate = (tag: Parameters<typeof trie.apply>[0]) => {
    trie.apply(tag, trie.sequence + 1);
  };
  return Promise.resolve({ store, clock, invalidate });
});

test("an entry is one object for as long as it is kept, with the promise that was set in it", () => {
  const { store } = makeStore();
  const entry = store.put("k", 1, { tags: [], began: store.begin() });
  const promise = Promise.resolve(1);
  if (entry !== undefined) entry.promise = promise;
  expect(store.get("k")).toBe(entry);
  expect(store.get("k")?.promise).toBe(promise);
});

test("a slot refers to the entry of its key as long as that is kept, and to no entry that was replaced, removed, cleared or evicted", async () => {
  const { store, invalidate, clock } = makeStore({ entriesMax: 2 });
  const slot = new EntrySlot("k");
  const put = (key: string, value: number, ttlMs?: number) => store.put(key, value, { tags: tags("a"), began: store.begin(), ttlMs });
  const found = () => store.getAt(slot)?.value;
  expect(found()).toBeUndefined();
  put("k", 1);
  expect([found(), found()]).toEqual([1, 1]);
  put("k", 2);
  expect([found(), found()]).toEqual([2, 2]);
  store.delete("k");
  expect(found()).toBeUndefined();
  put("k", 3);
  expect(found()).toBe(3);
  store.clear();
  expect(found()).toBeUndefined();
  put("k", 4);
  expect(found()).toBe(4);
  invalidate("a");
  expect(found()).toBeUndefined();
  put("k", 5, 100);
  expect(found()).toBe(5);
  await clock.advance(200);
  expect(found()).toBeUndefined();
  put("k", 6);
  expect(found()).toBe(6);
  put("other", 0);
  put("another", 0);
  put("more", 0);
  expect(slot.entry).toBeUndefined();
  expect(found()).toBeUndefined();
});

test("a hit by a slot counts as a use: another entry is evicted", () => {
  const { store } = makeStore({ entriesMax: 2 });
  const slot = new EntrySlot("a");
  for (const key of ["a", "b"]) store.put(key, key, { tags: [], began: store.begin() });
  store.getAt(slot);
  store.put("c", "c", { tags: [], began: store.begin() });
  expect([...store.keys()].toSorted()).toEqual(["a", "c"]);
});

test("each of two slots of one key finds the entry, and a vacated one keeps nothing", () => {
  const { store } = makeStore();
  const [first, second] = [new EntrySlot("k"), new EntrySlot("k")];
  store.put("k", 1, { tags: [], began: store.begin() });
  expect([first, second, first, second].map((slot) => store.getAt(slot)?.value)).toEqual([1, 1, 1, 1]);
  store.vacate(second);
  expect(second.entry).toBeUndefined();
  store.delete("k");
  expect([first.entry, second.entry]).toEqual([undefined, undefined]);
});

test("under a pending invalidation only results that began after it are returned", () => {
  const { store, trie } = makeStore();
  const crossed = store.begin();
  store.put("k", "before", { tags: tags("a:b"), began: crossed });
  const pending = trie.pend(asTag("a"));
  expect(store.get("k")).toBeUndefined();
  expect(store.put("k", "crossed", { tags: tags("a:b"), began: crossed })).toBeUndefined();
  store.put("k", "after", { tags: tags("a:b"), began: store.begin() });
  expect(store.get("k")?.value).toBe("after");
  trie.settle(pending, 5);
});

test("an entry that is removed in any way releases its tags: an empty tier holds none", async () => {
  const { store, trie, clock, invalidate } = makeStore({ entriesMax: 20 });
  for (let n = 0; n < 200; n++) {
    store.put(`k${n % 30}`, n, { tags: tags(`t:n${n}`), began: store.begin(), ttlMs: n % 3 === 0 ? 10 : undefined });
    if (n % 7 === 0) store.delete(`k${(n * 5) % 30}`);
    if (n % 11 === 0) invalidate(`t:n${n}`);
    store.get(`k${(n * 3) % 30}`);
    if (n % 50 === 0) {
      await clock.advance(50);
      store.sweep(100);
    }
  }
  expect(trie.stats().nodes).toBeGreaterThan(10);
  await store.close();
  await clock.advance(1_000);
  trie.prune(0, 1_000);
  expect(trie.stats().nodes, "the root").toBeLessThanOrEqual(1);
});

test("with grace, `last` returns a stale or expired value for a while, although `get` does not", async () => {
  const { store, clock, invalidate } = makeStore({ graceMs: 5_000 });
  store.put("stale", 1, { tags: tags("a"), began: store.begin() });
  store.put("expired", 2, { tags: [], began: store.begin(), ttlMs: 100 });
  store.put("deleted", 3, { tags: [], began: store.begin() });
  invalidate("a");
  store.delete("deleted");
  await clock.advance(200);
  expect(["stale", "expired", "deleted"].map((key) => store.get(key))).toEqual([undefined, undefined, undefined]);
  await clock.advance(4_000);
  expect(store.sweep(100).removed).toBe(0);
  expect(["stale", "expired", "deleted"].map((key) => store.last(key)?.value)).toEqual([1, 2, undefined]);
  await clock.advance(1_100);
  expect(store.last("stale")).toBeUndefined();
  expect(store.sweep(100).removed).toBe(1);
  expect(store.stats().entries).toBe(0);
});

test("a slide is reported to the tier behind, but not at every read", async () => {
  const slid: string[] = [];
  const { store, clock } = makeStore({ onSlide: { intervalMs: 1_000, slid: (key) => slid.push(key) } });
  store.put("k", 1, { tags: [], began: store.begin(), ttlMs: 10_000, slides: true });
  for (let reads = 0; reads < 50; reads++) {
    store.get("k");
    await clock.advance(100);
  }
  expect(slid).toEqual(["k", "k", "k", "k"]);
});

test("a value that cannot be cloned is refused in mode cloned, and keeps the same references in mode frozen", () => {
  const cloning = makeStore({ values: "cloned" }).store;
  const value = { run: () => 1 };
  expect(() => cloning.put("k", value, { tags: [], began: cloning.begin() })).toThrow(InvalidValueError);
  const { store } = makeStore();
  const kept = store.put("k", value, { tags: [], began: store.begin() })?.value as typeof value;
  expect([kept.run === value.run, Object.isFrozen(kept), Object.isFrozen(value)]).toEqual([true, true, false]);
});

test("maps, sets and cycles are returned as copies that share nothing with the kept value", () => {
  const { store } = makeStore();
  const value: { map: Map<string, number[]>; set: Set<number>; self?: unknown } = { map: new Map([["a", [1]]]), set: new Set([1]) };
  value.self = value;
  const entry = store.put("k", value, { tags: [], began: store.begin() });
  value.set.add(2);
  const kept = entry?.value as typeof value;
  expect(entry?.isShared).toBe(false);
  expect([...kept.set]).toEqual([1]);
  expect(kept.self).toBe(kept);
  expect(kept.map.get("a")).not.toBe(value.map.get("a"));
});

test("an idle tier has no timer", async () => {
  const { store, clock } = makeStore();
  store.put("k", 1, { tags: [], began: store.begin(), ttlMs: 60_000 });
  for (let reads = 0; reads < 10; reads++) store.get("k");
  expect(clock.timerCount).toBe(1);
  await clock.advance(100);
  expect(clock.timerCount).toBe(0);
});
