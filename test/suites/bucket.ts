import { afterEach, describe, expect, test } from "vitest";
import type { Bucket } from "../../transport/bucket.js";
import { ClosedError, TooLargeError } from "../../core/index.js";

/** A broker. `open` opens the bucket with this prefix of its keys. */
export interface BucketSetup {
  readonly open: (prefix: string) => Promise<Bucket>;
  readonly close: () => Promise<void>;
}

/** Tests the promises of transport/bucket.ts. */
export function bucketSuite(name: string, makeSetup: () => Promise<BucketSetup>): void {
  describe(`the bucket ${name}`, () => {
    const setups: BucketSetup[] = [];
    afterEach(() => Promise.all(setups.splice(0).map((setup) => setup.close())));

    async function open() {
      const setup = await makeSetup();
      setups.push(setup);
      const bucket = await setup.open("p");
      const put = (key: string, text: string, expected: number) => bucket.put(key, Buffer.from(text), expected);
      const text = async (key: string) => {
        const entry = await bucket.get(key);
        return entry === undefined ? undefined : Buffer.from(entry.payload).toString();
      };
      return { setup, bucket, put, text };
    }

    test("returns a payload that was put, with its revision and its time, and undefined for other keys", async () => {
      const { bucket, put } = await open();
      expect(await bucket.get("k")).toBeUndefined();
      const revision = await put("k", "value", 0);
      const entry = await bucket.get("k");
      expect(Buffer.from(entry?.payload ?? []).toString()).toBe("value");
      expect(entry?.revision).toBe(revision);
      expect(Number.isSafeInteger(revision)).toBe(true);
      expect(Number.isInteger(entry?.time)).toBe(true);
      const [, later] = [await put("k", "", revision ?? 0), await bucket.get("k")];
      expect(later?.payload.length).toBe(0);
      expect(later?.time).toBeGreaterThanOrEqual(entry?.time ?? Infinity);
    });

    test("accepts one of several puts that expect the same revision; revisions rise, also across removals", async () => {
      const { bucket, put, text } = await open();
      const first = await Promise.all(["a", "b", "c", "d"].map((each) => put("k", each, 0)));
      const taken = first.filter((revision) => revision !== undefined);
      expect(taken.length).toBe(1);
      expect(await text("k")).toBe(["a", "b", "c", "d"][first.findIndex((revision) => revision !== undefined)]);
      const revision = taken[0] ?? 0;
      expect(await put("k", "stranger", revision + 100)).toBeUndefined();
      expect(await put("other", "beside", revision)).toBeUndefined();
      const second = (await put("k", "second", revision)) ?? 0;
      expect(second).toBeGreaterThan(revision);
      expect(await bucket.remove(revision)).toBe(false);
      expect(await text("k")).toBe("second");
      expect([await bucket.remove(second), await bucket.remove(second)]).toEqual([true, false]);
      expect(await bucket.get("k")).toBeUndefined();
      expect(await put("k", "late", second)).toBeUndefined();
      expect(await put("k", "again", 0)).toBeGreaterThan(second);
    });

    test("distinguishes keys, also long and odd ones, and prefixes", async () => {
      const { setup, put, text } = await open();
      const long = "k".repeat(5_000);
      const keys = [
        " ",
        "a",
        "a.b",
        "a=002eb",
        "A",
        "*",
        ">",
        "a b",
        "é",
        "e\u0301",
        "\ud800",
        "\ufffd",
        "",
        "\u0000",
        long,
        `${long}1`,
        "==",
        "=",
      ];
      for (const [index, key] of keys.entries()) expect(await put(key, String(index), 0), JSON.stringify(key)).toBeDefined();
      expect(await Promise.all(keys.map(text))).toEqual(keys.map((_, index) => String(index)));
      const other = await setup.open("other");
      expect(await other.get("a")).toBeUndefined();
      await other.put("a", Buffer.from("theirs"), 0);
      expect(await text("a")).toBe("1");
      await other.clear();
      expect([await other.get("a"), await text("a")]).toEqual([undefined, "1"]);
    });

    test("holds any bytes up to payloadBytesMax, and refuses more", async () => {
      const { bucket } = await open();
      const largest = Buffer.alloc(bucket.payloadBytesMax, 7);
      expect(await bucket.put("k", largest, 0)).toBeDefined();
      expect(Buffer.compare(Buffer.from((await bucket.get("k"))?.payload ?? []), largest)).toBe(0);
      await expect(bucket.put("l", Buffer.alloc(bucket.payloadBytesMax + 1024, 7), 0)).rejects.toThrow(TooLargeError);
      expect(await bucket.get("l")).toBeUndefined();
    });

    test("lists its entries, the oldest first, without payloads, at most the requested count", async () => {
      const { setup, bucket, put } = await open();
      const listed = async (from: number, itemsMax: number) => (await bucket.list(from, itemsMax)).map(({ revision }) => revision);
      const written = async (key: string, text = key, expected = 0) => (await put(key, text, expected)) ?? 0;
      expect(await listed(1, 10)).toEqual([]);
      const early = await written("rewritten");
      const [a, b, c] = [await written("a"), await written("b c", "b".repeat(1_000)), await written("d.e")];
      const gone = await written("gone");
      expect(await listed(1, 10)).toEqual([early, a, b, c, gone]);
      expect(await bucket.remove(gone)).toBe(true);
      await (await setup.open("other")).put("theirs", Buffer.from(""), 0);
      const late = await written("rewritten", "late", early);
      const items = await bucket.list(1, 10);
      expect(items.map(({ revision }) => revision)).toEqual([a, b, c, late]);
      for (const [index, key] of ["a", "b c", "d.e", "rewritten"].entries()) {
        const entry = await bucket.get(key);
        expect(Math.abs((items[index]?.time ?? 0) - (entry?.time ?? 0))).toBeLessThanOrEqual(1);
      }
      expect(await listed(1, 2)).toEqual([a, b]);
      expect(await listed(b + 1, 2)).toEqual([c, late]);
      expect(await listed(late + 1, 2)).toEqual([]);
      expect(await listed(1_000_000, 2)).toEqual([]);
      await bucket.clear();
      expect(await listed(1, 10)).toEqual([]);
    });

    test("lists more entries than one message holds, at once and in pages", async () => {
      const { bucket } = await open();
      const put = await Promise.all(Array.from({ length: 3_000 }, (_, n) => bucket.put(`k${n}`, Buffer.from(""), 0)));
      const all = await bucket.list(1, 5_000);
      expect(all.map(({ revision }) => revision)).toEqual(put.toSorted((one = 0, other = 0) => one - other));
      const first = await bucket.list(1, 1_000);
      const rest = await bucket.list((first.at(-1)?.revision ?? 0) + 1, 5_000);
      expect([...first, ...rest]).toEqual(all);
    });

    test("lists the time to live of the last put of each key, and removes listed revisions, also of long keys", async () => {
      const { bucket } = await open();
      const long = "k".repeat(5_000);
      const put = (key: string, expected: number, ttlMs?: number) => bucket.put(key, Buffer.from("x"), expected, ttlMs);
      await put("none", 0);
      await put("long lived", 0, 1_234_567.25);
      await put("for ever, nearly", 0, 1e30);
      await put(long, 0, 60_000);
      const renewed = await put("renewed", 0, 60_000);
      const unbound = await put("unbound", 0, 60_000);
      await put("renewed", renewed ?? 0, 90_000);
      await put("unbound", unbound ?? 0);
      const items = await bucket.list(1, 10);
      const listed = items.map(({ ttlMs }) => ttlMs);
      const [, , longest] = listed;
      expect(listed).toEqual([undefined, 1_234_568, longest, 60_000, 90_000, undefined]);
      expect(longest).toBeGreaterThan(1_234_568);
      for (const { revision } of items) expect(await bucket.remove(revision)).toBe(true);
      expect([await bucket.get(long), await bucket.list(1, 10)]).toEqual([undefined, []]);
    });

    test("stays closed", async () => {
      const { bucket } = await open();
      await bucket.close();
      await bucket.close();
      await expect(bucket.get("k")).rejects.toThrow(ClosedError);
      await expect(bucket.put("k", Buffer.from(""), 0)).rejects.toThrow(ClosedError);
    });
  });
}
