import { describe, expect, test } from "vitest";
import type { OrderedStore, View } from "../../../storage/kv/ordered-store.js";
import type { Clock } from "../../../core/index.js";
import { limits, type Tid } from "../../../core/index.js";
import { serverWorld, TestDisk, type WorldOptions } from "../../support/server-world.js";
import { WireClient } from "../../support/wire-client.js";

/** Assumed time to read one record, in ms: a step of 5 ms reads 5,000 records. */
const lookMs = 0.001;

/** A server that counts the records it reads, with `count` transactions that are in its log only. */
async function longLog(count: number, options: WorldOptions["storage"] = {}) {
  const looks = { all: 0, longestStep: 0 };
  const disk = new TestDisk();
  const counting = async (): Promise<OrderedStore> => {
    const store = await disk.open();
    const read: OrderedStore["read"] = (use) => {
      const before = looks.all;
      const result = store.read((view) => use(counted(view)));
      looks.longestStep = Math.max(looks.longestStep, looks.all - before);
      return result;
    };
    return { path: store.path, read, batch: (changes, how) => store.batch(changes, how), close: () => store.close() };
  };
  const counted = (view: View): View => ({
    get(key) {
      looks.all++;
      return view.get(key);
    },
    *range(range) {
      for (const entry of view.range(range)) {
        looks.all++;
        yield entry;
      }
    },
  });
  // The server's clock advances with each record read, since reading takes time in reality.
  const serverClock = (clock: Clock): Clock => ({
    now: () => clock.now(),
    monotonic: () => clock.monotonic() + looks.all * lookMs,
    setTimeout: (action, delayMs) => clock.setTimeout(action, delayMs),
    clearTimeout: (timer) => clock.clearTimeout(timer),
  });
  const world = await serverWorld({ storage: { invalidationQueueSize: 1, open: counting, ...options }, serverClock });
  const client = await world.client();
  const commits = Array.from({ length: count }, (_, n) => client.commit({ writes: { [`k/${n}`]: "1" } }));
  const committed = await world.clock.settle(Promise.all(commits), 600_000);
  const positions = [{ tid: 0 as Tid, digest: "0".repeat(16) }, ...committed.map(({ tid, digest }) => ({ tid, digest }))];
  looks.all = 0;
  looks.longestStep = 0;
  return { ...world, looks, client, positions };
}

describe("clients that return after many transactions", () => {
  test("are verified by a few look-ups each, however far behind they are", async () => {
    const { client, positions, looks } = await longLog(3_000, { replayTransactionsMax: 2_000 });
    const verdictAt = async (index: number) => (await client.verify(positions[index] ?? { tid: 0 as Tid, digest: "" })).type;
    expect(await verdictAt(0)).toBe("discard");
    expect(await verdictAt(999)).toBe("discard");
    expect(await verdictAt(1_000)).toBe("replay");
    expect(await verdictAt(2_998)).toBe("replay");
    expect(await verdictAt(3_000)).toBe("upToDate");
    expect(looks.all).toBeLessThan(30);
  });

  test("read the same pages, each of which is read from the log once", async () => {
    const { positions, looks, broker, clock } = await longLog(3_500);
    const readAll = async (from: number) => {
      const reader = new WireClient(broker.connect(), "test", "main");
      await reader.register();
      const tids: number[] = [];
      for (let after = positions[from]?.tid ?? (0 as Tid); ;) {
        const { transactions, whole } = await reader.log(after);
        tids.push(...transactions.map(({ tid }) => tid));
        if (whole) return tids;
        after = transactions.at(-1)?.tid ?? after;
      }
    };
    const starts = [0, 1, 500, 999, 1_000, 1_700, 3_400];
    const all = await clock.settle(Promise.all([...starts, ...starts].map(readAll)), 10_000);
    for (const [index, start] of [...starts, ...starts].entries()) {
      expect(all[index]).toEqual(positions.slice(start + 1).map(({ tid }) => tid));
    }
    // From the start of the request to the end of a page, and then page by page.
    const pages = [1_000, 999, 500, 1, 1_000, 300, 1_000, 500, 100];
    expect(looks.all).toBeLessThan(pages.reduce((sum, count) => sum + count) + 5 * pages.length);
    expect(looks.longestStep).toBeLessThanOrEqual(limits.logPageTransactionsMax + 1);
  });

  test("wait for each other, and a commit does not wait for them", async () => {
    const { client, positions, broker, clock } = await longLog(6_000);
    const answered: string[] = [];
    const pages = Array.from({ length: 40 }, async (_, n) => {
      const reader = new WireClient(broker.connect(), "test", "main");
      await reader.register();
      // Each request starts at another transaction, so no page is shared.
      await reader.log(positions[n * 100 + 1]?.tid ?? (0 as Tid));
      answered.push("page");
    });
    await clock.settle(Promise.all(pages.slice(0, 5)), 10_000);
    const committing = client.commit({ writes: { now: "1" } }).then(() => answered.push("commit"));
    await clock.settle(Promise.all([committing, ...pages]), 10_000);
    expect(answered.indexOf("commit")).toBeLessThan(20);
    expect(answered).toHaveLength(41);
  });

  test("with more requests for pages than they can read are refused, and others are not", async () => {
    const { client, positions, broker, clock } = await longLog(2_500);
    const greedy = Array.from({ length: 200 }, (_, n) => client.log(positions[n * 10]?.tid ?? (0 as Tid)).then(() => "page", String));
    const other = new WireClient(broker.connect(), "test", "main");
    await clock.settle(other.register(), 1_000);
    expect((await clock.settle(other.log(positions[7]?.tid ?? (0 as Tid)), 10_000)).transactions.length).toBeGreaterThan(0);
    const outcomes = await clock.settle(Promise.all(greedy), 10_000);
    expect(outcomes.filter((outcome) => outcome.startsWith("ServerBusyError")).length).toBeGreaterThan(100);
    expect(outcomes).toContain("page");
  });
});
