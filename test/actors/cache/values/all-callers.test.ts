import { describe, expect, test } from "vitest";
import { InvalidValueError } from "../../../../core/index.js";
import { keepValue } from "../../../../storage/results/kept-value.js";
import { decodeRecord, encodeRecord } from "../../../../storage/results/value-record.js";
import { isDense } from "../../../../storage/results/value-kind.js";
import { roughBytes } from "../../../../storage/results/rough-bytes.js";
import { gate, openCache } from "../open.js";

describe("all callers get frozen values", () => {
  test("of a result that is not kept, because an invalidation came while it was computed", async () => {
    const { cache } = await openCache({ values: "frozen" });
    const given = { list: [1] };
    const load = cache.cacheable(
      async (_id: number) => {
        await cache.invalidate("rows");
        return given;
      },
      { name: "load", deps: ["rows"] },
    );
    const [leader, follower] = await Promise.all([load(1), load(1)]);
    const overlapped = await cache.getOrSet("k", async () => {
      await cache.delete("k");
      return given;
    });
    for (const got of [leader, follower, overlapped]) expect(Object.isFrozen(got) && Object.isFrozen(got.list)).toBe(true);
    expect(Object.isFrozen(given)).toBe(false);
    expect(cache.stats().entries).toBe(0);
  });

  test("of a sync function that deletes its own key", async () => {
    const { cache } = await openCache({ values: "frozen" });
    const given = { list: [1] };
    const find = cache.cacheable(
      (id: number) => {
        void find.invalidate(id);
        return given;
      },
      { name: "find" },
    ) as ReturnType<typeof cache.cacheable<(id: number) => { list: number[] }>>;
    expect(Object.isFrozen(find(1).list)).toBe(true);
    expect(cache.stats().entries).toBe(0);
  });

  test("of a computation whose joined calls stopped waiting", async () => {
    const { cache, clock } = await openCache({ values: "frozen", flightTimeout: "1s" });
    const computed = gate<{ list: number[] }>();
    const load = cache.cacheable((_id: number) => computed.promise, { name: "load" });
    const leader = load(1);
    const follower = load(1);
    const freed = expect(follower).rejects.toThrow("had no answer");
    await clock.advance(1_000);
    await freed;
    computed.open({ list: [] });
    expect(Object.isFrozen((await leader).list)).toBe(true);
  });
});

describe("an accessor of an object that is already frozen", () => {
  test.each([
    [
      "an object",
      (next: () => number) =>
        Object.freeze({
          get count() {
            return next();
          },
        }),
    ],
    ["a list", (next: () => number) => Object.freeze(Object.defineProperty([0], 0, { get: next, enumerable: true }))],
  ])("is the value that it had: %s", async (_, make) => {
    const { cache } = await openCache({ values: "frozen" });
    let count = 0;
    const load = cache.cacheable(async (_id: number) => ({ part: make(() => ++count) }), { name: "load" });
    const first = Object.values((await load(1)).part);
    expect(Object.values((await load(1)).part)).toEqual(first);
    expect(count).toBe(first[0]);
  });
});

test.each(["frozen", "cloned"] as const)("an accessor beside an object is read once when its value is kept: %s", (mode) => {
  let reads = 0;
  const value = {
    get count() {
      return ++reads;
    },
    part: {},
  };
  expect(keepValue(value, mode).value).toEqual({ count: 1, part: {} });
  expect(reads).toBe(1);
});

describe("a value that cannot be read", () => {
  test.each([
    [
      "memory that was transferred",
      () => {
        const bytes = new Uint8Array(8);
        structuredClone(bytes, { transfer: [bytes.buffer] });
        return { bytes };
      },
    ],
    [
      "an accessor that throws",
      () => ({
        get part(): number {
          throw new Error("no");
        },
      }),
    ],
  ])("is an InvalidValueError where callers get copies: %s", async (_, make) => {
    const { cache } = await openCache({ values: "cloned" });
    await expect(cache.cacheable(async () => make(), { name: "load" })()).rejects.toThrow(InvalidValueError);
  });
});

test.skipIf(!("Float16Array" in globalThis))("a list of half-precision numbers is copied like any typed array", () => {
  const halves: unknown = Reflect.construct(Reflect.get(globalThis, "Float16Array") as new (list: number[]) => object, [[1.5]]);
  const { value } = keepValue(halves, "cloned");
  expect(value).toEqual(halves);
  expect(value).not.toBe(halves);
  expect(decodeRecord(encodeRecord(halves), "shared").value).toEqual(halves);
});

describe("a long list", () => {
  const long = (): unknown[] => Array.from({ length: 20_000 }, (_, index) => index);

  test.each([
    ["of elements alone", long, true],
    ["of undefined", () => long().fill(undefined), true],
    [
      "with a hole",
      () => {
        const list = long();
        Reflect.deleteProperty(list, 7);
        return list;
      },
      false,
    ],
    ["with a name", () => Object.assign(long(), { total: 1 }), false],
    ["with a symbol", () => Object.assign(long(), { [Symbol.iterator]: 1 }), false],
  ])("is dense if it has elements alone: %s", (_, make, dense) => {
    expect(isDense(make())).toBe(dense);
  });

  test("of two million numbers is copied and measured about as fast, per number, as a short one", () => {
    const numbers = Array.from({ length: 2_000_000 }, (_, index) => index);
    const short = Array.from({ length: 1_000 }, (_, index) => index);
    const costMs = (work: () => unknown): number => {
      const { user } = process.cpuUsage();
      work();
      return (process.cpuUsage().user - user) / 1_000;
    };
    const many = (work: (list: unknown[]) => unknown) =>
      costMs(() => {
        for (let run = 0; run < 2_000; run++) work(short);
      });
    for (const work of [(list: unknown[]) => keepValue(list, "frozen"), roughBytes]) {
      expect(costMs(() => work(numbers))).toBeLessThan(50 + 5 * many(work));
    }
  });
});
