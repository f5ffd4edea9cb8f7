import { expect, onTestFinished, test } from "vitest";
import { type Cache, createCache } from "../../../../cache.js";
import { connectNats } from "../../../../transport/index.js";
import { freePorts } from "../../../cli/free-ports.js";
import { type NatsServer, startNatsServer } from "../../../support/nats-server.js";
import { until } from "../../../support/until.js";

/** Three brokers in a cluster, with replicated streams. */
async function startCluster(): Promise<readonly NatsServer[]> {
  const routes = await freePorts(3);
  const servers = await Promise.all(
    routes.map((port, index) =>
      startNatsServer({
        config: `
          server_name: n${index}
          jetstream { store_dir: "$folder/data" }
          cluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes.map((each) => `"nats://127.0.0.1:${each}"`).join(", ")}] }`,
      }),
    ),
  );
  onTestFinished(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  return servers;
}

/** Name of the broker that leads the stream of the caches. */
async function leaderOf(servers: string): Promise<string> {
  const transport = await connectNats({ servers });
  try {
    const answer = await transport.request("$JS.API.STREAM.INFO.ZOOID_zooid", new Uint8Array(0), { timeoutMs: 5_000 });
    const { cluster, config } = JSON.parse(Buffer.from(answer).toString()) as {
      readonly cluster: { readonly leader: string };
      readonly config: { readonly num_replicas: number };
    };
    expect(config.num_replicas).toBe(3);
    return cluster.leader;
  } finally {
    await transport.close();
  }
}

// Brokers of a cluster wait up to nine seconds before they elect another leader, of the cluster and then of the stream.
const electionsMsMax = 60_000;

test(
  "when a cluster of brokers loses its leader, invalidations are queued, and published once there is another leader; then the results are stale everywhere",
  async () => {
    const brokers = await startCluster();
    const open = async (index: number) => {
      const cache = await createCache({
        busUrl: [...brokers.slice(index), ...brokers.slice(0, index)].map(({ url }) => url).join(","),
        replicas: 3,
        maxStaleSecs: "2s",
        publishTimeout: "50ms",
      });
      onTestFinished(() => cache.close());
      return cache;
    };
    const nodes = await Promise.all(brokers.map((_, index) => open(index)));
    const follows = (cache: Cache) => cache.stats().bus?.type === "following";
    await until(() => nodes.every(follows));
    let truth = 0;
    const readers = nodes.map((node) => node.cacheable(async () => truth, { name: "read", deps: ["a:b"] }));
    const readAll = () => Promise.all(readers.map((read) => read()));
    expect(await readAll()).toEqual([0, 0, 0]);

    const leader = await leaderOf(brokers.map(({ url }) => url).join(","));
    await brokers[Number(leader.slice(1))]?.kill();
    truth = 1;
    // A cluster needs seconds to elect another leader. Until then nothing is published, and nothing is lost.
    expect(await nodes[0]?.invalidate("a")).toBe("queued");
    expect(await readers[0]?.()).toBe(1);
    await until(() => nodes.every((node) => follows(node) && node.stats().outbox === 0));
    await until(async () => (await readAll()).every((value) => value === 1));
    truth = 2;
    await nodes[1]?.invalidate("a:b");
    await until(async () => (await readAll()).every((value) => value === 2));
  },
  electionsMsMax,
);
