import { expect, test } from "vitest";
import { twoBrokers } from "./two-brokers.js";

const lagMs = 2_000;

test("a late message on a link that lags does not prove that nothing of its publisher is missing since", async () => {
  const { clock, brokers, network, open } = twoBrokers();
  const [reader, writer] = [await open("reader", 0), await open("writer", 1)];
  await clock.advance(3_000);

  // The writer's heartbeats are in flight to the reader while its broker dies, with an invalidation that was not
  // passed on.
  network.slowDown("reader", lagMs);
  await clock.advance(lagMs - 500);
  writer.bus.publish("a", "id-a").catch(() => undefined);
  await clock.advance(0.5);
  brokers.crash(1);
  writer.end.cut();
  const lostAt = clock.monotonic();
  const resets = reader.heard.count("reset");
  network.slowDown("reader", 0);

  await clock.until(() => reader.heard.count("reset") > resets || reader.bus.heardAt > lostAt, 60_000);
  expect({ resets: reader.heard.count("reset") - resets, invalidated: reader.heard.tags }).toEqual({ resets: 1, invalidated: [] });
  await clock.until(() => reader.bus.heardAt > lostAt, 5_000);
  expect(reader.bus.heardAt).toBeGreaterThan(lostAt);
  await clock.settle(Promise.all([reader.bus.close(), writer.bus.close()]), 1_000);
});
