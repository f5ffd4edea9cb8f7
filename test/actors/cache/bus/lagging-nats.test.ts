import { expect, onTestFinished, test } from "vitest";
import { type Cache, type CacheOptions, createCache } from "../../../../cache.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { startNatsServer } from "../../../support/nats-server.js";
import { startTcpProxy } from "../../../support/tcp-proxy.js";
import { until } from "../../../support/until.js";

const maxStaleMs = 800;
/** Longer than results may be stale, and shorter than a link may be silent. */
const lagMs = 1_200;

test.each(["jetstream", "nats"] as const)(
  "a node on a link that lags but is never silent serves no result older than maxStaleSecs: %s",
  async (busKind) => {
    const server = await startNatsServer({ config: jetStreamConfig() });
    onTestFinished(() => server.stop());
    const link = await startTcpProxy(() => server.port);
    onTestFinished(() => link.close());
    const open = async (busUrl: string, options: CacheOptions = {}): Promise<Cache> => {
      const cache = await createCache({ busUrl, busKind, ...options });
      onTestFinished(() => cache.close());
      await until(() => cache.stats().isInTouch);
      return cache;
    };
    const other = await open(server.url);
    const node = await open(`nats://127.0.0.1:${link.port}`, { maxStaleSecs: maxStaleMs / 1_000 });
    let row = 0;
    const load = node.cacheable(async () => row, { name: "load", deps: ["row"] });
    await load();
    let isOver = false;
    const publishing = (async () => {
      for (let n = 0; !isOver; n++) {
        await other.invalidate(`beside:${n % 10}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    link.lag(lagMs);
    row = 1;
    expect(await other.invalidate("row")).toBe("published");
    const changedAt = performance.now();
    await until(async () => (await load()) === 1);
    expect(performance.now() - changedAt).toBeLessThan(maxStaleMs + 500);
    // The node still hears of invalidations, but too late, so it is out of touch all the time.
    const { heard, cuts } = node.stats();
    let timesInTouch = 0;
    await until(() => {
      if (node.stats().isInTouch) timesInTouch++;
      return node.stats().heard >= heard + 20;
    });
    expect([timesInTouch, node.stats().cuts, node.stats().bus?.type]).toEqual([0, cuts, "following"]);
    link.lag(0);
    await until(() => node.stats().isInTouch);
    isOver = true;
    await publishing;
  },
);
