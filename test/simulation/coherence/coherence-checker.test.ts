import { beforeEach, describe, expect, test } from "vitest";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { ObjectStore } from "../../../storage/objects/object-store.js";
import type { OrderedStore } from "../../../storage/kv/ordered-store.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { encodeValue, silentLog } from "../../../core/index.js";
import { Checker, type Life } from "../objects/checker.js";
import { CoherenceChecker } from "./coherence-checker.js";
import type { Reading } from "./reading.js";

/** A storage with a true history. The tests report false results of cached functions to the checker. */
describe("checker of results made of objects", () => {
  let clock: SimulatedClock;
  let checker: Checker;
  let coherence: CoherenceChecker;
  let store: ObjectStore;
  let ordered: OrderedStore;
  let life: Life;
  let commits = 0;

  beforeEach(async () => {
    clock = new SimulatedClock();
    checker = new Checker(() => clock.monotonic());
    coherence = new CoherenceChecker(checker, clock);
    life = { client: "c", number: 1, lastSnapshot: undefined, lastCommit: undefined, ownWrites: new Map() };
    const disk = new MemoryDisk("disk");
    store = await ObjectStore.open(async () => (ordered = await disk.open()), { storage: "main", log: silentLog, clock });
    await commit({ "k/1": "1", "k/2": "1" });
  });

  async function commit(writes: Record<string, string>): Promise<void> {
    await clock.advance(100);
    const name = `attempt${++commits}`;
    const attempt = checker.began(name, life, { ...life }, store.position.tid, store.position.digest, false);
    const named = Object.entries(writes).map(([key, value]) => [key, `${name}.${value}`] as const);
    for (const [key, value] of named) attempt.writes.set(key, value);
    const batch = store.openBatch();
    const encoded = named.map(([key, value]) => ({ key, value: encodeValue(value) }));
    batch.addTransaction(
      { id: name, snapshot: attempt.snapshot.tid, serializable: false, reads: [], ranges: [], writes: encoded },
      clock.now(),
    );
    await batch.write({ alone: true });
    ordered.read((view) => checker.durable(view));
  }

  const now = (key: string) => checker.history.head.state.get(key)?.value;
  const reading = (...seen: Reading["seen"]): Reading => ({ run: 1, seen, failedAt: undefined });
  const began = (ageMsMax = Infinity) => coherence.began("f", life, store.position.digest, ageMsMax);
  const ended = (call: ReturnType<typeof began>, given: Reading) => coherence.ended(call, given, store.position.digest);
  const sentences = () => checker.violations.map(({ kind }) => kind.replace(/^promise 11: /, ""));

  test("accepts a state that existed at some moment of the call", async () => {
    const call = began();
    const before = now("k/1");
    await commit({ "k/1": "2" });
    ended(call, reading({ values: [["k/1", before]] }));
    ended(call, reading({ values: [["k/1", now("k/1")]] }));
    ended(began(), reading({ values: [["k/3", undefined]] }));
    expect(sentences()).toEqual([]);
  });

  test("reports a value replaced before the call, a listing that lacks keys, and a mixture of two moments", async () => {
    const [one, two] = [now("k/1"), now("k/2")];
    const mixing = began();
    await commit({ "k/1": "2", "k/2": "2" });
    ended(began(), reading({ values: [["k/1", one]] }));
    ended(began(), reading({ values: [["k/1", now("k/1")]], prefix: "k/" }));
    ended(
      mixing,
      reading({
        values: [
          ["k/1", now("k/1")],
          ["k/2", two],
        ],
      }),
    );
    expect(sentences()).toEqual(Array(3).fill("a call gets nothing that an applied transaction replaced before it"));
  });

  test("reports a value that the client's own commit has replaced, though the commit is not applied yet", async () => {
    const behind = store.position.digest;
    const before = now("k/1");
    await commit({ "k/1": "2" });
    const other = coherence.began("f", life, behind, Infinity);
    life.ownWrites.set("k/1", checker.history.head);
    const own = coherence.began("f", life, behind, Infinity);
    ended(other, reading({ values: [["k/1", before]] }));
    expect(sentences()).toEqual([]);
    ended(own, reading({ values: [["k/1", before]] }));
    expect(sentences()).toEqual(["a call gets nothing that an acknowledged commit of its own client replaced before it"]);
  });

  test("reports a value replaced longer ago than the call allows, even if the client does not know of it", async () => {
    const behind = store.position.digest;
    const before = now("k/1");
    await commit({ "k/1": "2" });
    await clock.advance(1_000);
    const call = (ageMsMax: number) => coherence.began("f", life, behind, ageMsMax);
    ended(call(1_100), reading({ values: [["k/1", before]] }));
    expect(sentences()).toEqual([]);
    ended(call(900), reading({ values: [["k/1", before]] }));
    expect(sentences()).toEqual(["a result read with maxStaleMs is not given for longer"]);
  });

  test("reports a result made of a read that failed before the call", () => {
    const waiting = began();
    const failed: Reading = { run: 1, seen: [], failedAt: coherence.next() };
    ended(waiting, failed);
    expect(sentences()).toEqual([]);
    ended(began(), failed);
    expect(sentences()).toEqual(["a result made of a failed read is given to no later call"]);
  });
});
