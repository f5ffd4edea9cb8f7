import { AsyncLocalStorage } from "node:async_hooks";
import { expect, onTestFinished, test } from "vitest";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";
import { type Clock, systemClock } from "../../../../core/index.js";
import { busPace, HeardBus } from "../../../../testing/suites/bus.js";
import { connectNats } from "../../../../transport/index.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { startNatsServer } from "../../../support/nats-server.js";
import { until } from "../../../support/until.js";

test("a bus that examines its stream because a publication failed sets later timers outside of the publisher's context", async () => {
  const server = await startNatsServer({ config: jetStreamConfig() });
  onTestFinished(() => server.stop());
  const transport = await connectNats({ servers: server.url });
  onTestFinished(() => transport.close());
  const requests = new AsyncLocalStorage<string>();
  let seen: unknown[] = [];
  const clock: Clock = {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    setTimeout: (action, delayMs) => {
      seen.push(requests.getStore());
      return systemClock.setTimeout(action, delayMs);
    },
    clearTimeout: (timer) => systemClock.clearTimeout(timer),
  };
  const bus = createJetStreamBus({ transport, prefix: "p", clock, ...busPace });
  onTestFinished(() => bus.close());
  const heard = new HeardBus(bus);
  await bus.follow(undefined);

  await transport.request("$JS.API.STREAM.DELETE.ZOOID_p", new Uint8Array(0), { timeoutMs: 5_000 });
  await requests.run("request", () => bus.publish("a", "id-a"));
  expect([heard.count("reset"), bus.state.type]).toEqual([2, "following"]);
  seen = [];
  await until(() => seen.length >= 3);
  expect(seen).not.toContain("request");
});
