import { expect, onTestFinished, test } from "vitest";
import { type Cache, createCache } from "../../../../cache.js";
import { connectNats } from "../../../../transport/index.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { startNatsServer } from "../../../support/nats-server.js";
import { until } from "../../../support/until.js";
import { createJetStreamBus } from "../../../../actors/cache/bus/stream-bus.js";

const pace = { heartbeatIntervalMs: 60, heartbeatTimeoutMs: 200 };
const historyMs = 4_500;

test.each(["its own", "that of a stream made elsewhere"])(
  "a result in the bucket is not used once the bus may have forgotten an invalidation that came after it: the history is %s",
  async (whose) => {
    const server = await startNatsServer({ config: jetStreamConfig() });
    onTestFinished(() => server.stop());
    const open = async (): Promise<Cache> => {
      const transport = await connectNats({ servers: server.url });
      onTestFinished(() => transport.close());
      const history = whose === "its own" ? { historyMs } : {};
      const bus = createJetStreamBus({ transport, prefix: "zooid", ...history, ...pace });
      const cache = await createCache({ bus, storageUrl: `${server.url}/shared` });
      onTestFinished(() => cache.close());
      await until(() => cache.stats().isInTouch);
      return cache;
    };
    if (whose !== "its own") {
      const raw = await connectNats({ servers: server.url });
      const config = {
        name: "ZOOID_zooid",
        subjects: ["zooid.zooid.inv.>"],
        retention: "limits",
        storage: "file",
        num_replicas: 1,
        discard: "new",
        max_msgs_per_subject: 1,
        max_age: historyMs * 1_000_000,
        duplicate_window: 1_000_000_000,
        republish: { src: "zooid.zooid.inv.>", dest: "zooid.zooid.upd.>" },
      };
      await raw.request("$JS.API.STREAM.CREATE.ZOOID_zooid", Buffer.from(JSON.stringify(config)), { timeoutMs: 5_000 });
      await raw.close();
    }
    const answer = (cache: Cache, day: string) => cache.cacheable(async () => day, { name: "day", deps: ["day"] });
    const first = await open();
    expect(await answer(first, "yesterday")()).toBe("yesterday");
    await until(async () => (await answer(await open(), "computed again")()) === "yesterday");
    await first.close();
    const other = await open();
    expect(await other.invalidate("day")).toBe("published");
    const invalidatedAt = performance.now();
    // Heartbeats go on meanwhile. After this time the stream's entry for the tag has expired.
    await until(() => performance.now() > invalidatedAt + historyMs * 1.1);
    expect(await answer(await open(), "today")()).toBe("today");
  },
);
