import { Packr } from "msgpackr";
import fc from "fast-check";
import { expect, test } from "vitest";
import { copyValue, decodeValue, encodeValue, InvalidValueError, limits } from "../../core/index.js";

const leaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double().map((number) => (Object.is(number, -0) ? 0 : number)),
  fc.integer(),
  fc.string({ unit: "grapheme" }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 20 }),
);
const name = fc.string({ unit: "grapheme", maxLength: 8 }).filter((each) => each !== "__proto__");
const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

test("every value comes back unchanged", () => {
  fc.assert(
    fc.property(value, (each) => {
      expect(decodeValue(encodeValue(each)).value).toStrictEqual(each);
    }),
    { numRuns: 2_000 },
  );
});

test("a decoded value is frozen, and reports whether a part cannot be frozen", () => {
  const plain = decodeValue(encodeValue({ list: [{ deep: 1 }] }));
  expect(plain.hasUnfreezable).toBe(false);
  expect(() => ((plain.value as { list: { deep: number }[] }).list[0]!.deep = 2)).toThrow(TypeError);
  for (const part of [new Date(0), new Uint8Array([1])]) {
    const decoded = decodeValue(encodeValue({ parts: [part] }));
    expect(decoded.hasUnfreezable).toBe(true);
    const copy = copyValue(decoded.value) as { parts: unknown[] };
    expect(copy).toStrictEqual({ parts: [part] });
    expect(copy.parts[0]).not.toBe((decoded.value as { parts: unknown[] }).parts[0]);
    expect(Object.isFrozen(copy.parts)).toBe(true);
  }
});

test("decoded bytes do not alias the message", () => {
  const message = encodeValue(new Uint8Array([1, 2, 3]));
  const { value: bytes } = decodeValue(message);
  message.fill(0);
  expect(bytes).toStrictEqual(new Uint8Array([1, 2, 3]));
});

test("a value that cannot be stored is refused with the path of the bad part", () => {
  const cycle: { self?: unknown } = {};
  cycle.self = [cycle];
  let deep: unknown = 1;
  for (let depth = 0; depth <= limits.valueDepthMax; depth++) deep = [deep];
  const cases: readonly [unknown, string][] = [
    [undefined, ""],
    [() => 1, ""],
    [{ a: [1, Symbol("s")] }, ".a[1]"],
    [cycle, ".self[0]"],
    [2n ** 63n, ""],
    [new Map(), ""],
    [new Date(Number.NaN), ""],
    [JSON.parse('{"__proto__": 1}'), ""],
    ["\ud800", ""],
    [[undefined], "[0]"],
  ];
  for (const [bad, path] of cases) {
    expect(() => encodeValue(bad)).toThrow(InvalidValueError);
    try {
      encodeValue(bad);
    } catch (error) {
      expect((error as InvalidValueError).path).toBe(path);
    }
  }
  expect(() => encodeValue(deep)).toThrow(InvalidValueError);
});

test("an undefined property is left out, as JSON does", () => {
  expect(decodeValue(encodeValue({ a: 1, b: undefined })).value).toStrictEqual({ a: 1 });
});

test("bytes that hold anything else are refused as a whole", () => {
  const packr = new Packr({ useRecords: false, moreTypes: true });
  for (const bad of [new Set([1]), /x/, new Error("x")]) {
    expect(() => decodeValue(packr.pack({ part: bad })), String(bad)).toThrow(InvalidValueError);
  }
  expect(() => decodeValue(Buffer.from([0xc1]))).toThrow(InvalidValueError);
  expect(() => decodeValue(Buffer.from([0x92, 1]))).toThrow(InvalidValueError);
  expect(() => decodeValue(Buffer.alloc(300_000, 0x91))).toThrow(InvalidValueError);
  expect(() => decodeValue(Buffer.alloc(0))).toThrow(InvalidValueError);
});
