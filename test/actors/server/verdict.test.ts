import { describe, expect, test } from "vitest";
import { Verdicts } from "../../../actors/server/verdict.js";
import { ObjectStore } from "../../../storage/objects/object-store.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { SimulatedDisk } from "../../../testing/simulated-disk.js";
import { asTid, encodeValue, seededRandom, silentLog } from "../../../core/index.js";

async function openStore() {
  const clock = new SimulatedClock();
  const faults = { latencyMsMin: 1, latencyMsMax: 1, notifyMsMax: 1_000, inTurn: 0, doubt: 0 };
  const disk = new SimulatedDisk({ name: "disk", clock, random: seededRandom(1), faults });
  const store = await clock.settle(ObjectStore.open(disk.open, { storage: "main", log: silentLog, clock }), 10_000);
  const verdicts = new Verdicts(store, { writes: true });
  const put = (id: string) => {
    const batch = store.openBatch();
    batch.addTransaction(
      {
        id,
        snapshot: store.position.tid,
        serializable: true,
        reads: [],
        ranges: [],
        writes: [{ key: "k", value: encodeValue(id) }],
      },
      clock.now(),
    );
    return Promise.resolve(batch.write({ alone: false }));
  };
  return { clock, store, verdicts, put };
}

describe("verdict on a cache", () => {
  test("a cache that learned of a batch from a load before the store did is up to date, not ahead of the server", async () => {
    const { clock, store, verdicts, put } = await openStore();
    const position = store.position;
    const written = put("a");
    const loadedAsOf = () => store.load("k", position.tid).asOf;
    await clock.until(() => loadedAsOf().tid > position.tid, 10);
    const asOf = loadedAsOf();
    expect(asOf.tid).toBeGreaterThan(store.position.tid);
    expect(verdicts.on({ position, asOf })).toEqual({ type: "upToDate", position });
    expect(verdicts.on({ position, asOf: { ...asOf, digest: "0".repeat(16) } }).type).toBe("otherHistory");
    expect(verdicts.on({ position, asOf: { tid: asTid(asOf.tid + 1), digest: asOf.digest } }).type).toBe("lost");
    await clock.settle(written, 2_000);
    expect(verdicts.on({ position, asOf })).toEqual({ type: "replay", position: asOf });
  });

  test("for a cache ahead of the server, a writer reports a loss and a read-only server is behind", async () => {
    const { store, verdicts } = await openStore();
    const { position } = store;
    const ahead = { tid: asTid(position.tid + 1), digest: "0123456789abcdef" };
    const reader = new Verdicts(store, { writes: false });
    for (const verify of [
      { position: ahead, asOf: ahead },
      { position, asOf: ahead },
    ]) {
      expect(verdicts.on(verify)).toEqual({ type: "lost", position });
      expect(reader.on(verify)).toEqual({ type: "behind", position });
    }
  });
});
