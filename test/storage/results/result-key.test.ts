import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { argumentsKey, argumentsText, keyTag, resultKey, scopeText } from "../../../storage/results/result-key.js";
import { asTag, InvalidKeyArgumentError, limits } from "../../../core/index.js";

const awkward = [
  "",
  "a",
  "1",
  "0",
  "\0",
  "\0a",
  '"',
  "\\",
  ",",
  "[",
  "]",
  "{",
  "}",
  ":",
  "#",
  "null",
  "undefined",
  "hole",
  "é",
  "\ud800",
  "1n",
];
const text = fc.oneof(fc.constantFrom(...awkward), fc.string({ maxLength: 3, unit: fc.constantFrom(...awkward) }));
const primitive = fc.oneof(
  text,
  fc.constantFrom<unknown>(0, -0, 1, -1, Number.NaN, Infinity, -Infinity, 1e21, 0.1, null, undefined, true, false, 0n, 1n, -1n, 2n ** 70n),
);

/** Any argument, of a few kinds and parts, so that equal ones occur. */
const { argument } = fc.letrec<{ argument: unknown }>((tie) => ({
  argument: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    { weight: 4, arbitrary: primitive },
    fc.constantFrom<unknown>(0, 1, Number.NaN).map((ms) => new Date(ms as number)),
    fc.tuple(fc.constantFrom(Uint8Array, Int8Array, Uint16Array, BigUint64Array), fc.nat(2)).map(([array, length]) => new array(length)),
    fc.uint8Array({ maxLength: 2 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie("argument"), { maxLength: 3 }),
    fc.constantFrom(0, 1, 2).map((length) => new Array(length)),
    fc.dictionary(text, tie("argument"), { maxKeys: 3 }),
    fc.array(fc.tuple(tie("argument"), tie("argument")), { maxLength: 3 }).map((entries) => new Map(entries)),
    fc.array(tie("argument"), { maxLength: 3 }).map((parts) => new Set(parts)),
  ),
}));
const argumentList = fc.array(argument, { maxLength: 3 });

/** Whether two arguments are equal, written to be simple: parts without an order are searched one by one. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return Object.is(a, b);
  // An object without a prototype counts as plain.
  if ((Object.getPrototypeOf(a) ?? Object.prototype) !== (Object.getPrototypeOf(b) ?? Object.prototype)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (ArrayBuffer.isView(a)) {
    return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(
      Buffer.from((b as Uint8Array).buffer, (b as Uint8Array).byteOffset, (b as Uint8Array).byteLength),
    );
  }
  if (a instanceof Map) return isSameInAnyOrder([...a], [...(b as Map<unknown, unknown>)]);
  if (a instanceof Set) return isSameInAnyOrder([...a], [...(b as Set<unknown>)]);
  if (Array.isArray(a)) {
    const other = b as unknown[];
    return a.length === other.length && [...a.keys()].every((index) => index in a === index in other && isSame(a[index], other[index]));
  }
  return isSameInAnyOrder(Object.entries(a), Object.entries(b));
}

function isSameInAnyOrder(a: readonly unknown[], b: readonly unknown[]): boolean {
  const left = [...b];
  return (
    a.length === b.length &&
    a.every((part) => {
      const at = left.findIndex((other) => isSame(part, other));
      if (at !== -1) left.splice(at, 1);
      return at !== -1;
    })
  );
}

/** A copy in which everything without an order has the opposite order. */
function turned(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return structuredCloneOf(value);
  if (value instanceof Map) return new Map([...value].reverse().map(([key, part]) => [turned(key), turned(part)] as const));
  if (value instanceof Set) return new Set([...value].reverse().map(turned));
  if (Array.isArray(value)) return value.map(turned);
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, part]) => [name, turned(part)]),
  );
}

function structuredCloneOf(bytes: ArrayBufferView): unknown {
  return Buffer.isBuffer(bytes) ? Buffer.from(bytes) : structuredClone(bytes);
}

describe("the key of a call", () => {
  test("is equal for equal arguments, and for no others", () => {
    let equal = 0;
    fc.assert(
      fc.property(argumentList, argumentList, (a, b) => {
        const isEqual = isSame(a, b);
        if (isEqual) equal++;
        // Compared as in a Map: NaN equals NaN.
        expect(new Set([argumentsKey(a), argumentsKey(b)]).size).toBe(isEqual ? 1 : 2);
        expect(resultKey("f", argumentsKey(a)) === resultKey("f", argumentsKey(b))).toBe(isEqual);
      }),
      { numRuns: 10_000 },
    );
    expect(equal).toBeGreaterThan(100);
  });

  test("does not change with the order of properties, entries and members", () => {
    fc.assert(
      fc.property(argumentList, (args) => {
        // A dictionary may have a property __proto__, which a copy by entries keeps as well.
        expect(argumentsKey(args.map(turned))).toBe(argumentsKey(args));
      }),
      { numRuns: 10_000 },
    );
  });

  test("is the argument itself when it is one primitive, and -0 and 0 have different keys", () => {
    for (const only of ["x", "", 1, 0, Number.NaN, true, 7n, null, undefined]) expect(argumentsKey([only])).toBe(only);
    expect(argumentsKey([-0])).not.toBe(0);
    expect(argumentsKey([])).not.toBe(argumentsKey([undefined]));
    expect(argumentsKey(["\0"])).not.toBe(argumentsKey([]));
    expect(argumentsKey([new Array(1)])).not.toBe(argumentsKey([[undefined]]));
  });

  test("reads like the call", () => {
    const scope = scopeText({ namespace: "shop", name: "city", version: 2 });
    expect(resultKey(scope, argumentsKey(["DE"]))).toBe('shop/city@2("DE")');
    expect(resultKey("f", argumentsKey([{ b: [1n, -0], a: new Set(["y", "x"]) }, new Date(0)]))).toBe(
      'f({"a":Set{"x","y"},"b":[1n,-0]},Date(0))',
    );
    expect(argumentsText(argumentsKey([new Map([[1, undefined]]), Buffer.from("a")]))).toBe("Map{1:undefined},Buffer(YQ==)");
  });

  test("is short for arguments of any length", () => {
    const long = (end: string) => resultKey("f", argumentsKey(["x".repeat(100_000) + end]));
    expect(long("a")).not.toBe(long("b"));
    expect(long("a").length).toBeLessThan(100);
  });

  test.each([
    ["a function", [{ at: [() => 1] }], "0.at[0]", "is a function"],
    ["a symbol", [1, Symbol("x")], "1", "is a symbol"],
    ["an instance", [new URL("http://localhost")], "0", "is an instance of URL, not a plain object"],
    ["a class that extends Map", [new (class Own extends Map {})()], "0", "is an instance of Own, not a plain object"],
    ["an object that only looks like a Map", [Object.create(Map.prototype)], "0", "is an instance of Map, not a plain object"],
    ["an object that only looks like a Date", [Object.create(Date.prototype)], "0", "is an instance of Date, not a plain object"],
    ["a property named by a symbol", [{ [Symbol("x")]: 1 }], "0", "has a property named by a symbol"],
    ["a function in a Map", [new Map([[{ f: () => 1 }, 1]])], "0[0].f", "is a function"],
    ["a text too long", ["x", "y".repeat(limits.cacheKeyLengthMax)], "1", /^makes the key longer than/],
    ["bytes too long", [[new Uint8Array(limits.cacheKeyLengthMax)]], "0[0]", /^makes the key longer than/],
  ])("cannot be made of %s, and the error gives its path", (_, args, path, reason) => {
    const facts = factsOf(() => argumentsKey(args));
    expect(facts.path).toBe(path);
    expect(facts.reason).toMatch(reason);
  });

  test("cannot be made of cycles, nor of values whose text would be too long", () => {
    const cycle: unknown[] = [];
    cycle.push({ again: cycle });
    expect(factsOf(() => argumentsKey([cycle]))).toStrictEqual({ path: "0[0].again", reason: "is a cycle" });
    let deep: unknown = 1;
    for (let level = 0; level <= limits.valueDepthMax; level++) deep = [deep];
    expect(factsOf(() => argumentsKey([deep])).reason).toMatch(/^is nested deeper than/);
    let wide: unknown = 1;
    for (let level = 0; level < 60; level++) wide = [wide, wide];
    expect(factsOf(() => argumentsKey([wide])).reason).toMatch(/^makes the key longer than/);
    const twice = { a: 1 };
    expect(argumentsKey([twice, twice])).toBe(argumentsKey([{ a: 1 }, { a: 1 }]));
  });
});

test("the keys of two functions are never equal, for any names", () => {
  const part = fc.string({ maxLength: 3, unit: fc.constantFrom("a", "/", "@", "(", ")", '"', "1") });
  const scope = fc.record({ name: part, namespace: fc.option(part, { nil: undefined }), version: fc.option(part, { nil: undefined }) });
  const textOf = ({ name, namespace, version }: { name: string; namespace: string | undefined; version: string | undefined }) =>
    scopeText({ name, ...(namespace === undefined ? {} : { namespace }), ...(version === undefined ? {} : { version }) });
  fc.assert(
    fc.property(fc.tuple(scope, part), fc.tuple(scope, part), (a, b) => {
      const key = ([of, argument]: typeof a) => resultKey(textOf(of), argumentsKey([argument]));
      expect(key(a) === key(b)).toBe(isSame(a, b));
    }),
    { numRuns: 3_000 },
  );
});

test("each key has a tag of its own, two levels deep", () => {
  const key = fc.oneof(
    fc.string({ maxLength: 4, unit: fc.constantFrom("a", "1", "_", ".", ":", "1d", "é", "\ud800", "\0") }),
    fc.string({ minLength: 50, maxLength: 300, unit: fc.constantFrom("a", ":") }),
  );
  fc.assert(
    fc.property(key, key, (a, b) => {
      expect(asTag(keyTag(a)).split(":")).toHaveLength(2);
      expect(keyTag(a) === keyTag(b)).toBe(a === b);
    }),
    { numRuns: 3_000 },
  );
});

function factsOf(make: () => unknown): InvalidKeyArgumentError["facts"] {
  try {
    make();
  } catch (error) {
    if (error instanceof InvalidKeyArgumentError) return error.facts;
    throw error;
  }
  throw new Error("a key was made");
}

test.skipIf(!("Float16Array" in globalThis))("an array of half-precision numbers is part of a key, like any typed array", () => {
  const halves = (list: readonly number[]): unknown =>
    Reflect.construct(Reflect.get(globalThis, "Float16Array") as new (list: readonly number[]) => object, [list]);
  const keys = [[halves([1.5])], [halves([1.5, 2])], [new Float32Array([1.5])]].map((args) => resultKey("f", argumentsKey(args)));
  expect(new Set(keys).size).toBe(3);
  expect(resultKey("f", argumentsKey([halves([1.5])]))).toBe(keys[0]);
});
