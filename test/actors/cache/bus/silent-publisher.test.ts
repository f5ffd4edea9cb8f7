import { expect, test } from "vitest";
import { busPace } from "../../../../transport/bus-pace.js";
import { twoBrokers } from "./two-brokers.js";

test("a node that is cut off while a publisher is silent has heard the bus only when it last heard this publisher", async () => {
  const { clock, brokers, open } = twoBrokers();
  const [reader, writer] = [await open("reader", 0), await open("writer", 1)];
  await clock.advance(3_000);

  // The brokers no longer hear each other: the reader misses an invalidation, and its own heartbeats go on.
  brokers.breakRoutes();
  const brokenAt = clock.monotonic();
  await clock.settle(writer.bus.publish("a", "id-a"), 1_000);
  await clock.advance(busPace({}).timeoutMs - 1_000);
  expect(reader.bus.heardAt).toBeLessThan(brokenAt);
  reader.end.cut();
  await clock.advance(60_000);
  expect([reader.bus.state.type, reader.bus.heardAt < brokenAt]).toEqual(["cut", true]);

  // A new link is no reason to trust what is older than it.
  brokers.mendRoutes();
  reader.end.mend();
  await clock.until(() => reader.bus.state.type === "following", 5_000);
  await clock.until(() => reader.bus.heardAt > brokenAt + 60_000, 5_000);
  await clock.settle(Promise.all([reader.bus.close(), writer.bus.close()]), 1_000);
});
