import fc from "fast-check";
import { expect, test } from "vitest";
import { keyOfToken, keyToken } from "../../transport/bucket-key.js";

test("a key's token is legal and short, and no other key has it: 10,000 pairs", () => {
  const key = fc.oneof(
    fc.string({ unit: "binary", maxLength: 80 }),
    fc.string({ unit: fc.constantFrom("=", "a", "0", "2", ".", "*", ">", " ", "\ud800"), maxLength: 8 }),
  );
  const property = fc.property(key, key, (one, other) => {
    const token = keyToken(one);
    expect(token).toMatch(/^[\w=]{1,210}$/);
    expect(keyToken(other) === token).toBe(one === other);
    const back = keyOfToken(token);
    expect(back === one || (back === undefined && token.startsWith("=="))).toBe(true);
  });
  fc.assert(property, { numRuns: 10_000, seed: 20_261_122 });
});

test("what is no key's token tells none", () => {
  for (const token of ["", "==abc", "=", "=12", "=0041", "a.b", "=00E9"]) expect(keyOfToken(token), token).toBeUndefined();
});
