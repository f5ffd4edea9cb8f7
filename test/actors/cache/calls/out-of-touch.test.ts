import { expect, onTestFinished, test } from "vitest";
import { createCache } from "../../../../cache.js";
import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import { seededRandom } from "../../../../core/index.js";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";
import { gate, type Gate } from "../open.js";

/** A cache whose node may be cut off, and a function whose computations end when the test says so. */
async function setup() {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const transport = new FaultyNetwork({ clock, random }).connect("node");
  const bus = createPlainBus({ transport, prefix: "p", clock, random });
  const cache = await createCache({ bus, clock, random, maxStaleSecs: "1s" });
  onTestFinished(() => clock.settle(cache.close(), 10_000));
  await clock.until(() => cache.stats().isInTouch, 10_000);
  const gates: Gate<string>[] = [];
  const load = cache.cacheable(
    () => {
      const computation = gate<string>();
      gates.push(computation);
      return computation.promise;
    },
    { name: "load", deps: ["row"] },
  );
  return { clock, transport, cache, gates, load };
}

test("a call on a node that is out of touch gets nothing that was read before it began, and such calls share one computation", async () => {
  const { clock, transport, cache, gates, load } = await setup();
  const first = load();
  transport.cut();
  await clock.advance(2_000);
  expect(cache.stats().isInTouch).toBe(false);
  const later = [load(), load(), load()];
  expect(gates.length).toBe(1);
  gates[0]?.open("old");
  expect(await first).toBe("old");
  await clock.advance(0);
  expect(gates.length).toBe(2);
  const last = load();
  gates[1]?.open("new");
  expect(await Promise.all(later)).toEqual(["new", "new", "new"]);
  await clock.advance(0);
  gates[2]?.open("newest");
  expect([await last, gates.length]).toEqual(["newest", 3]);
});

test("calls of one turn on a node that is out of touch share one computation", async () => {
  const { clock, transport, gates, load } = await setup();
  transport.cut();
  await clock.advance(2_000);
  const calls = [load(), load(), load()];
  gates[0]?.open("one");
  expect(await Promise.all(calls)).toEqual(["one", "one", "one"]);
  expect(gates.length).toBe(1);
});

test("a failure from before a call on a node that is out of touch is not the failure of the call", async () => {
  const { clock, transport, gates, load } = await setup();
  const first = load();
  transport.cut();
  await clock.advance(2_000);
  const later = load();
  gates[0]?.fail(new Error("old"));
  await expect(first).rejects.toThrow("old");
  await clock.advance(0);
  gates[1]?.open("new");
  expect(await later).toBe("new");
});
