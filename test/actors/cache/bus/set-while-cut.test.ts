import { expect, onTestFinished, test } from "vitest";
import { createCache } from "../../../../cache.js";
import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import { SimulatedJetStream } from "../../../../testing/simulated-jetstream.js";
import { createJetStreamBus } from "../../../../transport/index.js";
import { seededChance } from "../../../../core/index.js";

test("a value that is set while cut off is not kept, and what it replaces is not given again", async () => {
  const clock = new SimulatedClock();
  const chance = seededChance(1);
  const network = new FaultyNetwork({ clock, chance });
  const jetStream = new SimulatedJetStream({ network, chance });
  const transport = network.connect("node");
  const bus = createJetStreamBus({ transport, prefix: "p", clock, chance });
  const cache = await createCache({ bus, clock, chance, maxStaleSecs: "1s" });
  onTestFinished(async () => {
    jetStream.pause();
    await cache.close();
  });
  const follows = () => clock.until(() => cache.stats().isInTouch, 10_000);
  await follows();
  await clock.settle(cache.set("key", "old"), 1_000);
  expect(await cache.get("key")).toBe("old");
  transport.cut();
  await clock.advance(2_000);
  expect(await clock.settle(cache.set("key", "new"), 5_000)).toBe("queued");
  transport.mend();
  await follows();
  await clock.until(() => cache.stats().outbox === 0, 10_000);
  expect(await cache.get("key")).toBeUndefined();
});
