import { describe, expect, test } from "vitest";
import { emptyDigest } from "../../support/empty-digest.js";
import { BehindError, limits, SnapshotTooOldError, type Tid, tidZero } from "../../../core/index.js";
import { serverWorld } from "../../support/server-world.js";
import { watched } from "../../support/watched.js";

const keysNamed = (count: number, name: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`${name}/${String(index).padStart(6, "0")}`, ""]));

describe("invalidations", () => {
  test("name their predecessor, so that a gap in the chain is noticed", async () => {
    const world = await serverWorld();
    const client = await world.client();
    for (const key of ["a", "b", "c"]) await client.commit({ snapshot: (await client.alive()).position.tid, writes: { [key]: "1" } });
    const heard = client.invalidated;
    expect(heard.map(({ previous }) => previous)).toEqual([tidZero, heard[0]?.tid, heard[1]?.tid]);
  });

  test("of a batch that does not fit in one message come in several, in order", async () => {
    const world = await serverWorld({ payloadBytesMax: 2_000 });
    const client = await world.client();
    world.disk.held = true;
    const commits = Array.from({ length: 12 }, (_, index) => watched(client.commit({ writes: keysNamed(30, `k${index}`) })));
    await world.settled();
    world.disk.next().finish();
    await world.settled();
    expect(commits.map(({ state }) => state)).toEqual(commits.map(() => "done"));
    expect(client.heard.filter(({ type }) => type === "invalidations").length).toBeGreaterThan(3);
    expect(client.invalidated.map(({ tid }) => tid)).toEqual(commits.map(({ value }) => value?.tid));
    expect(client.invalidated.every(({ keys }) => keys?.length === 30)).toBe(true);
  });

  test("of a transaction whose keys do not fit have only their number; the keys are read in parts", async () => {
    const world = await serverWorld({ payloadBytesMax: 2_000 });
    const client = await world.client();
    const { tid } = await client.commit({ writes: keysNamed(500, "k") });
    expect(client.invalidated).toMatchObject([{ tid, keyCount: 500, keys: undefined }]);
    expect((await client.keys(tid, 0)).keys).toHaveLength(500);
  });

  test("of a transaction with very many keys have only their number, in the log too", async () => {
    const world = await serverWorld();
    const client = await world.client();
    const count = limits.invalidationKeysMax + 5;
    const { tid } = await client.commit({ writes: keysNamed(count, "k") });
    expect(client.invalidated).toMatchObject([{ tid, keyCount: count, keys: undefined }]);
    const page = await client.log(tidZero);
    expect(page).toMatchObject({ whole: true, transactions: [{ tid, keyCount: count, keys: undefined }] });
    const first = await client.keys(tid, 0);
    const rest = await client.keys(tid, first.keys.length);
    expect([first.keys.length, rest.keys.length]).toEqual([limits.invalidationKeysMax, 5]);
    expect((await client.keys(tid, count)).keys).toEqual([]);
  });
});

describe("the log", () => {
  test("returns the transactions after a tid, page by page", async () => {
    const world = await serverWorld();
    const client = await world.client();
    let snapshot: Tid = tidZero;
    for (let index = 0; index < 3; index++) ({ tid: snapshot } = await client.commit({ snapshot, writes: keysNamed(4_000, `k${index}`) }));
    const first = await client.log(tidZero);
    expect(first.transactions.map(({ tid }) => tid)).toEqual(client.invalidated.slice(0, 2).map(({ tid }) => tid));
    expect(first.whole).toBe(false);
    const rest = await client.log(first.transactions[1]?.tid ?? tidZero);
    expect(rest.transactions).toEqual(client.invalidated.slice(2));
    expect(rest.whole).toBe(true);
    expect(await client.log(snapshot)).toEqual({ transactions: [], whole: true });
  });

  test("reports a tid that it has not reached, or does not have", async () => {
    const world = await serverWorld();
    const client = await world.client();
    const { tid } = await client.commit({ writes: { a: "1" } });
    await expect(client.log((tid + 1) as Tid)).rejects.toThrow(BehindError);
    await expect(client.log((tid - 1) as Tid)).rejects.toThrow(SnapshotTooOldError);
  });
});

describe("verification", () => {
  const hourMs = 3_600_000;

  async function history(storage = {}) {
    const world = await serverWorld({ sessionTimeoutMs: 1_000 * hourMs, storage: { invalidationQueueSize: 2, ...storage } });
    const client = await world.client();
    const positions: { tid: Tid; digest: string }[] = [];
    let snapshot: Tid = tidZero;
    for (let index = 0; index < 5; index++) {
      const { tid, digest } = await client.commit({ snapshot, writes: { a: String(index) } });
      snapshot = tid;
      positions.push({ tid, digest });
      await world.clock.advance(60_000);
    }
    return { ...world, client, positions, last: positions[4] ?? positions[0] ?? { tid: tidZero, digest: emptyDigest } };
  }

  test("finds a cache up to date, or replays it from the queue or from the log", async () => {
    const { client, positions, last } = await history();
    for (const position of positions) {
      expect(await client.verify(position, last)).toEqual({ type: position === last ? "upToDate" : "replay", position: last });
    }
  });

  test("discards a cache that is older than both the invalidation age and the queue", async () => {
    const { client, positions } = await history({ invalidationAgeMs: 90_000 });
    const verdicts = await Promise.all(positions.map(async (position) => (await client.verify(position)).type));
    expect(verdicts).toEqual(["discard", "discard", "replay", "replay", "upToDate"]);
  });

  test("discards a cache that has missed more than replayTransactionsMax transactions", async () => {
    const { client, positions } = await history({ replayTransactionsMax: 3 });
    const verdicts = await Promise.all(positions.map(async (position) => (await client.verify(position)).type));
    expect(verdicts).toEqual(["discard", "replay", "replay", "replay", "upToDate"]);
    expect((await client.verify(positions[0] ?? { tid: tidZero, digest: emptyDigest })).type).toBe("discard");
  });

  test("recognises another history by its digest, or by a passed tid that it does not have", async () => {
    const { client, positions, last } = await history();
    const [first] = positions;
    const at = first?.tid ?? tidZero;
    const other = "0123456789abcdef";
    expect((await client.verify({ tid: at, digest: other })).type).toBe("otherHistory");
    expect((await client.verify({ tid: (at + 1) as Tid, digest: other })).type).toBe("otherHistory");
    expect((await client.verify({ tid: last.tid, digest: other })).type).toBe("otherHistory");
    expect((await client.verify(first ?? last, { tid: (last.tid - 1) as Tid, digest: other })).type).toBe("otherHistory");
  });

  test("reports as lost transactions that the cache has seen and the server has not reached", async () => {
    const { client, last } = await history();
    const ahead = { tid: (last.tid + 1) as Tid, digest: "0123456789abcdef" };
    expect((await client.verify(ahead)).type).toBe("lost");
    expect((await client.verify(last, ahead)).type).toBe("lost");
  });

  test("replays an empty cache of a young storage", async () => {
    const { client } = await history({ invalidationQueueSize: 100 });
    expect((await client.verify({ tid: tidZero, digest: emptyDigest })).type).toBe("replay");
  });
});

describe("pruning", () => {
  test("removes revisions older than the history age, but never those that a live client reads", async () => {
    const world = await serverWorld({
      pruningIntervalMs: 1_000,
      sessionTimeoutMs: 1_000_000_000,
      storage: { historyAgeMs: 60_000, snapshotRetentionMs: 1_000, invalidationQueueSize: 1, outcomeAgeMs: 1_000 },
    });
    const client = await world.client();
    const reader = await world.client("reader");
    const { tid: first } = await client.commit({ writes: { a: "1" } });
    await reader.alive(first);
    let snapshot = first;
    for (let minute = 0; minute < 4; minute++) {
      await world.clock.advance(50_000);
      ({ tid: snapshot } = await client.commit({ snapshot, writes: { a: String(minute) } }));
    }
    await world.clock.advance(2_000);
    expect(world.server.status("main").historyFloor).toBe(first);
    expect((await reader.load(first, "a")).revisions[0]?.serial).toBe(first);

    await reader.alive();
    await world.clock.advance(2_000);
    expect(world.server.status("main").historyFloor).toBeGreaterThan(first);
    expect(world.server.status("main").counters["pruned"]).toBeGreaterThan(0);
    await expect(reader.load(first, "a")).rejects.toThrow(SnapshotTooOldError);
    await expect(reader.list(first, { from: "a", to: undefined })).rejects.toThrow(SnapshotTooOldError);
    expect((await reader.load(snapshot, "a")).revisions[0]?.serial).toBe(snapshot);
    await expect(reader.log(first)).rejects.toThrow(SnapshotTooOldError);
    expect((await reader.verify({ tid: first, digest: "0123456789abcdef" })).type).toBe("discard");
  });

  test("happens between two batches, never during one", async () => {
    const world = await serverWorld({
      pruningIntervalMs: 1_000,
      storage: { historyAgeMs: 1_000, snapshotRetentionMs: 1, outcomeAgeMs: 1 },
    });
    const client = await world.client();
    const { tid: first } = await client.commit({ writes: { a: "0" } });
    await world.clock.advance(5_000);
    const { tid: snapshot } = await client.commit({ snapshot: first, writes: { a: "1" } });
    world.disk.held = true;
    const commit = watched(client.commit({ snapshot, writes: { a: "2" } }));
    await world.clock.advance(2_000);
    expect(world.disk.waiting).toBe(1);
    expect(world.server.status("main").machines).toEqual({ "group-commit": "writing", pruning: "raisingFloor" });
    world.disk.next().finish();
    await world.settled();
    expect(commit.state).toBe("done");
    expect(world.server.status("main").machines["group-commit"]).toBe("maintaining");
    const next = watched(client.commit({ snapshot: commit.value?.tid ?? snapshot, writes: { a: "3" } }));
    await world.settled();
    expect([world.disk.waiting, next.state]).toEqual([1, "waiting"]);
    world.disk.held = false;
    world.disk.next().finish();
    await world.settled();
    expect(next.state).toBe("done");
  });
});
