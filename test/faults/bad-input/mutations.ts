/** Makes bad messages, from good ones or from nothing. The random source that is passed in decides all of it. */
import { Packr } from "msgpackr";
import { type Random, decodeMessage, encodeMessage } from "../../../core/index.js";

/** A whole number in [0, end). */
export function below(random: Random, end: number): number {
  return Math.floor(random.fraction() * end);
}

export function oneOf<T>(random: Random, choices: readonly T[]): T {
  return choices[below(random, choices.length)] as T;
}

const lenient = new Packr({ useRecords: false, moreTypes: true, structuredClone: true });

/** Values that no field of any message has, or should have. */
const odd: readonly unknown[] = [
  null,
  undefined,
  true,
  -1,
  -0.5,
  Number.NaN,
  Infinity,
  2 ** 53,
  Number.MAX_SAFE_INTEGER,
  2n ** 63n,
  2n ** 70_000n,
  "",
  "\0",
  "a\0b",
  "\ud800",
  "constructor",
  "__proto__",
  "*",
  ">",
  "a.b",
  "a b",
  "k".repeat(600),
  "n".repeat(65),
  new Date(0),
  new Set([1]),
  new Map([[1, 2]]),
  /x/,
  new Error("x"),
  Buffer.alloc(0),
  Buffer.alloc(9, 0xff),
  [],
  {},
  { toString: 0 },
  { length: 1e9 },
  nested(20, []),
  nested(90, "x"),
  Array.from({ length: 1_001 }, (_, index) => `k${index}`),
  Array.from({ length: 3_001 }, () => 0),
];

function nested(depth: number, inside: unknown): unknown {
  let value = inside;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

type Mutation = (good: Uint8Array, random: Random) => Uint8Array;

const noise: Mutation = (_, random) => Buffer.from(Array.from({ length: below(random, 80) }, () => below(random, 256)));

const truncated: Mutation = (good, random) => good.subarray(0, below(random, good.length));

const flipped: Mutation = (good, random) => {
  const bytes = Buffer.from(good);
  for (let flips = 1 + below(random, 4); flips > 0; flips--) {
    const at = below(random, bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << below(random, 8));
  }
  return bytes;
};

const overwritten: Mutation = (good, random) => {
  const bytes = Buffer.from(good);
  bytes[below(random, bytes.length)] = below(random, 256);
  return bytes;
};

const continued: Mutation = (good, random) => Buffer.concat([good, noise(good, random), oneOf(random, [good, Buffer.from([0xc0])])]);

/** A length header that claims four billion elements, written over some bytes of the message. */
const boasting: Mutation = (good, random) => {
  const at = below(random, good.length);
  return Buffer.concat([
    good.subarray(0, at),
    Buffer.from([oneOf(random, [0xdd, 0xdf, 0xdb, 0xc6, 0xc9]), 0xff, 0xff, 0xff, 0xff]),
    good.subarray(at),
  ]);
};

const deep: Mutation = (_, random) => Buffer.alloc(oneOf(random, [30, 3_000, 100_000]), oneOf(random, [0x91, 0x81]));

const doubling: Mutation = () => {
  let doubled: unknown = ["x"];
  for (let level = 0; level < 50; level++) doubled = [doubled, doubled];
  return lenient.pack(doubled);
};

/** One field, at any depth, is replaced by another value. */
const misshapen: Mutation = (good, random) => lenient.pack(replaced(decodeMessage(good, "good"), random));

function replaced(value: unknown, random: Random): unknown {
  if (!Array.isArray(value) || value.length === 0 || random.fraction() < 0.1) return oneOf(random, odd);
  const at = below(random, value.length);
  return value.toSpliced(at, 1, Array.isArray(value[at]) && random.fraction() < 0.7 ? replaced(value[at], random) : oneOf(random, odd));
}

/** Too few fields, too many, or in another order. */
const disordered: Mutation = (good, random) => {
  const fields = decodeMessage(good, "good");
  if (!Array.isArray(fields)) return noise(good, random);
  const at = below(random, fields.length + 1);
  const choices = [
    fields.toSpliced(at, 1),
    fields.toSpliced(at, 0, oneOf(random, odd)),
    fields.toReversed(),
    [fields],
    Object.fromEntries(fields.entries()),
  ];
  return lenient.pack(oneOf(random, choices));
};

/** Every element of every list stands in it twice. */
const repeated: Mutation = (good, random) => {
  const fields = decodeMessage(good, "good");
  if (!Array.isArray(fields)) return noise(good, random);
  return encodeMessage(fields.map((field: unknown) => (Array.isArray(field) ? [...(field as unknown[]), ...(field as unknown[])] : field)));
};

const mutations: readonly Mutation[] = [
  noise,
  truncated,
  truncated,
  flipped,
  flipped,
  overwritten,
  continued,
  boasting,
  repeated,
  deep,
  doubling,
  misshapen,
  misshapen,
  misshapen,
  misshapen,
  disordered,
  disordered,
];

/** A message that differs, nearly always, from `good`. */
export function mutated(good: Uint8Array, random: Random): Uint8Array {
  return good.length === 0 ? noise(good, random) : oneOf(random, mutations)(good, random);
}

const keys = Array.from({ length: 100_001 }, (_, index) => `key/${index}`);
const emptyArrays = Buffer.concat([Buffer.from([0xdd, 0, 0x1e, 0x84, 0x80]), Buffer.alloc(2_000_000, 0x90)]);

/** Messages with far too long lists, larger than one publish can carry. */
const huge: readonly Uint8Array[] = [
  encodeMessage(["session", "id", 0, true, keys, [], []]),
  encodeMessage(["session", "id", 0, true, [], keys, []]),
  encodeMessage(["session", "id", 0, true, [], [], keys.flatMap((key) => [key, null])]),
  encodeMessage(["session", 0, keys]),
  encodeMessage(["session", Buffer.alloc(3_000_000)]),
  emptyArrays,
];

/** A message that must be sent in several parts. */
export function tooMuch(random: Random): Uint8Array {
  return oneOf(random, huge);
}
