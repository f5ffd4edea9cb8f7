import { expect, test } from "vitest";
import { FaultyNetwork, SimulatedClock } from "../../../../testing/index.js";
import { SimulatedJetStream } from "../../../../testing/simulated-jetstream.js";
import { HeardBus } from "../../../../testing/suites/bus.js";
import type { HeadedMessage, HeadedTransport } from "../../../../transport/index.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";
import { seededRandom } from "../../../../core/index.js";

test("a node does not follow before it has applied an invalidation that was superseded while a consumer delivered", async () => {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const network = new FaultyNetwork({ clock, random });
  const jetStream = new SimulatedJetStream({ network, random });
  const open = async (transport: HeadedTransport) => {
    const bus = createJetStreamBus({ transport, prefix: "p", historyMs: 100_000, clock, random });
    const heard = new HeardBus(bus);
    await clock.settle(bus.follow(undefined), 1_000);
    return { bus, heard };
  };
  const other = await open(network.connect("other"));
  const end = network.connect("away");
  let supersede: (() => Promise<unknown>) | undefined;
  const late: (() => void)[] = [];
  const away = await open({
    ...tapOf(end),
    // The broker that delivers the replay has the later invalidation. Its repeated copy takes another path, and longer.
    subscribe: (subject, handler, options) =>
      end.subscribe(subject, (message) => (isCopyOfX(message) ? late.push(() => handler(message)) : handler(message)), options),
    request: async (subject, payload, options) => {
      const once = subject.includes("CONSUMER.CREATE") ? supersede : undefined;
      if (once !== undefined) supersede = undefined;
      await once?.();
      return end.request(subject, payload, options);
    },
  });
  await clock.advance(1_000);
  const before = jetStream.stream("ZOOID_p")?.lastSequence ?? 0;

  end.cut();
  for (const tag of ["x", "y"]) await clock.settle(other.bus.publish(tag, `${tag}-1`), 1_000);
  supersede = () => other.bus.publish("x", "x-2");
  const heardAt = away.bus.heardAt;
  end.mend();
  await clock.until(() => away.heard.tags.includes("y"), 5_000);
  await clock.advance(50);
  expect(late).toHaveLength(1);
  expect(jetStream.stream("ZOOID_p")?.lastSequence).toBeGreaterThanOrEqual(before + 3);
  expect([away.bus.state.type, away.bus.heardAt]).toEqual(["catchingUp", heardAt]);

  for (const take of late.splice(0)) take();
  await clock.until(() => away.bus.state.type === "following", 5_000);
  expect(away.heard.invalidated.map(({ tag, id }) => [tag, id])).toEqual([
    ["y", "y-1"],
    ["x", "x-2"],
  ]);
});

const isCopyOfX = ({ subject }: HeadedMessage) => subject.endsWith(".upd.tag.x");

/** The members of a link; some of them are accessors of its class. */
function tapOf(end: HeadedTransport): HeadedTransport {
  return {
    kind: end.kind,
    get status() {
      return end.status;
    },
    address: end.address,
    payloadBytesMax: end.payloadBytesMax,
    publish: (subject, payload) => end.publish(subject, payload),
    request: (subject, payload, options) => end.request(subject, payload, options),
    subscribe: (subject, handler, options) => end.subscribe(subject, handler, options),
    onStatus: (listener) => end.onStatus(listener),
    flush: () => end.flush(),
    close: () => end.close(),
  };
}
