import fc from "fast-check";

/** Makes a new value at each call. */
export type Recipe = () => unknown;

const symbols = [Symbol("own"), Symbol.for("registered"), Symbol.iterator];
const texts = ["", "a", "length", "0", "01", "-1", "__proto__", "constructor", "toJSON", "then", "é", "😀", "\ud800", "\0"];
const text = fc.oneof(fc.constantFrom(...texts), fc.string({ unit: "binary", maxLength: 5 }));

const primitive = fc.oneof(
  fc.constantFrom(null, undefined, true, false, 0, -0, Number.NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 0.1, 5e-324),
  fc.double(),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.constantFrom(2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), 0n),
  text,
);
const date = fc.oneof(
  fc.date({ noInvalidDate: false }).map((at) => at.getTime()),
  fc.constantFrom(0, -1, 1.5, 8.64e15, -8.64e15, Number.NaN),
);
const bytes = fc.uint8Array({ maxLength: 24 });
const views = [
  (own: ArrayBuffer) => new Uint8Array(own),
  (own: ArrayBuffer) => Buffer.from(own),
  (own: ArrayBuffer) => Buffer.from(Buffer.from(own)),
  (own: ArrayBuffer) => new Uint8Array(own, own.byteLength >> 1),
  (own: ArrayBuffer) => new Uint8ClampedArray(own),
  (own: ArrayBuffer) => new Int8Array(own),
  (own: ArrayBuffer) => new Uint16Array(own, 0, own.byteLength >> 1),
  (own: ArrayBuffer) => new Int16Array(own, 0, own.byteLength >> 1),
  (own: ArrayBuffer) => new Uint32Array(own, 0, own.byteLength >> 2),
  (own: ArrayBuffer) => new Int32Array(own, 0, own.byteLength >> 2),
  (own: ArrayBuffer) => new Float32Array(own, 0, own.byteLength >> 2),
  (own: ArrayBuffer) => new Float64Array(own, 0, own.byteLength >> 3),
  (own: ArrayBuffer) => new BigInt64Array(own, 0, own.byteLength >> 3),
  (own: ArrayBuffer) => new BigUint64Array(own, 0, own.byteLength >> 3),
  (own: ArrayBuffer) => new DataView(own, own.byteLength >> 1),
  (own: ArrayBuffer) => own,
];

const { part } = fc.letrec<{ part: Recipe }>((tie) => {
  const parts = fc.array(tie("part"), { maxLength: 4 });
  const named = fc.array(fc.tuple(text, tie("part")), { maxLength: 4 });
  const made = (all: readonly Recipe[]) => all.map((each) => each());
  const put = <T extends object>(onto: T, all: readonly (readonly [PropertyKey, Recipe])[]): T => {
    for (const [name, each] of all) {
      if (Object.hasOwn(onto, name)) continue;
      Object.defineProperty(onto, name, { value: each(), enumerable: true, writable: true, configurable: true });
    }
    return onto;
  };
  return {
    part: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      primitive.map((value) => () => value),
      date.map((at) => () => new Date(at)),
      fc.tuple(bytes, fc.constantFrom(...views)).map(
        ([from, view]) =>
          () =>
            view(new Uint8Array(from).buffer),
      ),
      bytes.map((from) => () => Buffer.from(from)),
      fc.tuple(fc.constantFrom("a", "(?:)", "\\/"), fc.constantFrom("", "g", "giu"), fc.nat(5)).map(([source, flags, lastIndex]) => () => {
        return Object.assign(new RegExp(source, flags), { lastIndex });
      }),
      parts.map((all) => () => made(all)),
      named.map((all) => () => put({}, all)),
      named.map((all) => () => put(Object.create(null) as object, all)),
      named.map((all) => () => new Map(all.map(([name, each]) => [name, each()]))),
      fc.array(fc.tuple(tie("part"), tie("part")), { maxLength: 3 }).map((all) => () => new Map(all.map(([key, each]) => [key(), each()]))),
      parts.map((all) => () => new Set(made(all))),
      fc.tuple(parts, fc.constantFrom(0, 1, 3, 50_000_000)).map(([all, gap]) => () => {
        const sparse = made(all);
        if (gap > 0) sparse[sparse.length + gap] = gap;
        return sparse;
      }),
      fc.tuple(parts, named).map(
        ([all, names]) =>
          () =>
            put(made(all), names),
      ),
    ),
  };
});

/** The containers inside a value, in an order that depends on its shape alone. */
function containersOf(value: unknown): object[] {
  const found = new Set<object>();
  const look = (at: unknown): void => {
    if (typeof at !== "object" || at === null || ArrayBuffer.isView(at) || at instanceof ArrayBuffer || found.has(at)) return;
    found.add(at);
    if (at instanceof Map || at instanceof Set) for (const each of at) look(each);
    for (const name of Reflect.ownKeys(at)) look(Reflect.get(at, name));
  };
  look(value);
  return [...found].filter((each) => !(each instanceof Date) && !(each instanceof RegExp));
}

const link = fc.record({ from: fc.nat(50), to: fc.nat(50), by: fc.constantFrom("back", "0", ...texts) });

/** Values of all types that can be kept unchanged and written to a tier, with shared parts and circles. */
export const writable: fc.Arbitrary<Recipe> = fc.tuple(part, fc.array(link, { maxLength: 3 })).map(([recipe, links]) => () => {
  const value = recipe();
  const containers = containersOf(value);
  if (containers.length === 0) return value;
  for (const { from, to, by } of links) {
    const source = containers[from % containers.length] as object;
    const target = containers[to % containers.length];
    if (source instanceof Map) source.set(target, target);
    else if (source instanceof Set) source.add(target);
    else if (by !== "length" && !Object.hasOwn(source, by)) {
      Object.defineProperty(source, by, { value: target, enumerable: true, writable: true, configurable: true });
    }
  }
  return value;
});

/** Values with symbols or with properties that are not enumerable. No folder and no bucket can hold them. */
export const unwritable: fc.Arbitrary<Recipe> = fc
  .tuple(writable, fc.constantFrom(...symbols), fc.constantFrom("named", "value", "hidden", "map"))
  .map(([recipe, symbol, how]) => () => {
    const value = recipe();
    if (how === "value") return { value, symbol };
    if (how === "map") return new Map<unknown, unknown>([[symbol, value]]);
    if (how === "hidden") return [Object.defineProperty({}, "hidden", { value, writable: true, configurable: true })];
    return [{ [symbol]: value, also: 1 }];
  });

/** Throws unless `one` equals `other`: types, contents, order of properties, holes, and which parts are identical. */
export function expectSame(one: unknown, other: unknown): void {
  const pairs = new Map<object, object>();
  const compare = (a: unknown, b: unknown, path: string): void => {
    const check = (isSame: boolean, what: string) => {
      if (!isSame) throw new Error(`${path} has another ${what}`);
    };
    if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) {
      check(Object.is(a, b), `value: ${show(a)}, ${show(b)}`);
      return;
    }
    const known = pairs.get(a);
    if (known !== undefined) {
      check(known === b, "part that stands elsewhere");
      return;
    }
    pairs.set(a, b);
    check(Object.getPrototypeOf(a) === Object.getPrototypeOf(b), "prototype");
    if (ArrayBuffer.isView(a)) {
      const [mine, theirs] = [a, b as ArrayBufferView].map((view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength));
      check(mine?.equals(theirs ?? Buffer.alloc(0)) === true, "content");
      return;
    }
    if (a instanceof ArrayBuffer) check(Buffer.from(a).equals(Buffer.from(b as ArrayBuffer)), "content");
    if (a instanceof Date) check(Object.is(a.getTime(), (b as Date).getTime()), "time");
    if (a instanceof RegExp) check(String(a) === String(b), "source");
    if (a instanceof Map || a instanceof Set) {
      const [parts, others] = [partsOf(a), partsOf(b as typeof a)];
      check(parts.length === others.length, "size");
      for (const [index, each] of parts.entries()) compare(each, others[index], `${path}{${index}}`);
    }
    if (Array.isArray(a)) check(a.length === (b as unknown[]).length, "length");
    const [names, theirs] = [Reflect.ownKeys(a), Reflect.ownKeys(b)];
    check(names.length === theirs.length && names.every((name, index) => name === theirs[index]), "list of properties");
    for (const name of names) {
      const [mine, other] = [a, b].map((each) => Object.getOwnPropertyDescriptor(each, name) ?? {});
      check(mine?.enumerable === other?.enumerable, `visibility of ${String(name)}`);
      compare(mine?.value, other?.value, `${path}.${String(name)}`);
    }
  };
  compare(one, other, "value");
  if (new Set(pairs.values()).size !== pairs.size) throw new Error("two parts of one are the same part of the other");
}

/** Items of a set, or keys and values of a map, alternating. */
export function partsOf(all: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>): readonly unknown[] {
  return all instanceof Map ? [...all].flat(1) : [...all];
}

function show(value: unknown): string {
  return Object.is(value, -0) ? "-0" : typeof value === "object" ? "an object" : `${typeof value} ${String(value)}`;
}
