import { describe, test, type TestContext } from "vitest";
import { type Cache, type CacheOptions, createCache } from "../../../../cache.js";
import { jetStreamConfig } from "../../../support/nats-buses.js";
import { type NatsServer, startNatsServer } from "../../../support/nats-server.js";
import { silence } from "../../../support/silent-broker.js";
import { startTcpProxy, type TcpProxy } from "../../../support/tcp-proxy.js";
import { temporaryFolders } from "../../../support/temporary-folder.js";
import { until } from "../../../support/until.js";

/** Longer than the interval between heartbeats, and short enough for a test. */
const maxStaleMs = 2_000;
/** Allowance for a busy machine. */
const slackMs = 1_000;

const temporaryFolder = temporaryFolders();

interface Node {
  readonly cache: Cache;
  readonly link: TcpProxy;
  /** A cached function, and the count of its computations. */
  readonly load: () => Promise<number>;
  readonly computed: () => number;
}

/** A node behind a link of its own, for tests that run in parallel. It may not follow the bus yet. */
async function openNode({ onTestFinished }: TestContext, port: () => number, options: CacheOptions = {}): Promise<Node> {
  const link = await startTcpProxy(port);
  const cache = await createCache({
    busUrl: `nats://127.0.0.1:${link.port}`,
    maxStaleSecs: maxStaleMs / 1_000,
    publishTimeout: "200ms",
    ...options,
  });
  onTestFinished(async () => {
    await cache.close();
    await link.close();
  });
  let computed = 0;
  const load = cache.cacheable(async () => ++computed, { name: "load", deps: ["a:b"] });
  return { cache, link, load, computed: () => computed };
}

/** Resolves to the result once the node answers with a kept one. */
async function kept({ load, computed }: Node): Promise<number> {
  let value = 0;
  await until(async () => {
    await load();
    const before = computed();
    value = await load();
    return computed() === before;
  });
  return value;
}

/** Calls until a new result is computed. Returns how long that took, and the longest call, in ms. */
async function servedFor({ load, computed }: Node): Promise<{ readonly servedMs: number; readonly callMsMax: number }> {
  const at = performance.now();
  const before = computed();
  let callMsMax = 0;
  await until(async () => {
    const calledAt = performance.now();
    await load();
    callMsMax = Math.max(callMsMax, performance.now() - calledAt);
    return computed() !== before;
  });
  return { servedMs: performance.now() - at, callMsMax };
}

const faults: readonly {
  readonly what: string;
  begin(node: Node, server: NatsServer): void | Promise<void>;
  end(node: Node, server: NatsServer): void;
}[] = [
  { what: "whose link is cut", begin: ({ link }) => link.cut(), end: ({ link }) => link.mend() },
  { what: "whose link is silent", begin: ({ link }) => link.stall(), end: ({ link }) => link.mend() },
  { what: "whose broker is frozen", begin: (_node, server) => silence(server), end: (_node, server) => server.resume() },
];

describe.for(faults)("a node $what", { concurrent: true }, ({ begin, end }) => {
  test("serves its results for at most maxStaleSecs, then computes and keeps nothing, until it is in touch again", async (context) => {
    const { expect } = context;
    await using server = await startNatsServer({ config: jetStreamConfig() });
    const node = await openNode(context, () => server.port);
    const value = await kept(node);
    await begin(node, server);
    const { servedMs, callMsMax } = await servedFor(node);
    expect(servedMs).toBeLessThan(maxStaleMs + slackMs);
    expect(callMsMax).toBeLessThan(slackMs);
    expect(node.cache.stats().isInTouch).toBe(false);
    const before = node.computed();
    expect([await node.load(), await node.load()]).toEqual([before + 1, before + 2]);
    end(node, server);
    // Nothing was invalidated, so the node serves its former results again.
    expect(await kept(node)).toBe(value);
  });

  test("answers each of many calls at once; its invalidations are queued, apply there, and arrive", async (context) => {
    const { expect } = context;
    await using server = await startNatsServer({ config: jetStreamConfig() });
    const node = await openNode(context, () => server.port);
    const other = await openNode(context, () => server.port);
    const [mine, theirs] = [await kept(node), await kept(other)];
    await begin(node, server);
    const at = performance.now();
    const published = Promise.all(Array.from({ length: 100 }, () => node.cache.invalidate("a")));
    const callers = await Promise.all(Array.from({ length: 1_000 }, () => node.load()));
    expect(Math.min(...callers)).toBeGreaterThan(mine);
    expect(performance.now() - at).toBeLessThan(slackMs);
    expect(new Set(await published)).toEqual(new Set(["queued"]));
    expect(performance.now() - at).toBeLessThan(2 * slackMs);
    end(node, server);
    await until(() => node.cache.stats().outbox === 0);
    await until(async () => (await other.load()) > theirs);
    expect(await kept(node)).toBeGreaterThan(mine);
  });
});

describe("without a broker", () => {
  test.for(["memory:", "lmdb:"])(
    "a cache with %s opens, answers at once, and follows as soon as a broker runs",
    async (storage, context) => {
      const { expect } = context;
      const storageUrl = storage === "memory:" ? storage : `${storage}${await temporaryFolder()}`;
      const first = await startNatsServer({ config: jetStreamConfig() });
      const { port } = first;
      await first.stop();
      const at = performance.now();
      const node = await openNode(context, () => port, { storageUrl });
      expect([await node.load(), await node.load()]).toEqual([1, 2]);
      expect(await node.cache.invalidate("a")).toBe("queued");
      expect(performance.now() - at).toBeLessThan(2 * slackMs);
      await using server = await startNatsServer({ config: jetStreamConfig(), port });
      const other = await openNode(context, () => server.port);
      const theirs = await kept(other);
      await until(() => node.cache.stats().outbox === 0);
      expect(await kept(node)).toBeGreaterThan(2);
      // The queued invalidation reaches every node that kept a result before it arrived.
      expect(theirs).toBeLessThanOrEqual(await other.load());
      expect(await node.cache.invalidate("a")).toBe("published");
      await until(async () => (await other.load()) > theirs);
    },
  );

  test("a cache closes at once", async (context) => {
    const { expect } = context;
    const node = await openNode(context, () => 1);
    const invalidated = node.cache.invalidate("a").catch((error: unknown) => error);
    await node.load();
    const at = performance.now();
    await node.cache.close();
    expect(performance.now() - at).toBeLessThan(slackMs);
    expect(await invalidated).toMatchObject({ code: "ZOOID_CLOSED" });
  });
});
