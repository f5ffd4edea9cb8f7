import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keyTag } from "../../../storage/results/result-key.js";
import { LatestInvalidations } from "../../../storage/results/latest-invalidations.js";
import { decodeSharedRecord, encodeSharedRecord, type SharedRecord, staleAfter } from "../../../storage/results/shared-record.js";
import { asTag, isBelow, rootTag, type Tag } from "../../../core/index.js";

const level = fc.constantFrom("a", "b", "a.b", "c_1");
const tag = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => asTag(levels.join(":")));
const record = fc.record({
  key: fc.string({ unit: "binary", maxLength: 60 }),
  epoch: fc.string({ maxLength: 20 }),
  sequence: fc.nat(1_000),
  // MessagePack has no negative zero.
  time: fc.double({ noNaN: true, noDefaultInfinity: true }).map((time) => time + 0),
  later: fc.nat(100),
  tags: fc.array(fc.oneof(tag, fc.constant(rootTag)), { maxLength: 5 }),
  ttlMs: fc.option(fc.nat(), { nil: undefined }),
  slides: fc.boolean(),
  value: fc.uint8Array({ maxLength: 50 }),
});

function made({ later, ttlMs, ...rest }: (typeof record extends fc.Arbitrary<infer T> ? T : never) & { later: number }): SharedRecord {
  return { ...rest, ttlMs, ownSequence: rest.sequence + later, leftMs: ttlMs === undefined ? Infinity : ttlMs / 2 };
}

describe("a record of a shared result", () => {
  test("is read unchanged, and under no other key", () => {
    const property = fc.property(record, (parts) => {
      const written = made(parts);
      const bytes = encodeSharedRecord(written);
      const read = decodeSharedRecord(bytes, written.key);
      expect({ ...read, value: [...(read?.value ?? [])] }).toEqual({ ...written, value: [...written.value] });
      expect(decodeSharedRecord(bytes, `${written.key}x`)).toBeUndefined();
    });
    fc.assert(property, { numRuns: 2_000, seed: 20_261_122 });
  });

  test("that is cut short, changed or invalid is read as no record, or as a record of its key", () => {
    const property = fc.property(record, fc.nat(), fc.nat(255), (parts, at, byte) => {
      const { key } = parts;
      const bytes = Buffer.from(encodeSharedRecord(made(parts)));
      expect(decodeSharedRecord(bytes.subarray(0, at % bytes.length), key)).toBeUndefined();
      bytes[at % bytes.length] = byte;
      const read = decodeSharedRecord(bytes, key);
      if (read === undefined) return;
      expect(read.key).toBe(key);
      expect(Number.isSafeInteger(read.sequence) && read.ownSequence >= read.sequence).toBe(true);
      expect(read.leftMs).toBeLessThanOrEqual(read.ttlMs ?? Infinity);
    });
    fc.assert(property, { numRuns: 5_000, seed: 20_261_122 });
    for (const odd of [Buffer.alloc(0), Buffer.from([0x90]), Buffer.from("text"), Buffer.from([0xc1])]) {
      expect(decodeSharedRecord(odd, "k")).toBeUndefined();
    }
  });

  test("becomes stale with its tags, their parents and the tag of its key, and with no other tag", () => {
    const property = fc.property(record, fc.oneof(tag, fc.constant(rootTag)), (parts, invalidated) => {
      const it = made(parts);
      const judging = staleAfter(it);
      const falls = invalidated === rootTag || it.tags.some((each) => isBelow(each, invalidated));
      expect(judging.has(invalidated)).toBe(falls);
      if (falls) expect(judging.get(invalidated)).toBe(it.sequence);
      expect(judging.get(keyTag(it.key))).toBe(it.ownSequence);
    });
    fc.assert(property, { numRuns: 5_000, seed: 20_261_122 });
  });
});

test("the latest invalidations after `since` are known exactly, for any number of tags", () => {
  const invalidation = fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 3 }));
  const property = fc.property(fc.array(invalidation, { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (list, tagsMax) => {
    const latest = new LatestInvalidations(tagsMax);
    const all = new Map<Tag, number>();
    let sequence = 100;
    latest.reset(sequence);
    for (const [name, backwards] of list) {
      // An own invalidation may be numbered before earlier ones arrive.
      const numbered = ++sequence + backwards;
      const each = asTag(`t${name}`);
      latest.apply(each, numbered);
      all.set(each, Math.max(all.get(each) ?? 0, numbered));
      for (const [known, at] of all) {
        if (at > latest.since) expect(latest.of(known)).toBe(at);
        else expect(latest.of(known)).toBeLessThanOrEqual(at);
      }
    }
  });
  fc.assert(property, { numRuns: 10_000, seed: 20_261_122 });
});
