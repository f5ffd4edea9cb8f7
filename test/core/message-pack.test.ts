/** Bytes that a decoder would expand to something much larger: they are refused before anything is decoded. */
import { Packr } from "msgpackr";
import { expect, test } from "vitest";
import {
  decodeMessage,
  decodeValue,
  encodeMessage,
  errorFromWire,
  InternalError,
  InvalidValueError,
  limits,
  MalformedMessageError,
} from "../../core/index.js";

const bytes = (...parts: (number | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "number" ? Buffer.from([part]) : part)));

/** References to one array, doubled at each level: 2^60 arrays in a few hundred bytes. */
function bomb(): Buffer {
  let doubled: unknown = [1];
  for (let level = 0; level < 60; level++) doubled = [doubled, doubled];
  return new Packr({ structuredClone: true, useRecords: false }).pack(doubled);
}

const bad: readonly (readonly [string, Buffer])[] = [
  ["nothing", bytes()],
  ["references that double at each level", bomb()],
  ["an array longer than the message", bytes(0xdd, 0xff, 0xff, 0xff, 0xff)],
  ["a map longer than the message", bytes(0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 0x61)],
  ["text longer than the message", bytes(0xdb, 0xff, 0xff, 0xff, 0xff)],
  ["bytes longer than the message", bytes(0x91, 0xc6, 0xff, 0xff, 0xff, 0xff)],
  ["half a length", bytes(0xda, 0)],
  ["half a number", bytes(0xcb, 0, 0)],
  ["arrays nested a million times", Buffer.alloc(1_000_000, 0x91)],
  ["maps nested a million times", Buffer.alloc(1_000_000, 0x81)],
  ["more after its end", bytes(0xc6, 0, 0x80, 0, 0, Buffer.alloc(0x80_0000), 1)],
  ["the byte that means nothing", bytes(0xc1)],
  ["a pattern that is none", bytes(0xd4, 0x78, 0, 0x92, 0xda, 0xff, 0xff, Buffer.alloc(0xffff, 0x28), 0xa0)],
  ["a class of its own", bytes(0xd4, 0x72, 0, 0x91, 0xa1, 0x61, 0xc0)],
  ["an integer of a megabyte", bytes(0xc9, 0, 0x10, 0, 0, 0x42, Buffer.alloc(0x10_0000, 0x7f))],
  ["a set", bytes(0xd4, 0x73, 0, 0x91, 1)],
  ["an error", bytes(0xd4, 0x65, 0, 0x92, 0xa1, 0x65, 0xa1, 0x65)],
  ["strings in a bundle", bytes(0xd6, 0x62, 0, 0, 0, 9, 0x91, 0xc1, 1, 0xa1, 0x61)],
];

test.each(bad)("%s is neither a message nor a value, and is refused at once", (_, each) => {
  const begun = process.cpuUsage();
  expect(() => decodeMessage(each, "test")).toThrow(MalformedMessageError);
  expect(() => decodeValue(each)).toThrow(InvalidValueError);
  const { user, system } = process.cpuUsage(begun);
  expect((user + system) / 1_000).toBeLessThan(100);
});

test("the error for a malformed message is short, for any content", () => {
  for (const [, each] of bad) {
    try {
      decodeMessage(each, "test");
    } catch (error) {
      expect((error as MalformedMessageError).message.length).toBeLessThan(100);
    }
  }
});

test("a message has no more arrays and maps than messageContainersMax, so that a small message does not cost a gigabyte", () => {
  const arrays = (count: number) => {
    const head = Buffer.from([0xdd, 0, 0, 0, 0]);
    head.writeUInt32BE(count, 1);
    return bytes(head, Buffer.alloc(count, 0x90));
  };
  expect(decodeMessage(arrays(limits.messageContainersMax - 1), "test")).toHaveLength(limits.messageContainersMax - 1);
  expect(() => decodeMessage(arrays(limits.messageContainersMax), "test")).toThrow(MalformedMessageError);
});

test("parts of every type and size come back unchanged", () => {
  const sizes = [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536];
  const numbers = [
    0,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    Number.MAX_SAFE_INTEGER,
    -1,
    -32,
    -33,
    -128,
    -129,
    -32_769,
    -(2 ** 31) - 1,
    1.5,
  ];
  for (const size of sizes) {
    const message = [
      "x".repeat(size),
      "ü".repeat(size),
      new Uint8Array(size),
      Array.from({ length: size }, () => null),
      Object.fromEntries(Array.from({ length: size }, (_, index) => [`n${index}`, true])),
      undefined,
      numbers,
    ];
    const read = decodeMessage(encodeMessage(message), "test") as unknown[];
    expect(new Uint8Array(read[2] as Uint8Array)).toStrictEqual(message[2]);
    expect(read.toSpliced(2, 1)).toStrictEqual(message.toSpliced(2, 1));
  }
});

test("an error with an invalid name arrives as an InternalError", () => {
  for (const name of [{ toString: 0 }, [[]], null, "x".repeat(1_000_000), "constructor", "__proto__"]) {
    const error = errorFromWire(name, {});
    expect(error).toBeInstanceOf(InternalError);
    expect(error.message.length).toBeLessThan(200);
  }
});

test("a large value keeps only its own bytes in memory, and small values packed after it keep little", () => {
  const large = encodeMessage([Buffer.alloc(3_000_000)]);
  expect(large.buffer.byteLength).toBe(large.length);
  const [bytes] = decodeMessage(large, "test") as readonly Buffer[];
  expect(bytes?.equals(Buffer.alloc(3_000_000))).toBe(true);
  expect(encodeMessage(["small"]).buffer.byteLength).toBeLessThan(100_000);
});
