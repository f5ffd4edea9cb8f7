import { expect, test } from "vitest";
import { Computation } from "../../../../actors/tracking/computation.js";
import { isAnythingComputing } from "../../../../actors/tracking/computations.js";
import { Running } from "../../../../actors/cache/running.js";
import { openCache } from "../open.js";

/** A computation of a key without a function. */
function computation(key: string): Computation {
  return new Computation({ work: { name: key }, key, self: undefined, args: [], caller: undefined }, []);
}

test("a computation begun in one that has ended does not refer to that one", () => {
  const [one, other] = [new Running(), new Running()];
  const [outer, over, inner] = [computation("outer"), computation("over"), computation("inner")];
  const found: unknown[] = [];
  const look = () => found.push(one.getStore(), other.getStore());
  other.run(
    outer,
    () =>
      one.run(
        over,
        () => {
          other.run(inner, look, undefined);
          over.end();
          other.run(inner, look, undefined);
        },
        undefined,
      ),
    undefined,
  );
  expect(found).toEqual([over, inner, undefined, inner]);
});

test("a chain of computations, each begun in the one before, does not grow", () => {
  const [one, other] = [new Running(), new Running()];
  const first = computation("first");
  let found: unknown = first;
  const go = (left: number, before: Computation): void => {
    const next = computation(`${left}`);
    one.run(
      next,
      () => {
        // The computation ends while the next one already runs.
        before.end();
        if (left > 0) go(left - 1, next);
        else found = other.getStore();
      },
      undefined,
    );
  };
  other.run(first, () => go(3, first), undefined);
  expect(found).toBe(undefined);
});

test("a cache that is closed while a function hangs no longer counts as computing", async () => {
  const { cache } = await openCache();
  const hang = cache.cacheable(() => new Promise(() => undefined), { name: "hang" });
  void hang();
  expect(isAnythingComputing()).toBe(true);
  await cache.close();
  expect(isAnythingComputing()).toBe(false);
});
