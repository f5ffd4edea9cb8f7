import { afterEach, describe, expect, test } from "vitest";
import type { Bucket, BucketItem } from "../../transport/bucket.js";
import { ClosedError, TooLargeError } from "../../words/index.js";

/** A broker whose buckets are opened by the prefix of their keys. */
export interface BucketPlace {
  readonly open: (prefix: string) => Promise<Bucket>;
  readonly close: () => Promise<void>;
}

/** Holds a bucket to what transport/bucket.ts promises. */
export function bucketSuite(name: string, makePlace: () => Promise<BucketPlace>): void {
  describe(`the bucket ${name}`, () => {
    const places: BucketPlace[] = [];
    afterEach(() => Promise.all(places.splice(0).map((place) => place.close())));

    async function open() {
      const place = await makePlace();
      places.push(place);
      const bucket = await place.open("p");
      const put = (key: string, text: string, expected: number) => bucket.put(key, Buffer.from(text), expected);
      const text = async (key: string) => {
        const entry = await bucket.get(key);
        return entry === undefined ? undefined : Buffer.from(entry.payload).toString();
      };
      return { place, bucket, put, text };
    }

    test("gives what was put, with its revision and its time, and nothing for what was not", async () => {
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

    test("takes one of the puts that expect one revision, and revisions rise over removals", async () => {
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
      expect(await bucket.remove("k", revision)).toBe(false);
      expect(await text("k")).toBe("second");
      expect(await bucket.remove("k", second)).toBe(true);
      expect(await bucket.get("k")).toBeUndefined();
      expect(await put("k", "late", second)).toBeUndefined();
      expect(await put("k", "again", 0)).toBeGreaterThan(second);
    });

    test("tells keys apart, however long or odd they are, and prefixes too", async () => {
      const { place, put, text } = await open();
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
      const other = await place.open("other");
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

    test("lists what is there, without payloads, no more than asked for", async () => {
      const { place, bucket, put } = await open();
      const all = async (itemsMax: number) => {
        const items: BucketItem[] = [];
        for await (const item of bucket.list(itemsMax)) items.push(item);
        return items;
      };
      expect(await all(10)).toEqual([]);
      for (const key of ["a", "b c", "d.e"]) await put(key, key.repeat(100), 0);
      await put("gone", "", 0);
      await bucket.remove("gone", (await bucket.get("gone"))?.revision ?? 0);
      await (await place.open("other")).put("theirs", Buffer.from(""), 0);
      const items = await all(10);
      expect(new Set(items.map(({ key }) => key))).toEqual(new Set(["a", "b c", "d.e"]));
      for (const { key, revision, time, bytes } of items) {
        const entry = await bucket.get(key ?? "");
        expect([revision, bytes]).toEqual([entry?.revision, entry?.payload.length]);
        expect(Math.abs(time - (entry?.time ?? 0))).toBeLessThanOrEqual(1);
      }
      expect((await all(2)).length).toBe(2);
      await bucket.clear();
      expect(await all(10)).toEqual([]);
    });

    test("is closed once and for all", async () => {
      const { bucket } = await open();
      await bucket.close();
      await bucket.close();
      await expect(bucket.get("k")).rejects.toThrow(ClosedError);
      await expect(bucket.put("k", Buffer.from(""), 0)).rejects.toThrow(ClosedError);
    });
  });
}
