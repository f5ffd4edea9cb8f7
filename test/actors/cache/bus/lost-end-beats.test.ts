import { describe, expect, test } from "vitest";
import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import type { NetworkEnd } from "../../../../testing/network-end.js";
import { SimulatedJetStream } from "../../../../testing/simulated-jetstream.js";
import { type BusPosition, type TagVersion } from "../../../../transport/index.js";
import { seededRandom } from "../../../../core/index.js";
import { HeardBus } from "../../../../testing/suites/bus.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";

/** Nodes on a stream whose broker loses its last messages when its power fails. */
function setup() {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const network = new FaultyNetwork({ clock, random });
  const jetStream = new SimulatedJetStream({ network, random });
  const node = async (name: string, from?: BusPosition, known?: readonly TagVersion[]) => {
    const transport = network.connect(name);
    const bus = createJetStreamBus({ transport, prefix: "p", clock, random });
    const heard = new HeardBus(bus);
    await clock.settle(bus.follow(from, known), 2_000);
    return { transport, bus, heard };
  };
  const follows = (bus: { readonly state: { readonly type: string } }) => clock.until(() => bus.state.type === "following", 10_000);
  const sequence = () => jetStream.stream("ZOOID_p")?.lastSequence ?? 0;
  /** The broker loses all messages after `last`, while `away` stays cut off. */
  const losePower = (last: number, away?: NetworkEnd) => {
    network.stop();
    jetStream.stream("ZOOID_p")?.truncate(last);
    network.start();
    away?.cut();
  };
  return { clock, network, jetStream, node, follows, sequence, losePower };
}

test("a node that missed the loss of the stream's end, and as many new messages, discards with the next heartbeat", async () => {
  const { clock, network, jetStream, node, follows, sequence } = setup();
  const [away, other] = [await node("away"), await node("other")];
  for (const tag of ["a", "b", "c", "d", "e", "f"]) await clock.settle(other.bus.publish(tag, tag), 1_000);
  const beats = away.heard.count("heartbeat");
  await clock.until(() => away.heard.count("heartbeat") > beats, 10_000);
  const last = sequence();
  // The route between two brokers is broken: the link of the node lives, and messages are lost.
  for (const [from, to] of [
    ["jetstream", "away"],
    ["away", "jetstream"],
  ] as const)
    network.sever(from, to);
  jetStream.stream("ZOOID_p")?.truncate(0);
  const resets = other.heard.count("reset");
  void other.bus.publish("g", "g");
  await clock.until(() => other.heard.count("reset") > resets && other.bus.state.type === "following", 10_000);
  while (sequence() < last) await clock.settle(other.bus.publish("h", `h${sequence()}`), 1_000);
  expect(sequence()).toBe(last);
  network.heal();
  expect(away.bus.state).toMatchObject({ type: "following", sequence: last });
  await clock.until(() => sequence() > last, 10_000);
  await clock.advance(100);
  await follows(away.bus);
  expect(away.heard.count("reset")).toBe(2);
  expect(away.heard.tags).not.toContain("h");
});

describe("an invalidation that the stream has lost, in whose place heartbeats were counted since,", () => {
  test("is missed by a node that received it, and all nodes count it as missed", async () => {
    const { clock, node, follows, sequence, losePower } = setup();
    const [witness, other] = [await node("witness"), await node("other")];
    await clock.advance(100);
    const before = sequence();
    other.transport.cut();
    await clock.settle(witness.bus.publish("lost", "1"), 1_000);
    losePower(before, witness.transport);
    other.transport.mend();
    await follows(other.bus);
    await clock.until(() => sequence() > before + 3, 10_000);
    expect(other.heard.tags).toEqual([]);
    const resets = other.heard.count("reset");
    witness.transport.mend();
    await follows(witness.bus);
    await clock.until(() => other.heard.count("reset") > resets, 10_000);
    expect(witness.heard.count("reset")).toBe(2);
  });

  test("is missed although later ones of its tag hide whether the last received one is there", async () => {
    const { clock, node, follows, sequence, losePower } = setup();
    const [witness, other] = [await node("witness"), await node("other")];
    await clock.advance(100);
    for (const tag of ["kept:1", "kept:2"]) await clock.settle(witness.bus.publish(tag, tag), 1_000);
    const before = sequence();
    other.transport.cut();
    for (const tag of ["lost", "hot:1", "hot:2"]) await clock.settle(witness.bus.publish(tag, tag), 1_000);
    losePower(before, witness.transport);
    other.transport.mend();
    await follows(other.bus);
    await clock.until(() => sequence() > before + 4, 10_000);
    for (const tag of ["hot:1", "hot:2"]) await clock.settle(other.bus.publish(tag, `${tag} again`), 1_000);
    const resets = other.heard.count("reset");
    witness.transport.mend();
    await follows(witness.bus);
    await clock.until(() => other.heard.count("reset") > resets, 10_000);
    expect(other.heard.count("reset")).toBe(resets + 1);
  });

  test("is missed by the node that published it and has not received it yet", async () => {
    const { clock, jetStream, node, follows, sequence, losePower } = setup();
    const [publisher, other] = [await node("publisher"), await node("other")];
    await clock.advance(100);
    const before = sequence();
    other.transport.cut();
    // The stream acknowledges it and does not repeat it: the publisher's position is before it.
    const subscription = jetStream.stream("ZOOID_p");
    expect(subscription).toBeDefined();
    if (subscription !== undefined) subscription.config = { ...subscription.config, republish: undefined };
    expect(await clock.settle(publisher.bus.publish("lost", "1"), 1_000)).toMatchObject({ sequence: before + 1 });
    losePower(before, publisher.transport);
    if (subscription !== undefined)
      subscription.config = { ...subscription.config, republish: { src: "zooid.p.inv.>", dest: "zooid.p.upd.>" } };
    other.transport.mend();
    await follows(other.bus);
    await clock.until(() => sequence() > before + 3, 10_000);
    const resets = other.heard.count("reset");
    publisher.transport.mend();
    await follows(publisher.bus);
    await clock.until(() => other.heard.count("reset") > resets, 10_000);
    expect(other.heard.count("reset")).toBe(resets + 1);
  });

  test("is missed by a node that began after it, and never received it", async () => {
    const { clock, node, follows, sequence, losePower } = setup();
    const [witness, other] = [await node("witness"), await node("other")];
    await clock.advance(100);
    const before = sequence();
    other.transport.cut();
    for (const tag of ["lost", "hot"]) await clock.settle(witness.bus.publish(tag, tag), 1_000);
    const late = await node("late");
    await clock.settle(witness.bus.close(), 1_000);
    losePower(before, late.transport);
    other.transport.mend();
    await follows(other.bus);
    await clock.until(() => sequence() > before + 6, 20_000);
    await clock.settle(other.bus.publish("hot", "again"), 1_000);
    const resets = other.heard.count("reset");
    late.transport.mend();
    await follows(late.bus);
    await clock.until(() => other.heard.count("reset") > resets, 10_000);
    expect(other.heard.count("reset")).toBe(resets + 1);
    expect(late.heard.count("reset")).toBe(2);
  });

  test("is missed by a process that received it before a restart", async () => {
    const { clock, node, follows, sequence, losePower } = setup();
    const [witness, other] = [await node("witness"), await node("other")];
    await clock.advance(100);
    const before = sequence();
    other.transport.cut();
    const { epoch, sequence: lost } = await clock.settle(witness.bus.publish("lost", "1"), 1_000);
    const from = { epoch, sequence: lost, time: clock.now() };
    await clock.settle(witness.bus.close(), 1_000);
    losePower(before);
    other.transport.mend();
    await follows(other.bus);
    await clock.until(() => sequence() > lost + 1, 10_000);
    const resets = other.heard.count("reset");
    const again = await node("again", from, [{ tag: "lost", sequence: lost }]);
    await clock.until(() => other.heard.count("reset") > resets, 10_000);
    expect(again.heard.count("reset")).toBe(1);
  });
});

test("a node that comes back to a whole stream finds nothing missing, although invalidations were superseded meanwhile", async () => {
  const { clock, node, follows } = setup();
  const [away, other] = [await node("away"), await node("other")];
  const tags = Array.from({ length: 200 }, (_, n) => `t:${n}`);
  for (const tag of tags) await clock.settle(away.bus.publish(tag, tag), 1_000);
  away.transport.cut();
  for (const tag of tags) await clock.settle(other.bus.publish(tag, `${tag} again`), 1_000);
  away.transport.mend();
  await follows(away.bus);
  expect(away.heard.count("reset")).toBe(1);
  expect(away.heard.tags).toHaveLength(400);
});

test("an acknowledgement that showed a lost end counts at the next examination, when the stream has counted past it", async () => {
  const { clock, node, follows, sequence, losePower } = setup();
  const ahead = await node("ahead");
  await clock.until(() => sequence() > 8, 20_000);
  await clock.advance(5);
  const before = sequence();
  losePower(before - 4, ahead.transport);
  const ended = sequence();
  ahead.transport.mend();
  // Its first message is acknowledged with a number that it knows of another message, and nothing else comes back.
  await clock.until(() => sequence() > ended, 10_000);
  await clock.advance(1);
  ahead.transport.cut();
  expect(sequence()).toBe(ended + 1);
  await node("other");
  await clock.until(() => sequence() > before + 1, 20_000);
  ahead.transport.mend();
  await follows(ahead.bus);
  expect(ahead.heard.count("reset")).toBe(2);
});
