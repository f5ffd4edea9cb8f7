import { expect, onTestFinished, test } from "vitest";
import { createCache } from "../../../../cache.js";
import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import { SimulatedJetStream } from "../../../../testing/simulated-jetstream.js";
import { seededRandom } from "../../../../core/index.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";

test("a value that is set while cut off is not kept, and what it replaces is not given again", async () => {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const network = new FaultyNetwork({ clock, random });
  const jetStream = new SimulatedJetStream({ network, random });
  const transport = network.connect("node");
  const bus = createJetStreamBus({ transport, prefix: "p", clock, random });
  const cache = await createCache({ bus, clock, random, maxStaleSecs: "1s" });
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
