import { expect, test } from "vitest";
import { seededRandom, systemRandom } from "../../core/index.js";

test("one seed gives one sequence, another seed another", () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return [random.id(), random.fraction(), random.id()];
  };
  expect(draw(7)).toStrictEqual(draw(7));
  expect(draw(7)).not.toStrictEqual(draw(8));
});

test("fractions are spread evenly over [0, 1)", () => {
  const random = seededRandom(1);
  const buckets = new Array<number>(10).fill(0);
  for (let draws = 0; draws < 10_000; draws++) buckets[Math.floor(random.fraction() * 10)]! += 1;
  for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});

test("an id is 16 hexadecimal characters, and unique", () => {
  for (const random of [systemRandom, seededRandom(3)]) {
    const ids = Array.from({ length: 1_000 }, () => random.id());
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
  }
});
