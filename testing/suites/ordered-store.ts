import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ByteRange, type StoreChange, type OpenStore, type OrderedStore, storeKeyBytesMax } from "../../storage/kv/ordered-store.js";
import { AssertionError, ClosedError, InUseError } from "../../core/index.js";

/**
 * Tests an ordered store against the promises of storage/kv/ordered-store.ts. `makeSetup` gives a new, empty place each
 * time.
 */
export function orderedStoreSuite(name: string, makeSetup: () => Promise<OpenStore>): void {
  describe(`the ordered store ${name}`, () => {
    let openStore: OpenStore;
    let store: OrderedStore;

    beforeEach(async () => {
      openStore = await makeSetup();
      store = await openStore();
    });
    afterEach(() => store.close());

    const get = (key: string) => text(store.read((view) => view.get(bytes(key))));
    const list = (range: ByteRange) => store.read((view) => Array.from(view.range(range), ([key, value]) => `${text(key)}=${text(value)}`));

    test("gives the value that was put, and undefined for another key", async () => {
      await store.batch([put("a", "1"), put("b", "")]);
      expect(get("a")).toBe("1");
      expect(get("b")).toBe("");
      expect(get("c")).toBeUndefined();
      expect(get("aa")).toBeUndefined();
    });

    test("applies the changes of a batch in order", async () => {
      await store.batch([put("a", "1"), put("a", "2"), remove("b"), put("b", "3"), put("c", "4"), remove("c"), remove("none")]);
      expect(list(all)).toEqual(["a=2", "b=3"]);
    });

    test("orders keys by their bytes, a prefix first", async () => {
      const keys = [[0], [0, 0], [0, 1], [1], [0x61], [0x61, 0], [0x61, 0xff], [0x62], [0x7f], [0x80], [0xc3, 0xa9], [0xff], [0xff, 0xff]];
      const shuffled = [5, 0, 12, 3, 9, 1, 11, 7, 2, 10, 4, 8, 6].map((index) => Buffer.from(keys[index] ?? []));
      await store.batch(shuffled.map((key) => ({ key, value: key })));
      const found = store.read((view) =>
        Array.from(view.range({ from: Buffer.of(0), to: Buffer.of(0xff, 0xff, 0xff) }), ([key]) => [...key]),
      );
      expect(found).toEqual(keys);
    });

    test("a range has its first key and not its end, forwards and in reverse, whether these are there or not", async () => {
      await store.batch(["a", "b", "c", "d"].map((key) => put(key, key)));
      for (const [from, to, keys] of [
        ["a", "d", "abc"],
        ["b", "c", "b"],
        ["aa", "cc", "bc"],
        ["0", "z", "abcd"],
        ["d", "z", "d"],
        ["b", "b", ""],
        ["c", "a", ""],
        ["x", "z", ""],
      ] as const) {
        const expected = [...keys].map((key) => `${key}=${key}`);
        expect(list({ from: bytes(from), to: bytes(to) })).toEqual(expected);
        expect(list({ from: bytes(from), to: bytes(to), reverse: true })).toEqual(expected.reverse());
      }
    });

    test("ranges are lazy, can be left early, and nest with each other and with get", async () => {
      await store.batch(Array.from({ length: 50 }, (_, n) => put(`k${String(n).padStart(2, "0")}`, `${n}`)));
      const seen = store.read((view) => {
        const pairs: string[] = [];
        for (const [key, value] of view.range(all)) {
          if (pairs.length === 20) break;
          for (const [last] of view.range({ ...all, reverse: true })) {
            pairs.push(`${text(key)} ${text(value)} ${text(last)} ${text(view.get(key))}`);
            break;
          }
        }
        return pairs;
      });
      expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => `k${String(n).padStart(2, "0")} ${n} k49 ${n}`));
    });

    test("bytes that a view gave stay the same after later reads and writes", async () => {
      const value = Buffer.alloc(100_000, 1);
      await store.batch([{ key: bytes("long"), value }, put("short", "one")]);
      const [long, short] = store.read((view) => [view.get(bytes("long")), view.get(bytes("short"))]);
      await store.batch([{ key: bytes("long"), value: Buffer.alloc(100_000, 2) }, put("short", "two")]);
      store.read((view) => [view.get(bytes("long")), view.get(bytes("short"))]);
      expect(Buffer.compare(long ?? Buffer.of(), Buffer.alloc(100_000, 1))).toBe(0);
      expect(text(short)).toBe("one");
    });

    test("takes keys of 1 to 1,978 bytes and values of megabytes; a batch with another key fails with AssertionError and writes nothing", async () => {
      const key = Buffer.alloc(storeKeyBytesMax, 0xff);
      const value = Buffer.alloc(3_000_000, 7);
      await store.batch([{ key, value }]);
      expect(store.read((view) => Buffer.compare(view.get(key) ?? Buffer.of(), value))).toBe(0);
      for (const wrong of [Buffer.alloc(0), Buffer.alloc(storeKeyBytesMax + 1)]) {
        await expect(Promise.resolve().then(() => store.batch([put("a", "1"), { key: wrong, value }]))).rejects.toThrow(AssertionError);
      }
      await store.batch([put("b", "2")]);
      expect(get("a")).toBeUndefined();
    });

    for (const alone of [false, true]) {
      describe(alone ? "a batch alone" : "a batch", () => {
        test("shows in no view before it is durable, and whole in each view after it resolves", async () => {
          const count = 200;
          for (let round = 1; round <= 20; round++) {
            const changes = Array.from({ length: count }, (_, n) => put(`k${n}`, `${round}`));
            let resolved = false;
            const written = Promise.resolve(store.batch(changes, { alone })).then(() => {
              resolved = true;
            });
            do {
              const values = new Set(store.read((view) => changes.map(({ key }) => text(view.get(key)))));
              expect(values.size).toBe(1);
              await turn();
            } while (!resolved);
            await written;
            expect(get(`k${count - 1}`)).toBe(`${round}`);
          }
        });

        test("is there when the store is opened again", async () => {
          await store.batch([put("a", "1"), put("b", "2")], { alone });
          await store.batch([remove("a")], { alone });
          await store.close();
          store = await openStore();
          expect(list(all)).toEqual(["b=2"]);
        });
      });
    }

    test("batches in flight together are written in order, and all before close resolves", async () => {
      const written = Array.from({ length: 50 }, (_, n) => store.batch([put("last", `${n}`), put(`k${n}`, "")], { alone: n % 7 === 0 }));
      const closed = store.close();
      await Promise.all([...written, closed]);
      store = await openStore();
      expect(get("last")).toBe("49");
      expect(list(all)).toHaveLength(51);
    });

    test("a batch of nothing resolves", async () => {
      await store.batch([]);
      expect(list(all)).toEqual([]);
    });

    test("an error in the user of a view goes to its caller, and harms no later view", async () => {
      await store.batch([put("a", "1")]);
      const failure = new Error("of the user");
      expect(() => store.read(() => fail(failure))).toThrow(failure);
      expect(() =>
        store.read((view) => {
          for (const _ of view.range(all)) fail(failure);
        }),
      ).toThrow(failure);
      expect(get("a")).toBe("1");
    });

    test("has one owner until it is closed", async () => {
      await expect(openStore()).rejects.toThrow(InUseError);
      await store.close();
      store = await openStore();
    });

    test("is closed once and for all", async () => {
      await store.close();
      await store.close();
      expect(() => get("a")).toThrow(ClosedError);
      await expect(store.batch([put("a", "1")])).rejects.toThrow(ClosedError);
    });
  });
}

const all: ByteRange = { from: Buffer.of(0), to: Buffer.of(0xff, 0xff) };
const bytes = (key: string) => Buffer.from(key);
const text = (found: Uint8Array | undefined) => (found === undefined ? undefined : Buffer.from(found).toString());
const put = (key: string, value: string): StoreChange => ({ key: bytes(key), value: bytes(value) });
const remove = (key: string): StoreChange => ({ key: bytes(key), value: undefined });

function fail(error: Error): never {
  throw error;
}
