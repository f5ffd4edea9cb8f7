/** The judges of watchers, given clients that give false changes and false reads of a true history. */
import { beforeEach, describe, expect, test } from "vitest";
import { type Change, Watchers } from "../../../actors/client/watching.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import type { OrderedStore } from "../../../storage/kv/ordered-store.js";
import { ObjectStore } from "../../../storage/objects/object-store.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { encodeValue, silentLog, type Tid, tidZero } from "../../../core/index.js";
import { listAt, type Moment } from "../common/history.js";
import { Checker, type Life } from "./checker.js";
import { Mirror, type MirroredClient } from "./mirror.js";
import { Watch } from "./watch.js";
import { prefixes } from "./world.js";

const life: Life = { client: "c", number: 1, lastSnapshot: undefined, lastCommit: undefined, ownWrites: new Map() };
/** They draw the prefix of all keys, or the prefix `a/`. */
const allKeys = { fraction: () => 0 };
const keysOfA = { fraction: () => 1 / (prefixes.length + 1) };

let clock: SimulatedClock;
let checker: Checker;
let store: ObjectStore;
let ordered: OrderedStore;
let watchers: Watchers;
/** The last moment that the client has applied. */
let applied: Moment;
let ids: number;

beforeEach(async () => {
  clock = new SimulatedClock();
  checker = new Checker();
  watchers = new Watchers();
  const disk = new MemoryDisk("disk");
  const open = async () => (ordered = await disk.open());
  store = await ObjectStore.open(open, { storage: "main", log: silentLog, clock });
  applied = checker.history.head;
  ids = 0;
});

/** Commits to the storage. The client does not hear of it. */
async function commit(writes: Record<string, string | undefined>): Promise<Moment> {
  const batch = store.openBatch();
  const encoded = Object.entries(writes).map(([key, value]) => ({ key, value: value === undefined ? undefined : encodeValue(value) }));
  const request = { id: `${++ids}`, snapshot: store.position.tid, serializable: true, reads: [], ranges: [], writes: encoded };
  batch.addTransaction(request, 1_000_000);
  await batch.write({ alone: true });
  ordered.read((view) => checker.history.extend(view));
  return checker.history.head;
}

/** The client applies `moment` and gives its watchers the changes of all its keys, or only of `keys`. */
async function apply(moment: Moment, keys: readonly string[] = [...moment.writes.keys()]): Promise<void> {
  applied = moment;
  watchers.applied({ previous: moment.previous?.tid ?? tidZero, tid: moment.tid, digest: moment.digest, keys });
  await clock.advance(0);
}

const sentences = () =>
  checker.violations.map(({ promise, message }) => `${promise} ${message.replace(/^promise \d+: /, "").replace(/ \{.*/, "")}`);

const watchedClient = {
  get position() {
    return { tid: applied.tid, digest: applied.digest };
  },
  watch: (prefix: string): AsyncIterableIterator<Change> => watchers.watch(prefix, undefined),
};

describe("a watch", () => {
  const missed = "5 a watcher gets each change, or a reset";
  const watch = (random = allKeys) => new Watch({ checker }, watchedClient, life, random);

  test("finds no fault in a watcher that gets each change once, in order", async () => {
    await apply(await commit({ "a/1": "1" }));
    const watcher = watch();
    await apply(await commit({ "a/1": "2", "b/1": "1" }));
    await apply(await commit({ "a/1": undefined }));
    watcher.checkGotAll();
    expect(sentences()).toEqual([]);
  });

  test("reports a transaction of which the watcher got nothing: at the next change, or in the end", async () => {
    const watcher = watch();
    const [first, second] = [await commit({ "a/1": "1" }), await commit({ "a/1": "2" })];
    await apply(second);
    expect(first.tid).toBeLessThan(second.tid);
    expect(sentences()).toEqual([missed]);
    applied = await commit({ "a/1": "3" });
    watcher.checkGotAll();
    expect(sentences()).toEqual([missed, missed]);
  });

  test("reports a key of a transaction that the watcher did not get", async () => {
    watch();
    await apply(await commit({ "a/1": "1", "a/2": "1" }), ["a/1"]);
    expect(sentences()).toEqual([]);
    await apply(await commit({ "a/1": "2" }));
    expect(sentences()).toEqual([missed]);
  });

  test("reports a change that comes twice, one of another key, and one that was never committed", async () => {
    watch();
    const moment = await commit({ "a/1": "1" });
    await apply(moment, ["a/1", "a/1"]);
    await apply(moment, ["a/2"]);
    watchers.applied({ previous: moment.tid, tid: (moment.tid + 1) as Tid, digest: "another", keys: ["a/1"] });
    await clock.advance(0);
    expect(sentences()).toEqual([
      "5 a watcher gets each change once",
      "5 a watcher gets each change once",
      "5 every change that a watcher gets was committed",
    ]);
  });

  test("demands changes of its own prefix only, and none from before a reset", async () => {
    const [watcher, ofA] = [watch(), watch(keysOfA)];
    await apply(await commit({ "b/1": "1" }));
    ofA.checkGotAll();
    applied = await commit({ "a/1": "1" });
    watchers.reset();
    await clock.advance(0);
    for (const each of [watcher, ofA]) each.checkGotAll();
    await apply(await commit({ "a/1": "2" }));
    for (const each of [watcher, ofA]) each.checkGotAll();
    expect(sentences()).toEqual([]);
  });
});

describe("a mirror", () => {
  /** The moment that reads give, if a test wants another one than the last that was applied. */
  let readAt: Moment | undefined;
  /** Values that reads give instead of the committed ones. */
  let falseValues: ReadonlyMap<string, string>;
  let unexpected: unknown[];

  beforeEach(() => {
    readAt = undefined;
    falseValues = new Map();
    unexpected = [];
  });

  const client: MirroredClient = {
    watch: watchedClient.watch,
    get position() {
      return watchedClient.position;
    },
    read: async (use) => {
      const moment = readAt ?? applied;
      const get = async (key: string) => falseValues.get(key) ?? moment.state.get(key)?.value;
      async function* list(prefix: string) {
        yield* listAt(moment, prefix);
      }
      return { value: await use({ get, list }), asOf: moment.tid };
    },
  };

  async function mirror(random = allKeys): Promise<Mirror> {
    const world = { checker, isCalm: true, unlessExpected: (_: string, error: unknown) => void unexpected.push(error) };
    const made = new Mirror({ world, client, clock: clock.node(), random, life });
    await clock.advance(0);
    return made;
  }

  test("finds no fault in a copy that follows the storage, and ends with its client", async () => {
    await apply(await commit({ "a/1": "1", "b/1": "1" }));
    const made = await mirror();
    await apply(await commit({ "a/1": "2", "a/2": "1" }));
    await apply(await commit({ "a/1": undefined }));
    expect(made.isLevel).toBe(true);
    watchers.close();
    await clock.advance(0);
    made.checkEnded();
    expect([...sentences(), ...unexpected]).toEqual([]);
  });

  test("reports a copy that misses a change, once it has handled the changes that it got", async () => {
    await mirror();
    await apply(await commit({ "a/1": "1", "a/2": "1" }), ["a/2"]);
    expect(sentences()).toEqual(["5 a mirror that has handled all changes equals the storage at its client's position"]);
  });

  test("takes a reset for any missed change: it lists again", async () => {
    await mirror();
    applied = await commit({ "a/1": "1" });
    watchers.reset();
    await clock.advance(0);
    expect(sentences()).toEqual([]);
  });

  test("reports a read after a change that is older than the change, or older than an earlier read", async () => {
    const first = await commit({ "a/1": "1" });
    await apply(first);
    await mirror();
    const second = await commit({ "a/1": "2" });
    readAt = first;
    await apply(second);
    expect(sentences()[0]).toBe("5 a read after a change is not older than the change or an earlier read");
  });

  test("reports a read that gives a value which was not committed", async () => {
    await mirror();
    falseValues = new Map([["a/1", "false"]]);
    await apply(await commit({ "a/1": "1" }));
    expect(sentences()[0]).toBe("5 a read after a change gives a committed value");
  });

  test("reports a watcher that does not end with its client", async () => {
    const made = await mirror(keysOfA);
    made.checkEnded();
    expect(sentences()).toEqual(["12 a watcher ends with its client"]);
  });
});
