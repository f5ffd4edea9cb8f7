import { expect, test } from "vitest";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";
import { limits, seededRandom } from "../../../../core/index.js";
import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import { SimulatedJetStream } from "../../../../testing/simulated-jetstream.js";
import { HeardBus } from "../../../../testing/suites/bus.js";

test.each([
  // A greeting comes back after the next one was sent.
  ["nats", createPlainBus],
  // An examination takes longer than the stream may be silent.
  ["jetstream", createJetStreamBus],
] as const)("a node follows for good over a link whose round trip is longer than a heartbeat interval: %s", async (_kind, make) => {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const network = new FaultyNetwork({ clock, random });
  void new SimulatedJetStream({ network, random });
  const transport = network.connect("node");
  network.slowDown("node", 1.5 * limits.heartbeatIntervalMs);
  const bus = make({ transport, prefix: "p", clock, random });
  const heard = new HeardBus(bus);
  await clock.settle(bus.follow(undefined), 60_000);

  await clock.advance(60_000);
  expect(bus.state.type).toBe("following");
  expect([heard.count("following"), heard.count("cut")]).toEqual([1, 0]);
  await clock.settle(bus.close(), 10_000);
});
