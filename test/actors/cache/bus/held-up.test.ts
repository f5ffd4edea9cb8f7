import { expect, test } from "vitest";
import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import { SimulatedJetStream } from "../../../../testing/simulated-jetstream.js";
import { type Bus } from "../../../../transport/index.js";
import { type Clock, seededRandom } from "../../../../core/index.js";
import { HeardBus } from "../../../../testing/suites/bus.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";
import { createPlainBus } from "../../../../actors/cache/bus/plain-bus.js";

const heldUpMs = 60_000;

/**
 * Two nodes. One can be held up: its clock goes on, its timers wait, and messages that came meanwhile are read before
 * they fire.
 */
async function setup(kind: "nats" | "jetstream") {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const network = new FaultyNetwork({ clock, random });
  const jetStream = new SimulatedJetStream({ network, random });
  let heldMs = 0;
  const own: Clock = {
    now: () => clock.now() + heldMs,
    monotonic: () => clock.monotonic() + heldMs,
    setTimeout: (action, delayMs) => clock.setTimeout(action, delayMs),
    clearTimeout: (timer) => clock.clearTimeout(timer),
  };
  const node = async (name: string, clockOfNode: Clock) => {
    const deps = { transport: network.connect(name), prefix: "p", clock: clockOfNode, random };
    const bus: Bus = kind === "nats" ? createPlainBus(deps) : createJetStreamBus(deps);
    const heard = new HeardBus(bus);
    await clock.settle(bus.follow(undefined), 5_000);
    return { bus, heard };
  };
  const [held, other] = [await node("held", own), await node("other", clock)];
  await clock.advance(3_000);
  return { clock, own, held, other, jetStream, holdUp: () => (heldMs += heldUpMs) };
}

test.each(["nats", "jetstream"] as const)(
  "to a process that was held up, a message read late proves only the time at which it was sent: %s",
  async (kind) => {
    const { clock, own, held, other, holdUp } = await setup(kind);
    expect(held.bus.state.type).toBe("following");
    const cuts = held.heard.count("cut");
    // In flight, and received before any timer fires.
    const published = [other.bus.publish("a", "id-a"), held.bus.publish("b", "id-b")];
    await clock.advance(0);
    holdUp();
    await clock.settle(Promise.all(published), 100);
    expect(held.heard.tags).toEqual(expect.arrayContaining(["a", "b"]));
    expect(own.monotonic() - held.bus.heardAt).toBeGreaterThan(heldUpMs - 2_000);

    // The other waiting messages prove nothing new either. The node examines the bus again.
    await clock.until(() => held.heard.count("cut") > cuts, 2_000);
    await clock.until(() => held.bus.state.type === "following" && own.monotonic() - held.bus.heardAt < 1_000, 5_000);
    await clock.settle(Promise.all([held.bus.close(), other.bus.close()]), 5_000);
  },
);
