import { afterEach, describe, expect, test } from "vitest";
import type { EntryStore, Keeping } from "../../storage/results/entry-store.js";
import { valueOf, type ValueMode } from "../../storage/results/kept-value.js";
import type { SimulatedClock } from "../../testing/simulated-clock.js";
import { asTag, type Tag } from "../../core/index.js";
import { resultTierSuite, tags } from "./result-tier.js";

export { tags };

/** A tier, its clock, and a function that applies an invalidation of the bus to it. */
export interface EntrySetup {
  readonly store: EntryStore;
  readonly clock: SimulatedClock;
  readonly invalidate: (tag: Tag) => void;
}

export interface EntryPlaceOptions {
  readonly entriesMax?: number;
  readonly bytesMax?: number;
  readonly values?: ValueMode;
}

/** Tests the promises of storage/results/entry-store.ts. `makeSetup` returns a new, empty tier on each call. */
export function entryStoreSuite(name: string, makeSetup: (options: EntryPlaceOptions) => Promise<EntrySetup>): void {
  resultTierSuite(name, async () => {
    const { store, clock, invalidate } = await makeSetup({});
    return { tier: store, invalidate, pass: (ms) => clock.advance(ms) };
  });

  describe(`the tier ${name}`, () => {
    const opened: EntryStore[] = [];
    afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())));

    async function open(options: EntryPlaceOptions = {}) {
      const { store, clock, invalidate } = await makeSetup(options);
      opened.push(store);
      const put = (key: string, value: unknown, how: Partial<Keeping<unknown>> = {}) =>
        store.put(key, value, { tags: [], began: store.begin(), ...how });
      const value = (key: string) => store.get(key)?.value;
      return { store, clock, invalidate, put, value };
    }

    test("a sliding entry lives while each read comes within its time to live", async () => {
      const { store, clock, put } = await open();
      put("slides", 1, { ttlMs: 1_000, slides: true });
      put("stays", 1, { ttlMs: 1_000 });
      for (let reads = 0; reads < 5; reads++) {
        await clock.advance(700);
        expect(store.get("slides")).toBeDefined();
      }
      expect(store.get("stays")).toBeUndefined();
      await clock.advance(1_050);
      expect(store.get("slides")).toBeUndefined();
    });

    test("peek describes an entry that get would return; it neither extends the time to live nor counts as a use", async () => {
      const { store, clock, put, value, invalidate } = await open({ entriesMax: 2 });
      put("slides", 1, { tags: tags("x:y"), ttlMs: 1_000, slides: true });
      put("other", 2, { tags: tags("z") });
      await clock.advance(900);
      expect(store.peek("slides")).toMatchObject({ key: "slides", tags: ["x:y"], ttlMs: 1_000, slides: true });
      expect(store.peek("nothing")).toBeUndefined();
      await clock.advance(100);
      expect(store.peek("slides")).toBeUndefined();
      put("slides", 1, { tags: tags("x:y") });
      store.peek("other");
      put("third", 3);
      expect([store.peek("other"), value("slides")]).toEqual([undefined, 1]);
      invalidate(asTag("x"));
      expect([store.peek("slides"), store.peek("third")?.tags]).toEqual([undefined, []]);
    });

    test("has at most entriesMax entries; the least recently used leave first", async () => {
      const { store, put } = await open({ entriesMax: 3 });
      for (const key of ["a", "b", "c"]) put(key, key);
      store.get("a");
      put("b", "again");
      put("d", "d");
      expect([...store.keys()].sort()).toEqual(["a", "b", "d"]);
      for (let n = 0; n < 100; n++) put(`k${n}`, n);
      expect(store.stats()).toMatchObject({ entries: 3, evictions: 101 });
      expect(store.get("k99")).toBeDefined();
    });

    test("has at most bytesMax bytes, and stores no entry larger than that", async () => {
      const { store, put } = await open({ bytesMax: 50_000 });
      for (let n = 0; n < 200; n++) {
        put(`k${n}`, "x".repeat(1_000));
        expect(store.stats().bytes).toBeLessThanOrEqual(50_000);
      }
      expect(store.stats().entries).toBeGreaterThan(25);
      put("k199", "small");
      const { bytes } = store.stats();
      expect(put("k199", "x".repeat(60_000))).toBeUndefined();
      expect(store.get("k199"), "the old value is not the one that was put").toBeUndefined();
      expect(store.stats().bytes).toBeLessThan(bytes);
      store.clear();
      expect(store.stats().bytes).toBe(0);
    });

    test("a sweep removes stale and expired entries only, in steps", async () => {
      const { store, clock, invalidate, put } = await open();
      for (let n = 0; n < 1_000; n++) put(`k${n}`, n, { tags: tags(`t${n % 4}`), ttlMs: n % 2 === 0 ? 100 : undefined });
      invalidate(asTag("t1"));
      await clock.advance(200);
      let steps = 0;
      let removed = 0;
      for (let done = false; !done; steps++) {
        const step = store.sweep(0);
        removed += step.removed;
        ({ done } = step);
      }
      expect(steps).toBeGreaterThan(5);
      expect(removed).toBe(750);
      expect(store.stats().entries).toBe(250);
      expect(store.get("k3")).toBeDefined();
      expect(store.sweep(1_000)).toEqual({ removed: 0, done: true });
    });

    test("frozen: callers can change neither the returned value nor the stored one", async () => {
      const { store, put } = await open();
      const given = { list: [{ n: 1 }], at: new Date(1), bytes: Uint8Array.of(1) };
      put("k", given);
      put("plain", { list: [{ n: 1 }] });
      given.at.setTime(2);
      given.bytes[0] = 2;
      for (let reads = 0; reads < 2; reads++) {
        const entry = store.get("k");
        const value = valueOf(entry ?? expect.fail("it is kept"), "frozen") as typeof given;
        expect(value).toEqual({ list: [{ n: 1 }], at: new Date(1), bytes: Uint8Array.of(1) });
        expect(Object.isFrozen(value) && Object.isFrozen(value.list[0])).toBe(true);
        value.at.setTime(3);
        value.bytes[0] = 3;
        expect(store.get("plain")?.isShared).toBe(true);
      }
    });

    test("cloned: every caller gets its own copy, which it can change", async () => {
      const { store, put } = await open({ values: "cloned" });
      const given = { list: [1] };
      put("k", given);
      given.list.push(2);
      for (let reads = 0; reads < 2; reads++) {
        const value = valueOf(store.get("k") ?? expect.fail("it is kept"), "cloned") as typeof given;
        expect(value).toEqual({ list: [1] });
        value.list.push(3);
      }
    });

    test("shared: the returned value can be changed", async () => {
      const { store, put } = await open({ values: "shared" });
      put("k", { list: [1] });
      await store.flush();
      const entry = store.get("k") ?? expect.fail("it is kept");
      expect(entry.isShared).toBe(true);
      (entry.value as { list: number[] }).list.push(2);
      expect(entry.value).toEqual({ list: [1, 2] });
    });
  });
}
