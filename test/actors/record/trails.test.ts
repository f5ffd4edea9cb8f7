import { expect, onTestFinished, test, vi } from "vitest";
import { Trails } from "../../../actors/record/trails.js";
import { limits } from "../../../core/index.js";

const most = limits.recordTrailsMax;
const sent = (index: number) =>
  ({
    type: "note",
    ms: 0,
    what: "sent",
    who: "client/a",
    of: "main",
    id: `t${index}`,
    number: undefined,
    size: 1,
    reason: undefined,
  }) as const;

test("the latest trails are kept, within the bound, and the oldest are forgotten in few steps", () => {
  const trails = new Trails("commit");
  const iterations = vi.spyOn(Set.prototype, Symbol.iterator);
  onTestFinished(() => iterations.mockRestore());
  for (let index = 0; index < 3 * most; index++) trails.add(sent(index), index);
  const begun = iterations.mock.calls.length;
  expect(trails.size).toBeLessThanOrEqual(most);
  expect(trails.size).toBeGreaterThanOrEqual(most - most / 16);
  const kept = [...trails].map(({ beganAt }) => beganAt);
  expect(kept).toEqual(Array.from({ length: trails.size }, (_, index) => 3 * most - trails.size + index));
  expect(trails.withId(`t${3 * most - trails.size - 1}`)).toBeUndefined();
  expect(trails.withId(`t${3 * most - 1}`)).toBeDefined();
  // Each iteration passes over all that was deleted before: one for each new trail took ten times as long as the rest.
  expect(begun).toBeLessThanOrEqual(40);
});
