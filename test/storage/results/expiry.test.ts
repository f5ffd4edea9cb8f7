import fc from "fast-check";
import { expect, test } from "vitest";
import { type Ending, Expiry } from "../../../storage/results/expiry.js";

interface Item extends Ending {
  endsMs: number;
}

const item = (endsMs: number): Item => ({ endsMs, due: undefined });

test("each item is returned once, when its second has passed, and removed items are not", () => {
  const expiry = new Expiry<Item>();
  const notified: number[] = [];
  expiry.onEarlier = (atMs) => notified.push(atMs);
  const [a, b, c, never] = [item(1_500), item(1_999), item(900), item(Infinity)];
  for (const each of [a, b, c, never]) expiry.schedule(each, each.endsMs);
  expect(notified).toEqual([2_000, 1_000]);
  expect([expiry.nextMs, expiry.next(999)]).toEqual([1_000, undefined]);
  expect([expiry.next(1_000), expiry.next(1_999)]).toEqual([c, undefined]);
  expiry.remove(b);
  expiry.remove(b);
  expect([expiry.next(2_000), expiry.next(2_000), expiry.nextMs]).toEqual([a, undefined, Infinity]);
});

test("after any additions and removals, exactly the ended items are returned, and the next time is notified", () => {
  const action = fc.oneof(
    fc.record({ type: fc.constant("add" as const), inMs: fc.integer({ min: 0, max: 100_000_000 }) }),
    fc.record({ type: fc.constant("remove" as const), index: fc.nat(20) }),
    fc.record({ type: fc.constant("pass" as const), ms: fc.constantFrom(0, 10, 999, 1_000, 60_000, 90_000_000) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const expiry = new Expiry<Item>();
      const there = new Set<Item>();
      let nowMs = 123_456;
      let notifiedMs = Infinity;
      expiry.onEarlier = (atMs) => (notifiedMs = Math.min(notifiedMs, atMs));
      const dueMs = ({ endsMs }: Item) => (Math.floor(endsMs / 1_000) + 1) * 1_000;
      for (const each of actions) {
        if (each.type === "add") {
          const added = item(nowMs + each.inMs);
          there.add(added);
          expiry.schedule(added, added.endsMs);
        } else if (each.type === "remove") {
          const removed = [...there][each.index];
          if (removed !== undefined) {
            there.delete(removed);
            expiry.remove(removed);
          }
        } else nowMs += each.ms;
        const due = [...there].filter((one) => dueMs(one) <= nowMs);
        const given = new Set<Item>();
        for (let next = expiry.next(nowMs); next !== undefined; next = expiry.next(nowMs)) given.add(next);
        expect(given).toEqual(new Set(due));
        for (const one of due) there.delete(one);
        const nextMs = Math.min(Infinity, ...[...there].map(dueMs));
        if (due.length > 0) notifiedMs = expiry.nextMs;
        expect(notifiedMs).toBeLessThanOrEqual(nextMs);
        expect(expiry.nextMs).toBe(nextMs);
      }
    }),
    { numRuns: 500 },
  );
});
