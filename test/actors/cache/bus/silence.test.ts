import { expect, test } from "vitest";
import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import { SimulatedJetStream } from "../../../../testing/simulated-jetstream.js";
import { HeardBus } from "../../../../testing/suites/bus.js";
import { seededRandom } from "../../../../core/index.js";
import { busPace } from "../../../../transport/bus-pace.js";
import { streamNames } from "../../../../transport/jetstream/stream-names.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";

const { intervalMs, timeoutMs } = busPace({});

test.each(["nats", "jetstream"] as const)(
  "a node whose link delivers nothing is cut at the time-out, not earlier, and follows on a new link: %s",
  async (kind) => {
    const clock = new SimulatedClock();
    const random = seededRandom(1);
    const network = new FaultyNetwork({ clock, random });
    const jetStream = new SimulatedJetStream({ network, random });
    const end = network.connect("node");
    const deps = { transport: end, prefix: "p", clock, random };
    const bus = kind === "nats" ? createPlainBus(deps) : createJetStreamBus(deps);
    const heard = new HeardBus(bus);
    await clock.settle(bus.follow(undefined), 5_000);
    await clock.advance(10_000);
    expect(jetStream.stream(streamNames("p").stream) !== undefined).toBe(kind === "jetstream");
    expect(heard.count("cut")).toBe(0);

    // The link stays: only the absence of messages shows the silence.
    network.deafen("node");
    const since = clock.monotonic();
    await clock.advance(timeoutMs - 2 * intervalMs);
    expect([heard.count("cut"), bus.state.type]).toEqual([0, "following"]);
    await clock.until(() => heard.count("cut") > 0, timeoutMs);
    expect(clock.monotonic() - since).toBeLessThanOrEqual(timeoutMs + intervalMs * 1.25);
    expect(bus.state.type).toBe("cut");

    end.cut();
    network.heal();
    end.mend();
    await clock.until(() => bus.state.type === "following", 10_000);
    await clock.settle(bus.close(), 5_000);
  },
);
