import { expect, test } from "vitest";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";
import { seededRandom, silentLog } from "../../../../core/index.js";
import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import { SimulatedJetStream } from "../../../../testing/simulated-jetstream.js";
import { HeardBus } from "../../../../testing/suites/bus.js";

test("when a broker stops answering, one warning stands for all publications in flight", async () => {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const network = new FaultyNetwork({ clock, random });
  void new SimulatedJetStream({ network, random });
  const warnings: object[] = [];
  const warn = (facts: object) => void warnings.push(facts);
  const bus = createJetStreamBus({ transport: network.connect("node"), prefix: "p", clock, random, log: { ...silentLog, warn } });
  const heard = new HeardBus(bus);
  await clock.settle(bus.follow(undefined), 5_000);

  network.deafen("node");
  const publications = Array.from({ length: 20 }, (_, n) => bus.publish(`tag:${n}`, `id-${n}`));
  await clock.until(() => heard.count("cut") > 0, 10_000);
  await clock.advance(5_000);
  expect(warnings.filter((facts) => "work" in facts && facts.work === "publishing")).toHaveLength(1);

  network.heal();
  await clock.settle(Promise.all(publications), 60_000);
  await clock.settle(bus.close(), 5_000);
});
