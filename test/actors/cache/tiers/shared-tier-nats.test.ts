import { afterAll, beforeAll } from "vitest";
import { openCacheOver } from "../../../../actors/cache/cache.js";
import { cacheSettings } from "../../../../actors/cache/options.js";
import { sharedAgeMsMax } from "../../../../actors/cache/shared-tier.js";
import { createJetStreamBucket } from "../../../../transport/jetstream/bucket.js";
import { connectNats } from "../../../../transport/nats/nats.js";
import { type Clock, systemRandom, systemClock } from "../../../../core/index.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../../../support/nats-server.js";
import { resultTierSuite } from "../../../suites/result-tier.js";
import { until } from "../../../support/until.js";
import { sharedTier } from "../../../suites/shared-tier.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer({ config: jetStreamConfig() });
});
afterAll(() => server.stop());

let setups = 0;

resultTierSuite("of a bucket in JetStream", async () => {
  const prefix = `p${setups++}`;
  let passedMs = 0;
  // A clock of this node alone; the broker's time goes on as usual.
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + passedMs };
  const transport = await connectNats({ servers: server.url });
  const seams = { transport, prefix, clock, random: systemRandom };
  const bus = createJetStreamBus(seams);
  const bucket = createJetStreamBucket({ ...seams, bucket: "shared", ageMs: sharedAgeMsMax(undefined) });
  const opened = openCacheOver(cacheSettings({ clock, bus, prefix }), { bus, disk: undefined, bucket });
  await until(() => opened.core.shared?.isUsable === true);
  const tier = sharedTier(opened, bucket);
  return {
    tier: {
      ...tier,
      close: async () => {
        await tier.close();
        await transport.close();
      },
    },
    invalidate: async (tag) => {
      await opened.core.intake.invalidate(tag)();
    },
    pass: (ms) => {
      passedMs += ms;
      return Promise.resolve();
    },
  };
});
