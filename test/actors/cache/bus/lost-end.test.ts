import { expect, test } from "vitest";
import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import type { NetworkEnd } from "../../../../testing/network-end.js";
import { SimulatedJetStream } from "../../../../testing/simulated-jetstream.js";
import { type BusPosition } from "../../../../transport/index.js";
import { seededRandom } from "../../../../core/index.js";
import { HeardBus } from "../../../../testing/suites/bus.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";

const downMs = 500;
const historyMs = 100_000;

/** Nodes on a stream whose broker does not sync before it acknowledges, as JetStream does not by default. */
function setup() {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const network = new FaultyNetwork({ clock, random });
  const jetStream = new SimulatedJetStream({ network, random });
  const node = async (name: string, from?: BusPosition) => {
    const transport = network.connect(name);
    const bus = createJetStreamBus({ transport, prefix: "p", historyMs, clock, random });
    const heard = new HeardBus(bus);
    await clock.settle(bus.follow(from), 1_000);
    return { transport, bus, heard };
  };
  const follows = (bus: { readonly state: { readonly type: string } }) => clock.until(() => bus.state.type === "following", 10_000);
  return { clock, network, jetStream, node, follows };
}

test("a node that comes back after a stream that lost its end has passed its position counts all earlier invalidations as missed", async () => {
  const { clock, network, jetStream, node, follows } = setup();
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

test("a stream that loses its end while all links stand is noticed", async () => {
  const { clock, jetStream, node, follows } = setup();
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

test("a history whose record is lost does not continue under an earlier name", async () => {
  const { clock, network, jetStream, node, follows } = setup();
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

test.each(["the node that received it", "its next process"])(
  "%s notices a lost history, although the record of the history before it was renewed since",
  async (who) => {
    const { clock, network, jetStream, node, follows } = setup();
    const [away, other] = [await node("away"), await node("other")];
    const stream = jetStream.stream("ZOOID_p");
    const epoch = () => (other.bus.state.type === "following" ? other.bus.state.epoch : undefined);
    const first = epoch();
    const before = stream?.lastSequence ?? 0;
    const losePower = (cutOff: NetworkEnd) => {
      network.stop();
      stream?.truncate(before);
      network.start();
      cutOff.cut();
    };
    other.transport.cut();
    await clock.until(() => (stream?.lastSequence ?? 0) > before + 2, 10_000);
    // The remaining node gets sequences that it has had before, and begins a second history.
    losePower(other.transport);
    await follows(away.bus);
    await clock.settle(away.bus.publish("lost", "1"), 5_000);
    const { state } = away.bus;
    expect(state).toMatchObject({ type: "following", epoch: expect.not.stringMatching(first ?? "") as string });
    const kept = state.type === "following" ? { epoch: state.epoch, sequence: state.sequence, time: clock.now() } : undefined;
    losePower(away.transport);
    other.transport.mend();
    await follows(other.bus);
    const renewed = () => stream?.latest("zooid.p.inv.epoch")?.sequence ?? 0;
    await clock.until(() => renewed() > before, historyMs);
    expect(epoch()).toBe(first);
    expect(other.heard.tags).toEqual([]);
    if (who === "its next process") await node("again", kept);
    else away.transport.mend();
    await clock.until(() => epoch() !== undefined && epoch() !== first, 10_000);
    expect(epoch()).not.toBe(first);
    expect(other.heard.count("reset")).toBe(2);
  },
);
