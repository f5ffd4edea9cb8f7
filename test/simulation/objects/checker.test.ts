import { beforeEach, describe, expect, test } from "vitest";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { ObjectStore } from "../../../storage/objects/object-store.js";
import type { OrderedStore } from "../../../storage/kv/ordered-store.js";
import { asTid, encodeValue, silentLog, systemClock } from "../../../core/index.js";
import type { Attempt, Life } from "./checker.js";
import { Checker } from "./checker.js";
import type { Moment } from "../common/history.js";

/** A storage with a true history. The tests report false results to the checker. */
describe("checker", () => {
  let checker: Checker;
  let store: ObjectStore;
  let ordered: OrderedStore;
  let life: Life;
  let ids = 0;

  beforeEach(async () => {
    checker = new Checker();
    life = { client: "c", number: 1, lastSnapshot: undefined, lastCommit: undefined, ownWrites: new Map() };
    const disk = new MemoryDisk("disk");
    const open = async () => (ordered = await disk.open());
    store = await ObjectStore.open(open, { storage: "main", log: silentLog, clock: systemClock });
  });

  const begin = (name: string, isSerializable = true): Attempt =>
    checker.began(name, life, { ...life }, store.position.tid, store.position.digest, isSerializable);

  async function commit(attempt: Attempt, writes: Record<string, string | undefined>): Promise<Moment> {
    for (const [key, value] of Object.entries(writes)) attempt.writes.set(key, value);
    const batch = store.openBatch();
    const encoded = Object.entries(writes).map(([key, value]) => ({ key, value: value === undefined ? undefined : encodeValue(value) }));
    const id = `${++ids}`;
    const request = { id, snapshot: attempt.snapshot.tid, serializable: true, reads: [], ranges: [], writes: encoded };
    batch.addTransaction(request, 1_000_000);
    await batch.write({ alone: true });
    ordered.read((view) => checker.durable(view));
    return checker.history.head;
  }

  const sentences = () =>
    checker.violations.map(({ promise, message }) => `${promise} ${message.replace(/^promise \d+: /, "").replace(/ \{.*/, "")}`);

  test("a correct run has no violations", async () => {
    const first = begin("a");
    checker.read(first, "k/1", undefined);
    checker.listed(first, "k/", []);
    const moment = await commit(first, { "k/1": "a.1", "k/2": "a.2" });
    checker.acknowledged(first, moment.tid);
    const second = begin("b");
    checker.read(second, "k/1", "a.1");
    checker.listed(second, "k/", [
      ["k/1", "a.1"],
      ["k/2", "a.2"],
    ]);
    checker.sent("a message", store.position);
    checker.cached("c", store.position, "k/2", "a.2");
    checker.acknowledged(second, (await commit(second, { "k/1": undefined, "k/3": "b.1" })).tid);
    expect(sentences()).toEqual([]);
  });

  test("a stale read, a stale listing and a stale cache are reported", async () => {
    await commit(begin("a"), { k: "a.1" });
    await commit(begin("b"), { k: "b.1" });
    const attempt = begin("c");
    checker.read(attempt, "k", "a.1");
    checker.listed(attempt, "k", []);
    checker.cached("c", store.position, "k", "a.1");
    expect(sentences()).toEqual([
      "1 a read sees the state at the snapshot",
      "1 a listing sees the state at the snapshot",
      "4 a cache never serves as current a value that an invalidation before its last tid replaced",
    ]);
  });

  test("a lost update and a write skew are reported, the skew only for a serializable transaction", async () => {
    const [lost, skewed, allowed, other] = [begin("lost"), begin("skewed"), begin("allowed", false), begin("other")];
    for (const attempt of [skewed, allowed]) checker.read(attempt, "k", undefined);
    await commit(other, { k: "other.1" });
    await commit(lost, { k: "lost.1" });
    await commit(skewed, { x: "skewed.1" });
    await commit(allowed, { y: "allowed.1" });
    expect(new Set(sentences())).toEqual(
      new Set([
        "2 no object that a commit writes changed since its snapshot",
        "3 no object that a serializable transaction read changed before its commit",
      ]),
    );
  });

  test("a phantom in a listed prefix is reported", async () => {
    const [lister, creator] = [begin("lister"), begin("creator")];
    checker.listed(lister, "k/", []);
    await commit(creator, { "k/new": "creator.1" });
    await commit(lister, { x: "lister.1" });
    expect(sentences()).toEqual(["3 no prefix that a serializable transaction listed changed before its commit"]);
  });

  test("a refused commit that was made, one made twice, one without a request and one not made are reported", async () => {
    const [refused, twice, missing] = [begin("refused"), begin("twice"), begin("missing")];
    checker.refused(refused);
    await commit(refused, { a: "refused.1" });
    await commit(twice, { b: "twice.1" });
    const again = begin("again");
    await commit(again, { b: "twice.1" });
    await commit(again, { c: "foreign.1" });
    missing.writes.set("d", "missing.1");
    checker.acknowledged(missing, store.position.tid);
    expect(new Set(sentences())).toEqual(
      new Set([
        "8 no refused, aborted or fenced transaction is committed",
        "8 a transaction is committed once",
        "2 no object that a commit writes changed since its snapshot",
        "8 every committed transaction was requested",
        "7 an acknowledged commit is in the history",
      ]),
    );
  });

  test("a tid sent before it is durable, a fence that does not hold and snapshots that go back are reported", async () => {
    checker.sent("a message", { tid: asTid(5), digest: "5".repeat(16) });
    checker.sentTid("a refusal", asTid(5));
    const early = begin("early");
    checker.saidNever(`${ids + 1}`, early.snapshot.tid);
    const moment = await commit(begin("late"), { k: "late.1" });
    begin("new");
    life.lastCommit = moment;
    checker.began("back", life, { ...life }, early.snapshot.tid, moment.digest, true);
    expect(sentences()).toEqual([
      "7 no tid leaves the server before it is on disk",
      "7 no tid leaves the server before it is on disk",
      "8 no transaction with the outcome never is committed",
      "1 a snapshot is never before the client's own last commit",
      "1 snapshots of a client never go back",
    ]);
  });
});
