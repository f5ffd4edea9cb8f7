import { expect, test } from "vitest";
import { createInvalidationHub, type InvalidationHub } from "../../transport/index.js";
import { busSuite, HeardBus } from "../../testing/suites/bus.js";

busSuite("in one process", { oneOrder: true, keepsHistory: false, hasLinks: false }, async () => {
  const hubs = new Map<string, InvalidationHub>();
  return {
    open: async (prefix = "p") => {
      const hub = hubs.get(prefix) ?? createInvalidationHub();
      hubs.set(prefix, hub);
      return { bus: hub.connect(), close: async () => undefined };
    },
    close: async () => undefined,
  };
});

test("the count continues from a kept position without a reset, under the same epoch", async () => {
  const from = { epoch: "kept", sequence: 41, time: 0 };
  const bus = createInvalidationHub({ from }).connect();
  const heard = new HeardBus(bus);
  await bus.follow(from);
  expect(await bus.publish("a", "1")).toEqual({ epoch: "kept", sequence: 42 });
  expect(heard.events.map(({ type }) => type)).toEqual(["following", "invalidated"]);
});

test("a bus that follows from another position gets a reset", async () => {
  const hub = createInvalidationHub({ from: { epoch: "kept", sequence: 41, time: 0 } });
  for (const from of [
    { epoch: "kept", sequence: 40, time: 0 },
    { epoch: "other", sequence: 41, time: 0 },
  ]) {
    const bus = hub.connect();
    const heard = new HeardBus(bus);
    await bus.follow(from);
    expect(heard.events[0]).toMatchObject({ type: "reset", version: { epoch: "kept", sequence: 41 } });
  }
});

test("an invalidation that a listener publishes is delivered after the one that the listener got", async () => {
  const hub = createInvalidationHub();
  const [one, two] = [hub.connect(), hub.connect()];
  one.listen((event) => {
    if (event.type === "invalidated" && event.tag === "first") void one.publish("second", "2");
  });
  const heard = new HeardBus(two);
  await one.follow(undefined);
  await two.follow(undefined);
  await two.publish("first", "1");
  expect(heard.tags).toEqual(["first", "second"]);
});
