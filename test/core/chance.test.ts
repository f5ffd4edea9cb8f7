import { expect, test } from "vitest";
import { seededChance, systemChance } from "../../core/index.js";

test("one seed gives one sequence, another seed another", () => {
  const draw = (seed: number) => {
    const chance = seededChance(seed);
    return [chance.id(), chance.fraction(), chance.id()];
  };
  expect(draw(7)).toStrictEqual(draw(7));
  expect(draw(7)).not.toStrictEqual(draw(8));
});

test("fractions are spread evenly over [0, 1)", () => {
  const chance = seededChance(1);
  const buckets = new Array<number>(10).fill(0);
  for (let draws = 0; draws < 10_000; draws++) buckets[Math.floor(chance.fraction() * 10)]! += 1;
  for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});

test("an id is 16 hexadecimal characters nobody else has", () => {
  for (const chance of [systemChance, seededChance(3)]) {
    const ids = Array.from({ length: 1_000 }, () => chance.id());
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
  }
});
