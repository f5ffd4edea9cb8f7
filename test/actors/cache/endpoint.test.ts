import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import * as m from "../../../actors/cache/admin/messages.js";
import { createActorSystem } from "../../../actors/index.js";
import { type CacheNode, findCacheNodes, type Cache, type CacheOptions, createCache } from "../../../cache.js";
import { nothing } from "../../../actors/protocol/codec.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { createBroker, type Transport } from "../../../transport/index.js";
import { asTag, limits, seededRandom } from "../../../core/index.js";
import { mutated } from "../../faults/bad-input/mutations.js";

const answerMs = 100;

/** Nodes of a cache on one broker, and a client of their endpoints. */
function openSetup() {
  const clock = new SimulatedClock();
  const broker = createBroker({ clock });
  const outside = broker.connect();
  let seed = 1;
  const open = async (options: CacheOptions = {}): Promise<{ readonly cache: Cache; readonly transport: Transport }> => {
    const transport = broker.connect();
    const cache = await createCache({ transport, clock, random: seededRandom(seed++), ...options });
    onTestFinished(() => cache.close());
    await clock.until(() => cache.stats().bus?.type === "following", 5_000);
    return { cache, transport };
  };
  const seams = { clock, random: seededRandom(1_000), transport: outside };
  const run = <T>(promise: Promise<T>) => clock.settle(promise, 60_000);
  const find = (prefix = "zooid") => run(findCacheNodes({ prefix, waitMs: answerMs, ...seams }));
  const only = async (): Promise<CacheNode> => (await find())[0] as CacheNode;
  return { clock, broker, outside, open, find, only, run, seams };
}

describe("the nodes of a cache", () => {
  test("are found by their prefix, in the order of their names, or of their ids if they have no name", async () => {
    const { open, find, run } = openSetup();
    const { cache } = await open({ node: "b" });
    await open({ node: "a" });
    await open({ node: "a" });
    await open();
    await open({ node: "c", prefix: "shop" });
    await open({ node: "hidden", endpoint: false });
    const found = await find();
    const [named, unnamed] = [found.filter(({ node }) => node.length === 1), found.filter(({ node }) => node.length > 1)];
    expect(named.map(({ node }) => node)).toEqual(["a", "a", "b"]);
    expect(unnamed.map(({ node }) => node)).toEqual(unnamed.map(({ instance }) => instance));
    expect(new Set(found.map(({ instance }) => instance)).size).toBe(4);
    expect((await find("shop")).map(({ node }) => node)).toEqual(["c"]);
    await run(cache.close());
    expect((await find()).map(({ node }) => node)).not.toContain("b");
  });

  test("show their counters", async () => {
    const { open, only, clock, run } = openSetup();
    const { cache } = await open({ node: "a" });
    await cache.getOrSet("x", () => 1, { tags: ["one:two"] });
    await cache.getOrSet("x", () => 2);
    await clock.advance(3_000);
    expect(await run((await only()).stats())).toEqual({
      uptimeMs: expect.any(Number) as number,
      tiers: ["memory"],
      bus: "nats",
      stats: { ...cache.stats(), busHeardMs: expect.any(Number) as number },
    });
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 1, entries: 1 });
  });

  test("list keys in their order, page by page, without keeping them alive", async () => {
    const { open, only, clock, run } = openSetup();
    const { cache } = await open();
    const names = Array.from({ length: 25 }, (_, index) => `k${String((index * 7) % 25).padStart(2, "0")}`);
    for (const name of names) await cache.set(name, name, { tags: [`t:${name}`], ttl: "10s" });
    await cache.set("other", 1);
    await clock.until(() => cache.stats().outbox === 0, 5_000);
    const node = await only();
    const seen: string[] = [];
    for (let after: string | undefined; ;) {
      const { rows, next } = await run(node.keys('""("k', { after, rowsMax: 10 }));
      seen.push(...rows.map(({ key }) => key));
      if (next === undefined) break;
      after = next;
    }
    expect(seen).toEqual(names.toSorted().map((name) => `""("${name}")`));
    const [first] = (await run(node.keys('""("k07'))).rows;
    expect(first).toMatchObject({ key: '""("k07")', tier: "memory", tags: ["t:k07"] });
    expect((await run(node.keys("nothing"))).rows).toEqual([]);
    await clock.advance(10_000);
    expect((await run(node.keys())).rows.map(({ key }) => key)).toEqual(['""("other")']);
    await cache.invalidate("unrelated");
    await cache.clear();
    expect((await run(node.keys())).rows).toEqual([]);
  });

  test("list each row once, though results are set while a page is made", async () => {
    const { open, only, clock } = openSetup();
    const { cache } = await open({ endpoint: true });
    for (let index = 0; index < 3_000; index++) void cache.set(`k${index}`, index);
    const node = await only();
    const listing = node.keys("", { rowsMax: 1_000 });
    for (let index = 0; index < 3_000; index += 3) void cache.set(`k${index}`, index);
    const { rows, next } = await clock.settle(listing, 10_000);
    expect(new Set(rows.map(({ key }) => key)).size).toBe(1_000);
    expect(rows.map(({ key }) => key)).toEqual(rows.map(({ key }) => key).toSorted());
    expect(next).toBe(rows.at(-1)?.key);
  });

  test("list tags as a tree, with versions, and tags of keys only on request", async () => {
    const { open, only, clock, run } = openSetup();
    const { cache } = await open();
    await cache.set("x", 1, { tags: ["a:b", "a.b", "a0", "c"] });
    await run(cache.invalidate("a"));
    await cache.set("x", 1, { tags: ["a:b", "a.b", "a0", "c"] });
    await clock.until(() => cache.stats().outbox === 0, 5_000);
    const node = await only();
    const { rows } = await run(node.tags());
    expect(rows.map(({ tag }) => tag)).toEqual(["", "a", "a:b", "a.b", "a0", "c"]);
    expect(rows.find(({ tag }) => tag === "a")).toEqual({ tag: "a", version: cache.tagVersion("a"), isPending: false });
    expect((await run(node.tags("a"))).rows.map(({ tag }) => tag)).toEqual(["a", "a:b"]);
    expect((await run(node.tags(undefined, { after: "a:b", rowsMax: 2 }))).rows.map(({ tag }) => tag)).toEqual(["a.b", "a0"]);
    expect((await run(node.tags(".key"))).rows.length).toBeGreaterThan(1);
  });

  test("list results in the folder too, each once, with unlimited lifetimes", async () => {
    const { open, only, run } = openSetup();
    const folder = await mkdtemp(join(tmpdir(), "zooid-endpoint-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const { cache } = await open({ storageUrl: `lmdb:${folder}` });
    const ttl = "999999999999d";
    // Kept in memory at once. The write to the disk, which does not follow simulated time, is not awaited.
    void cache.set("a", 1, { ttl });
    void cache.set("b", 1);
    const { rows } = await run((await only()).keys());
    expect(rows.map(({ key, tier }) => [key, tier])).toEqual([
      ['""("a")', "memory"],
      ['""("b")', "memory"],
    ]);
    expect(rows[0]?.leftMs).toBe(Number.MAX_SAFE_INTEGER);
    expect(await run((await only()).stats())).toMatchObject({ tiers: ["memory", "lmdb"], stats: { disk: { entries: 2 } } });
  });

  test("invalidate, clear and prune on request, and the other nodes hear of it", async () => {
    const { open, find, clock, run } = openSetup();
    const { cache: one } = await open({ node: "one" });
    const { cache: other } = await open({ node: "other" });
    const [node] = await find();
    await other.set("x", 1, { tags: ["a:b"] });
    await other.set("y", 1, { tags: ["c"] });
    await clock.until(() => other.stats().outbox === 0, 5_000);
    expect(await run((node as CacheNode).invalidate(["a", "nothing"]))).toBe("published");
    await clock.until(() => one.tagVersion("a") > 0 && other.tagVersion("a") > 0, 5_000);
    expect([await other.get("x"), await other.get("y")]).toEqual([undefined, 1]);
    await other.invalidate("c");
    const second = (await find())[1] as CacheNode;
    expect(await run(second.prune(0))).toMatchObject({ entries: 1 });
    expect((await run(second.tags())).rows.map(({ tag }) => tag)).toEqual([""]);
    await other.set("z", 1);
    expect(await run((node as CacheNode).clear())).toBe("published");
    await clock.until(() => other.stats().entries === 0, 5_000);
    expect(await other.get("z")).toBeUndefined();
  });

  test("have their pruning at an address, where it takes PRUNE", async () => {
    const { open, seams, run } = openSetup();
    await open({ node: "a" });
    const system = createActorSystem({ realm: "zooid", ...seams });
    onTestFinished(() => system.close());
    expect(await run(system.list(answerMs))).toMatchObject([
      { path: "cache/a/bus" },
      { path: "cache/a/pruning", machine: "cache-pruning", value: "idle" },
    ]);
    await run(system.remote("cache/a/pruning").send({ type: "PRUNE" }));
    await expect(run(system.remote("cache/a/pruning").send({ type: "STOP" }))).rejects.toMatchObject({ code: "ZOOID_NOT_ACCEPTED" });
  });

  test("show a sweep while it runs for a call of prune", async () => {
    const { open, clock, seams, run } = openSetup();
    let looks = 0;
    const slow = { ...seamsOf(clock), monotonic: () => clock.monotonic() + limits.pruningStepMsMax * looks++ };
    const { cache } = await open({ node: "a", clock: slow });
    for (let index = 0; index < 2_000; index++) void cache.set(`k${index}`, 1, { tags: ["t"] });
    const system = createActorSystem({ realm: "zooid", ...seams });
    onTestFinished(() => system.close());
    const states: string[] = [];
    system.remote("cache/a/pruning").subscribe(({ value }) => {
      if (JSON.stringify(value) !== states.at(-1)) states.push(JSON.stringify(value));
    });
    await run(system.list(answerMs));
    await run(cache.prune());
    await run(system.list(answerMs));
    expect(states).toEqual(['"idle"', '{"sweeping":"stepping"}', '"idle"']);
  });

  test("have their bus at an address, where it shows its state, takes no event, and is found again after a cut", async () => {
    const { open, seams, run, broker, clock } = openSetup();
    const { cache } = await open({ node: "a" });
    const system = createActorSystem({ realm: "zooid", ...seams });
    onTestFinished(() => system.close());
    const bus = system.remote("cache/a/bus");
    expect(await run(bus.snapshot())).toMatchObject({ machine: "plain-bus", value: { following: "resting" } });
    await expect(run(bus.send({ type: "LINK_LOST" }))).rejects.toMatchObject({ code: "ZOOID_NOT_ACCEPTED" });
    broker.stop();
    await clock.until(() => cache.stats().bus?.type === "cut", 5_000);
    broker.start();
    await clock.until(() => cache.stats().bus?.type === "following", 5_000);
    expect(await run(bus.snapshot())).toMatchObject({ value: { following: "resting" } });
  });

  test("that have left, or whose broker has stopped, are reported with typed errors", async () => {
    const { open, only, run, broker, find } = openSetup();
    const { cache } = await open({ node: "a" });
    const node = await only();
    await run(cache.close());
    await expect(run(node.stats())).rejects.toMatchObject({ code: "ZOOID_ACTOR_LOST" });
    expect(await find()).toEqual([]);
    broker.stop();
    await expect(find()).rejects.toMatchObject({ code: "ZOOID_DISCONNECTED" });
    await expect(run(node.stats())).rejects.toMatchObject({ code: "ZOOID_DISCONNECTED" });
  });
});

describe("a wrong request to the endpoint of a node", () => {
  test.each<[string, (node: CacheNode) => Promise<unknown>, string]>([
    ["invalid tags", (node: CacheNode) => node.invalidate(["a b"]), "ZOOID_INVALID_TAG"],
    ["the root, which no request can name", (node: CacheNode) => node.invalidate([""]), "ZOOID_INVALID_TAG"],
    [
      "too many tags",
      (node: CacheNode) => node.invalidate(Array.from({ length: limits.tagsInvalidatedMax + 1 }, () => "a")),
      "ZOOID_TOO_LARGE",
    ],
    ["a request too long", (node: CacheNode) => node.keys("x".repeat(limits.actorEventBytesMax)), "ZOOID_TOO_LARGE"],
    ["no row", (node: CacheNode) => node.keys("", { rowsMax: 0 }), "ZOOID_MALFORMED_MESSAGE"],
    ["too many rows", (node: CacheNode) => node.tags("a", { rowsMax: limits.listPageRowsMax + 1 }), "ZOOID_MALFORMED_MESSAGE"],
    ["an invalid duration", (node: CacheNode) => node.prune("half a moment"), "ZOOID_INVALID_OPTION"],
  ])("%s: a typed error, and nothing is done", async (_, ask, code) => {
    const { open, only, run } = openSetup();
    const { cache } = await open();
    await cache.set("x", 1);
    await expect(run(ask(await only()))).rejects.toMatchObject({ code });
    expect(await cache.get("x")).toBe(1);
  });

  test("a page larger than a message is divided, and a page of large rows is shorter than requested", async () => {
    const { open, only, run } = openSetup();
    const { cache } = await open();
    const tags = Array.from({ length: 100 }, (_, index) => `t${index}${"x".repeat(200)}`);
    for (let index = 0; index < 100; index++) await cache.set(`k${index}`, 1, { tags });
    const { rows, next } = await run((await only()).keys());
    expect(rows.length).toBeGreaterThan(1);
    expect(rows.length).toBeLessThan(100);
    expect(next).toBe(rows.at(-1)?.key);
  });

  test("listings and prunings past the bound of a node are refused until others have ended", async () => {
    const { open, only, run, clock } = openSetup();
    // Each step of the work takes longer than a step may.
    let pauses = 0;
    const slow = { ...seamsOf(clock), monotonic: () => clock.monotonic() + limits.pruningStepMsMax * pauses++ };
    const { cache } = await open({ clock: slow });
    for (let index = 0; index < 2_000; index++) void cache.set(`k${index}`, 1, { tags: ["t"] });
    const node = await only();
    const asked = Array.from({ length: limits.cacheStepsMax + 1 }, () => node.keys());
    const settled = await run(Promise.allSettled([...asked, node.prune()]));
    const refused = settled.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(2);
    for (const each of refused) expect(each).toMatchObject({ reason: { code: "ZOOID_SERVER_BUSY", transient: true } });
    expect((await run(node.keys())).rows).toHaveLength(limits.listPageRowsMax);
  });

  test("a listing in progress ends when the cache is closed", async () => {
    const { open, only, run, clock } = openSetup();
    let pauses = 0;
    const slow = { ...seamsOf(clock), monotonic: () => clock.monotonic() + limits.pruningStepMsMax * pauses++ };
    const { cache } = await open({ clock: slow });
    for (let index = 0; index < 2_000; index++) void cache.set(`k${index}`, 1, { tags: ["t"] });
    const listing = (await only()).keys();
    await clock.step();
    const [outcome] = await run(Promise.allSettled([listing, cache.close()]));
    expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ZOOID_CLOSED" } });
  });

  test("any bytes get an answer or a typed error, and the node goes on", async () => {
    const { open, only, run, outside } = openSetup();
    const { cache } = await open();
    const node = await only();
    const random = seededRandom(7);
    const subjects = m.cacheSubjects("zooid");
    const good: Readonly<Record<m.CacheOperation, Uint8Array>> = {
      stats: nothing.write({}),
      keys: m.keysAsked.write({ beginning: "a", after: "b", rowsMax: 10 }),
      tags: m.tagsAsked.write({ below: asTag("a"), after: asTag("a:b"), rowsMax: 10 }),
      invalidate: m.invalidateAsked.write([asTag("a"), asTag("b:c")]),
      clear: nothing.write({}),
      prune: m.pruneAsked.write({ unusedMs: 10 }),
    };
    for (let round = 0; round < 900; round++) {
      const operation = m.cacheOperations[round % m.cacheOperations.length] ?? "stats";
      const payload = mutated(good[operation], random);
      const answer = await run(outside.request(subjects.requests(node.instance, operation), payload, { timeoutMs: 5_000 }));
      expect([0, 1]).toContain(answer[0]);
      outside.publish(subjects.nodes, payload);
    }
    const nonsense = `zooid.zooid.cache.${node.instance}.nonsense`;
    expect((await run(outside.request(nonsense, new Uint8Array(), { timeoutMs: 5_000 })))[0]).toBe(1);
    await cache.set("x", 1);
    expect((await run(node.keys())).rows).toHaveLength(1);
  });
});

function seamsOf(clock: SimulatedClock) {
  return {
    now: () => clock.now(),
    setTimeout: (action: () => void, ms: number) => clock.setTimeout(action, ms),
    clearTimeout: (timer: unknown) => clock.clearTimeout(timer),
  };
}
