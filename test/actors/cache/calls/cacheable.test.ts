import { describe, expect, expectTypeOf, test } from "vitest";
import { type Cached, InvalidKeyArgumentError, InvalidTagError } from "../../../../cache.js";
import { type Duration, InvalidOptionError } from "../../../../core/index.js";
import { openCache } from "../open.js";

describe("a cached function", () => {
  test("is computed once for equal arguments, with their properties in any order", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const find = cache.cacheable(async (by: object) => ({ by: JSON.stringify(by), number: ++computed }), { name: "find" });
    const first = await find({ a: 1, b: new Map([["x", 1n]]) });
    expect(await find({ b: new Map([["x", 1n]]), a: 1 })).toBe(first);
    expect(await find({ a: 2 })).toMatchObject({ number: 2 });
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 2, entries: 2 });
  });

  test("stays synchronous if its function is, and returns a promise otherwise", async () => {
    const { cache } = await openCache();
    const double = cache.cacheable((x: number) => ({ twice: 2 * x }), { name: "double" });
    expect(double(2)).toEqual({ twice: 4 });
    expect(double(2)).toBe(double(2));
    const later = cache.cacheable((x: number) => Promise.resolve(x), { name: "later" });
    expect(later(1)).toBeInstanceOf(Promise);
    await later(1);
    expect(later(1)).toBe(later(1));
  });

  test("distinguishes arguments that a Map does not, and a text from arguments whose encoding it equals", async () => {
    const { cache } = await openCache();
    const calls: unknown[][] = [];
    const find = cache.cacheable((...args: unknown[]) => calls.push(args), { name: "find" });
    const different = [
      [0],
      [-0],
      [Number.NaN],
      ["0"],
      [0n],
      [null],
      [undefined],
      [],
      ["a"],
      ["a", 1],
      ['\0"a",1'],
      ["\0"],
      [["a"]],
      [true],
    ];
    const first = different.map((args) => find(...args));
    expect(new Set(first).size).toBe(different.length);
    for (let round = 0; round < 3; round++) expect(different.map((args) => find(...args))).toEqual(first);
    expect(calls).toHaveLength(different.length);
  });

  test("finds each of many more results than it remembers keys for", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const find = cache.cacheable((id: string) => `${id} ${++computed}`, { name: "find" });
    const ids = Array.from({ length: 25_000 }, (_, index) => `id/${index}`);
    const first = ids.map((id) => find(id));
    expect(ids.map((id) => find(id))).toEqual(first);
    await cache.clear();
    expect(find("id/0")).toBe("id/0 25001");
    expect(find("id/24999")).toBe("id/24999 25002");
  });

  test("returns a promise exactly for the results that were promises, when its function returns both kinds", async () => {
    const { cache } = await openCache();
    const either = cache.cacheable((id: string): unknown => (id === "later" ? Promise.resolve(id) : id), { name: "either" });
    expect(await either("later")).toBe("later");
    expect(either("now")).toBe("now");
    expect(either("later")).toBeInstanceOf(Promise);
    expect(either("later")).toBe(either("later"));
    expect(either("now")).toBe("now");
  });

  test("keeps its type, name, length and this", async () => {
    const { cache } = await openCache();
    async function load(this: { readonly base: number }, id: number): Promise<number> {
      return this.base + id;
    }
    const cached = cache.cacheable(load);
    expectTypeOf(cached).toEqualTypeOf<Cached<typeof load>>();
    expect([cached.name, cached.length]).toEqual(["load", 1]);
    expect(await cached.call({ base: 10 }, 1)).toBe(11);
  });

  test("has no `this` parameter when its function has none, however its parameters are typed", async () => {
    const { cache } = await openCache();
    const byDefault = cache.cacheable(async (id: string, count = 1) => id.repeat(count), {
      name: "by-default",
      ttl: (text) => text.length,
    });
    expectTypeOf(byDefault).thisParameter.toBeUnknown();
    expect([await byDefault("a"), await byDefault("a", 2)]).toEqual(["a", "aa"]);
    const expression = cache.cacheable(
      function twice(n: number) {
        return n * 2;
      },
      { deps: "numbers" },
    );
    expect(expression(2)).toBe(4);
    class Doubles {
      readonly factor = 2;
      @cache.cacheable({ name: "of" })
      of(this: Doubles, n: number): number {
        return n * this.factor;
      }
    }
    expect(new Doubles().of(4)).toBe(8);
  });

  test("is a standard decorator of methods, bare or with options", async () => {
    const { cache } = await openCache();
    let computed = 0;
    class Cities {
      @cache.cacheable({ deps: ["cities"], ttl: "5m" })
      async population(country: string): Promise<string> {
        computed++;
        return `people of ${country}`;
      }
      @cache.cacheable
      count(): number {
        return ++computed;
      }
    }
    const cities = new Cities();
    expect(await cities.population("DE")).toBe("people of DE");
    expect(await cities.population("DE")).toBe("people of DE");
    expect(computed).toBe(1);
    expect([cities.count(), cities.count()]).toEqual([2, 2]);
    await cache.invalidate("cities");
    await cities.population("DE");
    expect(computed).toBe(3);
  });

  test("returns the key of a call, invalidates it and computes it anew", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const load = cache.cacheable(async (id: string) => `${id} ${++computed}`, { name: "load", namespace: "city", version: 2 });
    expect(load.key("DE")).toBe('city/load@2("DE")');
    expect(await load("DE")).toBe("DE 1");
    expect(await load.refresh("DE")).toBe("DE 2");
    expect(await load("DE")).toBe("DE 2");
    await load.invalidate("DE");
    expect(await load("DE")).toBe("DE 3");
  });

  test("has the given key; another name or version has another key", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const byKey = cache.cacheable(async (_: () => void, id: string) => `${id} ${++computed}`, { name: "by-key", key: (_, id) => id });
    expect(await byKey(() => undefined, "a")).toBe(await byKey(() => undefined, "a"));
    const second = cache.cacheable(async (id: string) => `${id} ${++computed}`, { name: "by-key", version: 2 });
    expect(await second("a")).toBe("a 2");
  });

  test("refuses invalid keys, unknown options, and invalid tags", async () => {
    const { cache } = await openCache();
    const f = cache.cacheable((_: unknown) => 1, { name: "f" });
    expect(() => f(Symbol("x"))).toThrow(InvalidKeyArgumentError);
    expect(() => cache.cacheable((x: number) => x, { name: "g", deps: ["a b"] })).toThrow(InvalidTagError);
    expect(() => cache.cacheable((x: number) => x, { name: "g", tll: 5 } as never)).toThrow(InvalidOptionError);
    expect(() => cache.cacheable((x: number) => x)(1)).toThrow("has none");
  });

  describe("with the name of another one", () => {
    const refused = "is that of another cached function";
    class Repository {
      readonly table: string;
      constructor(table: string) {
        this.table = table;
      }
      all(): string {
        return this.table;
      }
    }
    const loaderOf = (table: string) =>
      function load(id: number): string {
        return `${table} ${id}`;
      };

    test("is refused when it is wrapped: a bound method, a function of a factory, another source text", async () => {
      const { cache } = await openCache();
      const [users, posts] = [new Repository("users"), new Repository("posts")];
      cache.cacheable(users.all.bind(users));
      expect(() => cache.cacheable(posts.all.bind(posts))).toThrow(refused);
      cache.cacheable(loaderOf("users"));
      expect(() => cache.cacheable(loaderOf("posts"))).toThrow(refused);
      expect(() => cache.cacheable(loaderOf("posts"), { name: "load" })).toThrow(refused);
      cache.cacheable((x: number) => x, { name: "f" });
      expect(() => cache.cacheable((x: number) => x + 1, { name: "f" })).toThrow(refused);
      cache.cacheable(users.all.bind(users), { name: "all" });
      expect(() => cache.cacheable(posts.all.bind(posts), { name: "all" })).toThrow(refused);
      expect(() => cache.cacheable(posts.all.bind(posts))).toThrow(InvalidOptionError);
    });

    test("is refused when a class is defined whose method has the name of another class's method", async () => {
      const { cache } = await openCache();
      const { cacheable } = cache;
      class Users {
        @cacheable
        findAll(): string {
          return "users";
        }
      }
      expect(new Users().findAll()).toBe("users");
      expect(() => {
        class Posts {
          @cacheable
          findAll(): string {
            return "users";
          }
        }
        return Posts;
      }).toThrow(refused);
      class Named {
        @cacheable({ namespace: "posts" })
        findAll(): string {
          return "posts";
        }
      }
      expect([new Named().findAll(), new Users().findAll()]).toEqual(["posts", "users"]);
    });

    test("is accepted with a name, a namespace or a version of its own", async () => {
      const { cache } = await openCache();
      const wrap = (table: string, options: { name?: string; namespace?: string; version?: number }) =>
        cache.cacheable(loaderOf(table), options);
      const all = [wrap("a", {}), wrap("b", { name: "b" }), wrap("c", { namespace: "c" }), wrap("d", { version: 2 })];
      expect(all.map((load) => load(1))).toEqual(["a 1", "b 1", "c 1", "d 1"]);
    });

    test("is the same cached function if it is the same function, or if both have that explicit name", async () => {
      const { cache } = await openCache();
      const load = loaderOf("a");
      expect([cache.cacheable(load)(1), cache.cacheable(load, { ttl: 5 })(1)]).toEqual(["a 1", "a 1"]);
      let runs = 0;
      const inRequest = (id: number) => cache.cacheable(async () => `${id} ${++runs}`, { name: "in request", key: () => id });
      expect([await inRequest(1)(), await inRequest(2)(), await inRequest(1)()]).toEqual(["1 1", "2 2", "1 1"]);
    });

    test("is refused in the same cache, and accepted in another one", async () => {
      const caches = [(await openCache()).cache, (await openCache()).cache];
      const loads = caches.map(({ cacheable }, index) => cacheable(loaderOf(`table ${index}`)));
      expect(loads.map((load) => load(1))).toEqual(["table 0 1", "table 1 1"]);
      for (const { cacheable } of caches) expect(() => cacheable(loaderOf("another"))).toThrow("`replace: true`");
    });

    test("replaces the other one with `replace`: calls of the other fail, and its kept results stay", async () => {
      const { cache } = await openCache();
      const before = cache.cacheable(loaderOf("before"));
      expect(before(1)).toBe("before 1");
      const after = cache.cacheable(loaderOf("after"), { replace: true });
      expect([after(2), after(1)]).toEqual(["after 2", "before 1"]);
      for (const call of [() => before(1), () => before.key(1), () => before.invalidate(1), () => before.refresh(1)])
        expect(call).toThrow(InvalidOptionError);
      expect(() => before(3)).toThrow("which replaced this one: load");
      expect(() => cache.cacheable(loaderOf("third"))).toThrow(refused);
    });

    test("is refused before the module's cache is configured", async () => {
      const { cacheable } = await import("../../../../cache.js");
      cacheable(loaderOf("early"), { namespace: "early" });
      expect(() => cacheable(loaderOf("late"), { namespace: "early" })).toThrow(refused);
    });
  });

  test("accepts the arguments of each overload for its keys", async () => {
    const { cache } = await openCache();
    function find(id: number): string;
    function find(name: string, isExact: boolean): string;
    function find(...args: readonly unknown[]): string {
      return args.join(" ");
    }
    const found = cache.cacheable(find);
    expect([found.key(1), found.key("a", true)]).toEqual(["find(1)", 'find("a",true)']);
    await found.invalidate(1);
    // @ts-expect-error A second argument belongs to the other overload.
    found.key(1, true);
  });

  test.each([
    [{ name: "" }, "has none"],
    [{ name: 5 }, "name is not a string"],
    [{ version: {} }, "version is not a string"],
    [{ namespace: 5 }, "namespace is not a string"],
    [{ key: "id" }, "key is not a function"],
    [{ condition: true }, "condition is not a function"],
    [{ signal: AbortSignal.abort() }, "signal is not a function"],
    [{ readExtendTtl: "no" }, "readExtendTtl is"],
    [{ cacheErrors: 1 }, "cacheErrors is"],
    [{ replace: "yes" }, "replace is"],
    [{ ttl: 86_400_000 }, "milliseconds"],
    [{ staleIfError: null }, "staleIfError is null"],
    ["f", "options is not an object"],
    [null, "options is not an object"],
  ])("refuses %j where the function is wrapped, and says what is wrong", async (options, says) => {
    const { cache } = await openCache();
    const own = typeof options === "object" && options !== null ? { name: "f", ...options } : options;
    const wrap = () => cache.cacheable((x: number) => x, own as never);
    expect(wrap).toThrow(InvalidOptionError);
    expect(wrap).toThrow(says);
  });

  test("refuses a generator, whose result can be read only once, and arguments of other kinds of decorators", async () => {
    const { cache } = await openCache();
    expect(() =>
      cache.cacheable(function* numbers() {
        yield 1;
      }),
    ).toThrow("is numbers, a generator");
    const legacy = [Object.prototype, "method", { value: () => 1 }] as const;
    const { cacheable } = cache as unknown as {
      readonly cacheable: (...args: readonly unknown[]) => (...args: readonly unknown[]) => unknown;
    };
    expect(() => cacheable(...legacy)).toThrow("experimentalDecorators");
    expect(() => cacheable({ name: "f" })(...legacy)).toThrow("experimentalDecorators");
    expect(() => cacheable("f")).toThrow(InvalidOptionError);
  });

  test("accepts one tag in place of a list, and refuses anything else", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const f = cache.cacheable((id: string) => `${id} ${++computed}`, { name: "f", deps: (id) => `city:${id}` });
    expect([f("a"), f("a")]).toEqual(["a 1", "a 1"]);
    await cache.invalidate("city:a");
    expect(f("a")).toBe("a 2");
    await cache.set("k", 1, { tags: "city" });
    await cache.invalidate(["city"]);
    expect(await cache.get("k")).toBe(undefined);
    for (const wrong of [undefined, 5, null, new Set(["a"]), [5]]) {
      await expect(cache.invalidate(wrong as never)).rejects.toThrow(InvalidTagError);
      expect(() => cache.cacheable((x: number) => x, { name: "g", deps: () => wrong as never })(1)).toThrow(InvalidTagError);
    }
  });

  test("refuses unknown options of `set` and `getOrSet`, since a misspelled `tags` would never make the entry stale", async () => {
    const { cache } = await openCache();
    await expect(cache.set("k", 1, { tag: ["a"] } as never)).rejects.toThrow("tag is not known");
    await expect(cache.getOrSet("k", () => 1, { tag: ["a"] } as never)).rejects.toThrow("tag is not known");
    await expect(cache.getOrSet("k", 1 as never)).rejects.toThrow("compute is not a function");
  });

  test("gives results that no caller can change: frozen, or a copy for each caller", async () => {
    const frozen = (await openCache()).cache;
    const listed = await frozen.cacheable(async () => ({ names: ["a"] }), { name: "list" })();
    expect(() => listed.names.push("b")).toThrow(TypeError);
    const cloned = (await openCache({ values: "cloned" })).cache;
    const list = cloned.cacheable(async () => ({ names: ["a"] }), { name: "list" });
    (await list()).names.push("b");
    const [one, other] = await Promise.all([list(), list()]);
    expect(one).toEqual({ names: ["a"] });
    expect(one).not.toBe(other);
    const shared = (await openCache({ values: "shared" })).cache;
    const share = shared.cacheable(async () => ({ names: ["a"] }), { name: "list" });
    (await share()).names.push("b");
    expect((await share()).names).toEqual(["a", "b"]);
  });

  test("keeps each result for its own `ttl`, or for the default when `ttl` returns undefined", async () => {
    const { cache, clock } = await openCache({ defaultTtl: 10, readExtendTtl: false });
    let computed = 0;
    const ttls: Record<string, Duration | undefined> = { short: "2s", none: 0, default: undefined, nonsense: "soon" };
    const named = cache.cacheable(async (name: string) => (computed++, name), { name: "named", ttl: (result) => ttls[result] });
    const computes = async (name: string) => {
      const before = computed;
      expect(await named(name)).toBe(name);
      return computed - before;
    };
    for (const name of Object.keys(ttls)) expect(await computes(name), name).toBe(1);
    expect([await computes("short"), await computes("none"), await computes("default"), await computes("nonsense")]).toEqual([0, 1, 0, 1]);
    await clock.advance(3_000);
    expect([await computes("short"), await computes("default")]).toEqual([1, 0]);
    await clock.advance(8_000);
    expect(await computes("default")).toBe(1);
  });

  test("keeps only results that satisfy `condition`, and errors only with `cacheErrors`", async () => {
    const { cache } = await openCache();
    let computed = 0;
    const even = cache.cacheable(async (x: number) => (computed++, x), { name: "even", condition: (result) => result % 2 === 0 });
    for (const x of [1, 1, 2, 2]) await even(x);
    expect(computed).toBe(3);
    const fail = async (): Promise<never> => {
      throw new Error(`failure ${++computed}`);
    };
    const failing = cache.cacheable(fail, { name: "failing" });
    await expect(failing()).rejects.toThrow("failure 4");
    await expect(failing()).rejects.toThrow("failure 5");
    const failed = cache.cacheable(fail, { name: "failed", cacheErrors: true, deps: ["all"] });
    await expect(failed()).rejects.toThrow("failure 6");
    await expect(failed()).rejects.toThrow("failure 6");
    await cache.invalidate("all");
    await expect(failed()).rejects.toThrow("failure 7");
    const thrown = cache.cacheable(
      () => {
        throw new Error(`failure ${++computed}`);
      },
      { name: "thrown", cacheErrors: true },
    );
    expect(() => thrown()).toThrow("failure 8");
    expect(() => thrown()).toThrow("failure 8");
  });
});

test("a condition that throws, or a value that cannot be traversed, does not disturb the caller", async () => {
  const { cache } = await openCache();
  let computed = 0;
  const condition = () => {
    throw new Error("no idea");
  };
  const load = cache.cacheable(async () => ++computed, { name: "load", condition });
  expect([await load(), await load()]).toEqual([1, 2]);
  const odd = cache.cacheable(
    async () => ({
      get value(): number {
        throw new Error("not now");
      },
    }),
    { name: "odd" },
  );
  expect(Object.keys(await odd())).toEqual(["value"]);
});

describe("time to live", () => {
  test("ends a result, and each read extends it unless readExtendTtl is off", async () => {
    const { cache, clock } = await openCache({ defaultTtl: 10 });
    let computed = 0;
    const sliding = cache.cacheable(() => ++computed, { name: "sliding" });
    const fixed = cache.cacheable(() => ++computed, { name: "fixed", readExtendTtl: false, ttl: "8s" });
    expect([sliding(), fixed()]).toEqual([1, 2]);
    await clock.advance(6_000);
    expect([sliding(), fixed()]).toEqual([1, 2]);
    await clock.advance(6_000);
    expect([sliding(), fixed()]).toEqual([1, 3]);
    await clock.advance(10_100);
    expect(sliding()).toBe(4);
  });

  test("staleIfError gives the last result for its duration when the function fails, and does not keep it anew", async () => {
    const { cache, clock } = await openCache();
    let answer = (): Promise<string> => Promise.resolve("good");
    const load = cache.cacheable(() => answer(), { name: "load", deps: ["a"], staleIfError: 60 });
    expect(await load()).toBe("good");
    await cache.invalidate("a");
    answer = () => Promise.reject(new Error("down"));
    expect(await load()).toBe("good");
    const outer = cache.cacheable(async () => `outer ${await load()}`, { name: "outer" });
    expect(await outer()).toBe("outer good");
    answer = () => Promise.resolve("better");
    expect(await outer()).toBe("outer better");
    await cache.invalidate("a");
    answer = () => Promise.reject(new Error("down"));
    expect(await load()).toBe("better");
    await clock.advance(61_000);
    await expect(load()).rejects.toThrow("down");
  });
});
