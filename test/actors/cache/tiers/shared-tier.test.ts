import { openCacheOver } from "../../../../actors/cache/cache.js";
import { cacheSettings } from "../../../../actors/cache/options.js";
import { createBucketHub } from "../../../../testing/bucket-hub.js";
import { SimulatedClock } from "../../../../testing/simulated-clock.js";
import { createInvalidationHub } from "../../../../transport/in-process-bus.js";
import { seededRandom } from "../../../../core/index.js";
import { resultTierSuite } from "../../../suites/result-tier.js";
import { sharedTier } from "../../../suites/shared-tier.js";

resultTierSuite("of a bucket in memory", () => {
  const clock = new SimulatedClock();
  const random = seededRandom(1);
  const bucket = createBucketHub({ clock, random }).connect();
  const bus = createInvalidationHub({ clock, random }).connect();
  const opened = openCacheOver(cacheSettings({ clock, random, bus }), { bus, disk: undefined, bucket });
  return Promise.resolve({
    tier: sharedTier(opened, bucket),
    invalidate: async (tag) => {
      await opened.core.intake.invalidate(tag)();
    },
    pass: (ms) => clock.advance(ms),
  });
});
