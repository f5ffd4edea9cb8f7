import { expect, test } from "vitest";
import { FaultyNetwork, SimulatedClock } from "../../testing/index.js";
import { SimulatedJetStream } from "../../testing/simulated-jetstream.js";
import { createJetStreamBus } from "../../transport/index.js";
import { seededChance } from "../../words/index.js";
import { HeardBus } from "../suites/bus.js";

const downMs = 500;

/** Nodes on a stream whose broker does not sync before it acknowledges, as JetStream does not by default. */
function place() {
  const clock = new SimulatedClock();
  const chance = seededChance(1);
  const network = new FaultyNetwork({ clock, chance });
  const jetStream = new SimulatedJetStream({ network, chance });
  const node = async (name: string) => {
    const transport = network.connect(name);
    const bus = createJetStreamBus({ transport, prefix: "p", clock, chance });
    const heard = new HeardBus(bus);
    await clock.settle(bus.follow(undefined), 1_000);
    return { transport, bus, heard };
  };
  const follows = (bus: { readonly state: { readonly type: string } }) => clock.until(() => bus.state.type === "following", 10_000);
  return { clock, network, jetStream, node, follows };
}

test("a node that comes back when a stream which lost its end has passed its position counts all before as missed", async () => {
  const { clock, network, jetStream, node, follows } = place();
  const [away, other] = [await node("away"), await node("other")];
  await clock.advance(1_000);
  for (const n of [1, 2, 3]) await clock.settle(away.bus.publish(`lost:${n}`, `lost-${n}`), 1_000);
  const resets = [away, other].map(({ heard }) => heard.count("reset"));
  network.stop();
  jetStream.losePower(downMs);
  await clock.advance(downMs);
  network.start();
  away.transport.cut();
  await follows(other.bus);
  for (const n of [1, 2, 3, 4, 5]) await clock.settle(other.bus.publish(`new:${n}`, `new-${n}`), 5_000);
  away.transport.mend();
  await follows(away.bus);
  expect(away.heard.count("reset")).toBeGreaterThan(resets[0] ?? 0);
  await clock.until(() => other.heard.count("reset") > (resets[1] ?? 0), 5_000);
  expect(other.heard.count("reset")).toBeGreaterThan(resets[1] ?? 0);
});

test("a stream that loses its end while all links stand is found out", async () => {
  const { clock, jetStream, node, follows } = place();
  const [one, two] = [await node("one"), await node("two")];
  await clock.advance(1_000);
  for (const n of [1, 2, 3]) await clock.settle(one.bus.publish(`lost:${n}`, `lost-${n}`), 1_000);
  const resets = [one, two].map(({ heard }) => heard.count("reset"));
  jetStream.losePower(500);
  await clock.settle(two.bus.publish("new", "new"), 60_000);
  await follows(one.bus);
  await follows(two.bus);
  expect(one.heard.count("reset")).toBeGreaterThan(resets[0] ?? 0);
  expect(two.heard.count("reset")).toBeGreaterThan(resets[1] ?? 0);
});

test("a history whose record is lost does not go on under the name that it had before", async () => {
  const { clock, network, jetStream, node, follows } = place();
  const { bus } = await node("one");
  const epoch = () => (bus.state.type === "following" ? bus.state.epoch : undefined);
  const loseEnd = async (ms: number) => {
    network.stop();
    jetStream.losePower(ms);
    network.start();
    await follows(bus);
  };
  const names = [epoch()];
  await clock.advance(1_000);
  await clock.settle(bus.publish("lost", "lost"), 1_000);
  await loseEnd(500);
  names.push(epoch());
  await loseEnd(500);
  names.push(epoch());
  expect(new Set(names).size).toBe(3);
});
