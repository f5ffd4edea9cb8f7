import { expect, test } from "vitest";
import { ResultShare } from "../actors/cache/result-share.js";
import { RefusedIds } from "../actors/server/refused-ids.js";
import { RequestMemory } from "../actors/system/request-memory.js";
import { limits, silentLog, tag, tidZero } from "../core/index.js";
import { CacheDisk } from "../storage/client-cache/disk.js";
import { ObjectReads } from "../storage/client-cache/object-reads.js";
import { encodeRecord } from "../storage/client-cache/revision.js";
import { type Ending, Expiry } from "../storage/results/expiry.js";
import { LatestInvalidations } from "../storage/results/latest-invalidations.js";
import { TagTrie } from "../storage/results/tag-trie.js";
import { MemoryDisk } from "../testing/memory-store.js";
import { SimulatedClock } from "../testing/simulated-clock.js";

type Add = (number: number) => void;

/** Adds entries by number; past `max`, it evicts the oldest. */
interface Bounded {
  readonly max: number;
  readonly adder: () => Add | Promise<Add>;
}

const places: Readonly<Record<string, Bounded>> = {
  "the results of one function": {
    max: 1_000,
    adder: () => {
      const share = new ResultShare({ entriesMax: 1_000, bytesMax: Infinity, evict: () => undefined });
      return (number) => void share.reserve(String(number), 1);
    },
  },
  "the requests of an actor system": {
    max: limits.actorRequestsRememberedMax,
    adder: () => {
      const memory = new RequestMemory();
      return (number) => {
        memory.take(String(number), () => undefined);
        memory.answer(String(number), new Uint8Array(1));
      };
    },
  },
  "the entries of a client's cache on disk": {
    max: 1_000,
    adder: async () => {
      const options = { storage: "main", realm: "test", clock: new SimulatedClock(), log: silentLog, bytesMax: 30_000 };
      const disk = await CacheDisk.open({ ...options, open: new MemoryDisk("disk").open });
      const record = encodeRecord(tidZero, undefined);
      return (number) => void disk.put(`key ${number}`, tidZero, record);
    },
  },
  "the reads of a storage that no result holds": {
    max: limits.objectReadsUnusedMax,
    adder: () => {
      const reads = new ObjectReads();
      return (number) => void reads.key(String(number), tidZero);
    },
  },
  "the reads of a full storage": {
    max: 2_000,
    adder: () => {
      const reads = new ObjectReads({ readsMax: 2_000 });
      return (number) => {
        const read = reads.key(String(number), tidZero);
        if (number < 1_000) read.hold();
      };
    },
  },
  "the ids of refused transactions": {
    max: limits.refusedIdsMax,
    adder: () => {
      const refused = new RefusedIds();
      return (number) => refused.refuse(String(number), "aborted");
    },
  },
  "the latest invalidations": {
    max: limits.latestInvalidationsMax,
    adder: () => {
      const latest = new LatestInvalidations(limits.latestInvalidationsMax);
      return (number) => latest.apply(tag`t:${number}`, number);
    },
  },
  "the tags that nothing depends on": {
    max: limits.tagsIdleMax,
    adder: () => {
      const trie = new TagTrie({ clock: new SimulatedClock() });
      return (number) => trie.release(trie.depend([tag`t:${number}`]));
    },
  },
};

const iterations = [
  [Map.prototype, "keys"],
  [Map.prototype, "values"],
  [Map.prototype, "entries"],
  [Map.prototype, Symbol.iterator],
  [Set.prototype, "values"],
  [Set.prototype, Symbol.iterator],
] as const;

/** Number of iterations over a Map or Set that `run` begins. */
function iterationsOf(run: () => void): number {
  let begun = 0;
  const originals = iterations.map(([prototype, name]) => Reflect.get(prototype, name) as () => unknown);
  const define = (index: number, value: () => unknown) => {
    const [prototype, name] = iterations[index]!;
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  };
  for (const [index, original] of originals.entries()) {
    define(index, function (this: unknown) {
      begun++;
      return Reflect.apply(original, this, []);
    });
  }
  try {
    run();
  } finally {
    for (const [index, original] of originals.entries()) define(index, original);
  }
  return begun;
}

// V8 walks over all deleted entries of a Map or Set before it reaches the first living one.
test.each(Object.entries(places))("%s begin few iterations when they evict the oldest", async (_, { max, adder }) => {
  const add = await adder();
  for (let number = 0; number < max; number++) add(number);
  const evictions = Math.ceil(max / 2);
  const begun = iterationsOf(() => {
    for (let number = max; number < max + evictions; number++) add(number);
  });
  expect(begun).toBeLessThanOrEqual(evictions / 8);
});

test("the items of one second expire in one iteration, also when some were removed or added meanwhile", () => {
  const expiry = new Expiry<Ending & { readonly name: string }>();
  const items = Array.from({ length: 1_000 }, (_, number) => ({ name: `${number}`, due: undefined }));
  for (const item of items) expiry.schedule(item, 5_500);
  const expired: (string | undefined)[] = [];
  const begun = iterationsOf(() => {
    for (let number = 0; number < 500; number++) expired.push(expiry.next(10_000)?.name);
    expiry.remove(items[500]!);
    expiry.schedule({ name: "later", due: undefined }, 5_600);
    expiry.schedule({ name: "earlier", due: undefined }, 4_500);
    for (let number = 0; number < 501; number++) expired.push(expiry.next(10_000)?.name);
  });
  expect(begun).toBeLessThanOrEqual(4);
  const names = items.map(({ name }) => name);
  expect(expired).toEqual([...names.slice(0, 500), "earlier", ...names.slice(501), "later"]);
  expect(expiry.next(10_000)).toBeUndefined();
  expiry.schedule(items[0]!, 5_500);
  expect(expiry.next(10_000)).toBe(items[0]);
});
