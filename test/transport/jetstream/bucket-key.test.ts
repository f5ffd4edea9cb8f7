import fc from "fast-check";
import { expect, test } from "vitest";
import { keyToken } from "../../../transport/jetstream/bucket-key.js";

test("a key's token is legal and short, and no other key has it: 10,000 pairs", () => {
  const key = fc.oneof(
    fc.string({ unit: "binary", maxLength: 80 }),
    fc.string({ unit: fc.constantFrom("=", "a", "0", "2", ".", "*", ">", " ", "\ud800"), maxLength: 8 }),
  );
  const property = fc.property(key, key, (one, other) => {
    const token = keyToken(one);
    expect(token).toMatch(/^[\w=]{1,210}$/);
    expect(keyToken(other) === token).toBe(one === other);
  });
  fc.assert(property, { numRuns: 10_000, seed: 20_261_122 });
});
