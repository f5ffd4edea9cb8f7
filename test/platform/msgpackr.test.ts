import { Packr } from "msgpackr";
import { expect, test } from "vitest";

const packr = new Packr({ useRecords: false, variableMapSize: true });

test("objects are maps of the shortest form with variableMapSize, take two bytes more without it, and are records by default", () => {
  expect(packr.pack({ a: 1 })[0]).toBe(0x81);
  expect(new Packr({ useRecords: false }).pack({ a: 1 })[0]).toBe(0xde);
  expect([...new Packr().pack({ a: 1 }).subarray(0, 2)]).toEqual([0xd4, 0x72]);
});

test("decoded bytes are a view of the message", () => {
  const packed = packr.pack(Uint8Array.of(1, 2, 3));
  const unpacked = packr.unpack(packed) as Uint8Array;
  packed[packed.length - 1] = 9;
  expect([...unpacked]).toEqual([1, 2, 9]);
});

test("-0 becomes 0, half a surrogate pair becomes a replacement character, and an invalid Date is an extension of one byte", () => {
  expect(packr.unpack(packr.pack(-0))).toBe(0);
  expect(packr.unpack(packr.pack("\ud800"))).toBe("\ufffd".repeat(3));
  expect([...packr.pack(new Date(Number.NaN))]).toEqual([0xd4, 0xff, 0xff]);
});

test("undefined is an extension of its own, as a property too", () => {
  expect([...packr.pack(undefined)]).toEqual([0xd4, 0x00, 0x00]);
  expect(packr.unpack(packr.pack({ a: undefined }))).toStrictEqual({ a: undefined });
});

test("bigints take 64 bits and come back as bigints, and whole numbers above 32 bits come back as numbers", () => {
  expect(packr.unpack(packr.pack(5n))).toBe(5n);
  expect(packr.unpack(packr.pack(2 ** 53))).toBe(2 ** 53);
});

test("a decoder creates the class that bytes name: a record, a regular expression, a class of its own", () => {
  const record = Buffer.from([0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01]);
  expect(packr.unpack(record)).toEqual({ a: 1 });
  const expression = new Packr({ moreTypes: true }).pack(/a/);
  expect(packr.unpack(expression)).toBeInstanceOf(RegExp);
  expect(packr.unpack(Buffer.from([0xc1]))).toMatchObject({ name: "MessagePack 0xC1" });
});

test("the name `__proto__` is changed while it is read", () => {
  const bytes = Buffer.from([0x81, 0xa9, ...Buffer.from("__proto__"), 0x01]);
  expect(Object.keys(packr.unpack(bytes) as object)).toEqual(["__proto_"]);
});

test("bytes after the end of a value are an error whose text contains the decoded data", () => {
  expect(() => packr.unpack(Buffer.concat([packr.pack("secret"), packr.pack(1)]))).toThrow(/end of buffer not reached.*secret/s);
});

test("a large value leaves a block of four times its size, which later packed values share", () => {
  const large = new Packr({ useRecords: false }).pack(Buffer.alloc(3_000_000));
  expect(large.buffer.byteLength).toBeGreaterThan(4 * 3_000_000);
  // A Packr that has never packed the large value.
  const small = packr.pack("small");
  expect(small.buffer).toBe(large.buffer);
});
