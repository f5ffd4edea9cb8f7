import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Cache, createCache } from "../../cache.js";
import { openSetup } from "./setup.js";
import { runZooid, zooid } from "./run-zooid.js";
import { until } from "../support/until.js";

let setup: Awaited<ReturnType<typeof openSetup>>;
let a: Cache;
let b: Cache;
let there: readonly string[];

const following = (cache: Cache) => () => cache.stats().bus?.type === "following";
const rows = (lines: readonly string[]) => lines.map((line) => JSON.parse(line) as Record<string, unknown>);

beforeAll(async () => {
  setup = await openSetup();
  there = ["--servers", setup.url, "--wait", "200ms"];
  a = await createCache({ busUrl: setup.url, node: "A", maxStaleSecs: "1h" });
  b = await createCache({ busUrl: setup.url, node: "B", maxStaleSecs: "1h" });
  await until(following(a));
  await until(following(b));
});
afterAll(async () => {
  await Promise.all([a.close(), b.close()]);
  await setup.close();
});
beforeEach(async () => {
  await a.clear();
  await a.set("oslo", 1, { tags: ["cities:NO"], ttl: "1h" });
  await a.set("rome", 1, { tags: ["cities:IT", "layout"] });
  await b.set("lima", 1, { tags: ["cities:PE"] });
  await until(() => a.stats().outbox === 0 && b.stats().outbox === 0);
  // Wait until each node has received what the other one set.
  await a.invalidate("fence");
  const fenced = a.tagVersion("fence");
  await until(() => fenced > 0 && b.tagVersion("fence") > 0);
});

describe("zooid cache stats", () => {
  test("prints a table of nodes", async () => {
    const { lines, error } = await zooid(["cache", "stats", ...there]);
    expect(error).toBeUndefined();
    expect(lines[0]?.split(/ {2,}/)).toEqual([
      "node",
      "up",
      "tiers",
      "entries",
      "hits",
      "misses",
      "hit rate",
      "evictions",
      "tags",
      "outbox",
      "bus",
    ]);
    expect(lines.slice(1).map((line) => line.split(/ {2,}/))).toEqual([
      [
        "A",
        expect.any(String),
        "memory",
        "2",
        "0",
        "0",
        "-",
        "0",
        expect.any(String),
        "0",
        expect.stringMatching(/^nats, following at \d+$/),
      ],
      [
        "B",
        expect.any(String),
        "memory",
        "1",
        "0",
        "0",
        "-",
        "0",
        expect.any(String),
        "0",
        expect.stringMatching(/^nats, following at \d+$/),
      ],
    ]);
  });

  test("prints all counters of a node as JSON", async () => {
    const { lines } = await zooid(["cache", "stats", "--json", "--node", "B", ...there]);
    expect(rows(lines)).toEqual([
      {
        node: "B",
        instance: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
        uptimeMs: expect.any(Number) as number,
        tiers: ["memory"],
        bus: "nats",
        stats: expect.objectContaining({ entries: 1, hits: 0, tags: b.stats().tags, isInTouch: true }) as unknown,
      },
    ]);
  });
});

describe("zooid cache keys", () => {
  test("lists the keys of each node, with their tags and remaining lifetime", async () => {
    const { lines, said } = await zooid(["cache", "keys", ...there]);
    expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
      ["node", "tier", "age", "left", "tags", "key"],
      ["A", "memory", expect.any(String), expect.stringMatching(/^(?:59|60|1)/), "cities:NO", '""("oslo")'],
      ["A", "memory", expect.any(String), "-", "cities:IT, layout", '""("rome")'],
      ["B", "memory", expect.any(String), "-", "cities:PE", '""("lima")'],
    ]);
    expect(said).toEqual([]);
  });

  test("ends at its limit, and says how to continue", async () => {
    const first = await zooid(["cache", "keys", '""("', "--limit", "1", "--node", "A", "--json", ...there]);
    expect(rows(first.lines)).toMatchObject([{ node: "A", key: '""("oslo")', tags: ["cities:NO"] }]);
    expect(first.said).toEqual([`node A has more: go on with --after ${JSON.stringify('""("oslo")')}`]);
    const second = await zooid(["cache", "keys", "--after", '""("oslo")', "--node", "A", "--json", ...there]);
    expect(rows(second.lines)).toMatchObject([{ key: '""("rome")', tier: "memory" }]);
  });

  test("reads more keys than fit in a page, page by page", async () => {
    for (let index = 0; index < 2_100; index++) void b.set(`many${index}`, index);
    await until(() => b.stats().outbox === 0);
    const { lines } = await zooid(["cache", "keys", '""("many', "--limit", "2050", "--node", "B", "--json", ...there]);
    expect(new Set(rows(lines).map(({ key }) => key)).size).toBe(2_050);
  });
});

describe("zooid cache tags", () => {
  test("prints a tree with versions", async () => {
    const { lines } = await zooid(["cache", "tags", "cities", "--node", "A", ...there]);
    expect(lines.map((line) => line.trimEnd())).toEqual([
      "node  version  tag",
      "A     0        cities",
      "A     0          cities:IT",
      "A     0          cities:NO",
    ]);
    await a.invalidate("cities:IT");
    const again = await zooid(["cache", "tags", "cities", "--node", "A", "--json", ...there]);
    expect(rows(again.lines)).toContainEqual(
      expect.objectContaining({ tag: "cities:IT", version: a.tagVersion("cities:IT"), isPending: false }),
    );
  });

  test("lists the tags of keys below .key", async () => {
    const all = await zooid(["cache", "tags", "--json", ...there]);
    expect(rows(all.lines).some(({ tag }) => String(tag).startsWith(".key"))).toBe(false);
    const keys = await zooid(["cache", "tags", ".key", "--json", ...there]);
    expect(rows(keys.lines).length).toBeGreaterThan(0);
  });
});

describe("zooid cache invalidate, clear and prune", () => {
  test("invalidate makes the tag's dependents stale at every node, whether sent through one node or through all", async () => {
    const { lines, error } = await zooid(["cache", "invalidate", "cities:PE", "layout", "--node", "A", ...there]);
    expect(error).toBeUndefined();
    expect(lines).toEqual(["node  outcome", "A     published"]);
    await until(() => b.tagVersion("cities:PE") > 0);
    expect([await a.get("rome"), await a.get("oslo"), await b.get("lima")]).toEqual([undefined, 1, undefined]);
    const all = await zooid(["cache", "invalidate", "cities", "--json", ...there]);
    expect(rows(all.lines)).toMatchObject([
      { node: "A", outcome: "published" },
      { node: "B", outcome: "published" },
    ]);
    expect(await a.get("oslo")).toBeUndefined();
  });

  test("clear removes all entries", async () => {
    const { lines } = await zooid(["cache", "clear", ...there]);
    expect(lines).toEqual(["node  outcome", "A     published", "B     published"]);
    expect([a.stats().entries, b.stats().entries]).toEqual([0, 0]);
  });

  test("prune removes stale entries, and tags without dependents", async () => {
    void a.invalidate("cities:NO");
    const { lines } = await zooid(["cache", "prune", "--unused", "0ms", "--json", "--node", "A", ...there]);
    expect(rows(lines)).toMatchObject([{ node: "A", entries: 1, tags: expect.any(Number) as number }]);
    expect(a.stats().entries).toBe(1);
  });

  test("an invalid tag is refused and named, and changes nothing", async () => {
    const { error, lines } = await zooid(["cache", "invalidate", "cities:", ...there]);
    expect((error as Error).message).toMatch(/node A: tag "cities:" is not levels/);
    expect(error).toMatchObject({ code: "ZOOID_INVALID_TAG" });
    expect(lines).toEqual([]);
    expect(await a.get("oslo")).toBe(1);
  });
});

describe("nodes that do not answer", () => {
  test("a cache without nodes is an error that names prefix and address", async () => {
    const { error } = await zooid(["cache", "stats", "--prefix", "shop", "--servers", setup.url, "--wait", "20ms"]);
    expect(error).toMatchObject({
      code: "ZOOID_NOT_FOUND",
      message: expect.stringMatching(
        /^no node of a cache with prefix "shop" answered at ws:.* within 20 ms; --prefix names another cache$/,
      ) as string,
    });
  });

  test("an unknown node is an error that lists the nodes that answered", async () => {
    const { error } = await zooid(["cache", "stats", "--node", "C", ...there]);
    expect(error).toMatchObject({ code: "ZOOID_NOT_FOUND", message: 'no node "C" answered; there are A, B' });
  });

  test("nodes with the same name are shown with their ids, and --node accepts an id", async () => {
    const twin = await createCache({ busUrl: setup.url, node: "A" });
    try {
      await until(following(twin));
      const { lines } = await zooid(["cache", "stats", "--node", "A", ...there]);
      expect(lines.slice(1).map((line) => line.split(/ {2,}/)[0])).toEqual([
        expect.stringMatching(/^A \([0-9a-f]{16}\)$/),
        expect.stringMatching(/^A \([0-9a-f]{16}\)$/),
      ]);
      const id = /\((.*)\)/.exec(lines[1] ?? "")?.[1] ?? "";
      expect(rows((await zooid(["cache", "stats", "--node", id, "--json", ...there])).lines)).toMatchObject([{ instance: id }]);
    } finally {
      await twin.close();
    }
  });

  test("a process exits with 1 and one line with a code, or with 0 and the answer", async () => {
    const [missing, found] = await Promise.all([
      runZooid(["cache", "stats", "--node", "C", "--json", "--servers", setup.url, "--wait", "2s"]),
      runZooid(["cache", "keys", "--servers", setup.url], "", { ZOOID_NODE: "B", ZOOID_JSON: "yes", ZOOID_WAIT: "2s" }),
    ]);
    expect(missing).toMatchObject({ code: 1, out: "" });
    expect(JSON.parse(missing.err)).toMatchObject({
      event: "error",
      error: { code: "ZOOID_NOT_FOUND", facts: { node: "C", prefix: "zooid" } },
    });
    expect(found).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(found.out)).toMatchObject({ node: "B", key: '""("lima")' });
  });
});
