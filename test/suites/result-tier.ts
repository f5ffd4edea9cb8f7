import { afterEach, describe, expect, test } from "vitest";
import type { Keeping } from "../../storage/results/entry-store.js";
import { asTag, rootTag, type Tag } from "../../core/index.js";

/** A result that a tier returns, with its tags and its time to live. */
export interface TierResult {
  readonly value: unknown;
  readonly tags: readonly Tag[];
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
}

type Awaitable<T> = T | Promise<T>;

/** The methods that all tiers have: a tier of this process, or one that nodes share. */
export interface ResultTier {
  begin(): unknown;
  get(key: string): Awaitable<TierResult | undefined>;
  put(key: string, value: unknown, how: Keeping<unknown>): Awaitable<TierResult | undefined>;
  delete(key: string): Awaitable<boolean>;
  clear(): Awaitable<void>;
  keys(): Iterable<string> | AsyncIterable<string>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** A tier, a function that applies an invalidation of the bus to it, and one that lets time pass. */
export interface TierSetup {
  readonly tier: ResultTier;
  readonly invalidate: (tag: Tag) => Awaitable<void>;
  readonly pass: (ms: number) => Promise<void>;
}

/**
 * Tests the promises of storage/results/entry-store.ts that all tiers keep: a result is never stale, never expired, and
 * equal to the one that was put.
 */
export function resultTierSuite(name: string, makeSetup: () => Promise<TierSetup>): void {
  describe(`results in the tier ${name}`, () => {
    const opened: ResultTier[] = [];
    afterEach(() => Promise.all(opened.splice(0).map((tier) => tier.close())));

    async function open() {
      const setup = await makeSetup();
      const { tier } = setup;
      opened.push(tier);
      const put = async (key: string, value: unknown, how: Partial<Keeping<unknown>> = {}) =>
        tier.put(key, value, { tags: [], began: tier.begin(), ...how });
      const value = async (key: string) => (await tier.get(key))?.value;
      const values = (keys: readonly string[]) => Promise.all(keys.map(value));
      const there = (keys: readonly string[]) => Promise.all(keys.map(async (key) => (await tier.get(key)) !== undefined));
      const keys = async () => {
        const found: string[] = [];
        for await (const key of tier.keys()) found.push(key);
        return found.sort();
      };
      return { ...setup, put, value, values, there, keys };
    }

    test("are returned as they were put, the newest for each key, and undefined for a key without a put", async () => {
      const { tier, put, value, keys } = await open();
      await put("a", { city: "Oslo" });
      await put("b", "old");
      expect(await put("b", "new", { tags: tags("x:y") })).toMatchObject({ value: "new" });
      expect(await value("a")).toEqual({ city: "Oslo" });
      expect(await tier.get("b")).toMatchObject({ value: "new", tags: ["x:y"], ttlMs: undefined, slides: false });
      expect(await tier.get("c")).toBeUndefined();
      expect(await keys()).toEqual(["a", "b"]);
    });

    test("can be any value that can be stored, also undefined", async () => {
      const { tier, put, value } = await open();
      const all = [undefined, null, 0, -1.5, "", "é\u0000", true, 12n, [], {}, [[1], { a: [2n] }], new Date(5), Uint8Array.of(1, 2)];
      for (const [index, each] of all.entries()) {
        await put(`k${index}`, each);
        expect(await tier.get(`k${index}`)).toHaveProperty("value", each);
      }
      await tier.flush();
      for (const [index, each] of all.entries()) expect(await value(`k${index}`)).toEqual(each);
    });

    test("do not change when the caller changes the value after its put", async () => {
      const { put, value } = await open();
      const given = { at: new Date(1), bytes: Uint8Array.of(1) };
      await put("k", given);
      given.at.setTime(2);
      given.bytes[0] = 2;
      expect(await value("k")).toEqual({ at: new Date(1), bytes: Uint8Array.of(1) });
    });

    test("are distinguished by their keys, also long and odd ones", async () => {
      const { tier, put, values } = await open();
      const long = "k".repeat(100_000);
      const odd = [
        "",
        "a",
        "a\u0000",
        "\u0000#a",
        "é",
        "e\u0301",
        "\ud800",
        "\ud801",
        "\ufffd",
        long,
        `${long}1`,
        "\u{10ffff}".repeat(500),
      ];
      for (const [index, key] of odd.entries()) await put(key, index);
      await tier.flush();
      expect(await values(odd)).toEqual(odd.map((_, index) => index));
    });

    test("are gone after an invalidation of one of their tags, of a tag above it, or of all tags, and of no other tag", async () => {
      const { tier, invalidate, put, there } = await open();
      for (const [tag, isGone] of [
        ["a:b:c", true],
        ["a:b", true],
        ["a", true],
        ["z", true],
        ["a:b:c:d", false],
        ["a:bb", false],
        ["a:b:d", false],
        ["a.b:c", false],
        ["b", false],
      ] as const) {
        await put("k", 1, { tags: tags("a:b:c", "z") });
        await put("other", 1, { tags: tags("y") });
        await invalidate(asTag(tag));
        expect((await tier.get("k")) === undefined, tag).toBe(isGone);
        expect(await tier.get("other"), tag).toBeDefined();
      }
      await put("k", 1);
      await invalidate(rootTag);
      expect(await there(["k", "other"])).toEqual([false, false]);
    });

    test("are not stored if an invalidation of their tags came while they were computed", async () => {
      const { tier, invalidate, put, values } = await open();
      await put("k", "before", { tags: tags("a") });
      const began = tier.begin();
      await invalidate(asTag("a"));
      expect(await put("k", "crossed", { tags: tags("a:b"), began })).toBeUndefined();
      expect(await tier.get("k")).toBeUndefined();
      expect(await put("other", "beside", { tags: tags("b"), began })).toMatchObject({ value: "beside" });
      await put("k", "after", { tags: tags("a:b") });
      expect(await values(["k", "other"])).toEqual(["after", "beside"]);
    });

    test("are gone after a delete or a clear, until they are put again", async () => {
      const { tier, put, values, keys } = await open();
      for (const key of ["a", "b", "c"]) await put(key, key);
      expect([await tier.delete("a"), await tier.delete("a"), await tier.delete("none")]).toEqual([true, false, false]);
      expect(await values(["a", "b"])).toEqual([undefined, "b"]);
      await tier.clear();
      expect(await keys()).toEqual([]);
      await put("c", "again");
      expect(await values(["a", "b", "c"])).toEqual([undefined, undefined, "again"]);
    });

    test("are gone after their time to live, and not before", async () => {
      const { pass, put, there } = await open();
      await put("short", 1, { ttlMs: 1_000 });
      await put("left", 1, { ttlMs: 5_000, leftMs: 1_000 });
      await put("long", 1, { ttlMs: 60_000 });
      expect(await put("none left", 1, { ttlMs: 1_000, leftMs: 0 })).toBeUndefined();
      const all = ["short", "left", "long", "none left"];
      await pass(200);
      expect(await there(all)).toEqual([true, true, true, false]);
      // Much longer than the rest: the broker's time is known only up to the delay of its fastest message.
      await pass(1_500);
      expect(await there(all)).toEqual([false, false, true, false]);
    });

    test("are gone once the tier is closed, and it stays closed", async () => {
      const { tier, put } = await open();
      await put("k", 1);
      await tier.close();
      await tier.close();
      expect(await tier.get("k")).toBeUndefined();
    });
  });
}

export const tags = (...texts: readonly string[]): readonly Tag[] => texts.map(asTag);
