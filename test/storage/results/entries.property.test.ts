import fc from "fast-check";
import { expect, test } from "vitest";
import { DiskEntryStore } from "../../../storage/results/disk-entries.js";
import type { EntryStore } from "../../../storage/results/entry-store.js";
import { MemoryEntryStore } from "../../../storage/results/memory-entries.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import { TagTrie } from "../../../storage/results/tag-trie.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { asTag, assert, isBelow, limits, rootTag, silentLog, type Tag } from "../../../core/index.js";

const keys = ["k1", "k2", "k3", "k4"] as const;
const tagTexts = ["a", "a:b", "a:b:c", "a:bb", "b", "b:c", "b.c"] as const;

interface Put {
  readonly key: string;
  readonly value: number;
  readonly tags: readonly Tag[];
  /** Number of invalidations of the bus when its computation began. */
  readonly began: number;
  readonly ttlMs: number | undefined;
  readonly slides: boolean;
  expiresMs: number;
}

/** One change of a key, with a number that counts all changes. */
interface Deed {
  readonly at: number;
  readonly put: Put | undefined;
}

/** Model of any tier, written to be simple: it searches everything that happened. */
class Model {
  readonly invalidations: Tag[] = [];
  readonly #deeds = new Map<string, Deed[]>();
  #moments = 0;

  get moment(): number {
    return this.#moments;
  }

  do(key: string, put: Put | undefined): void {
    const deeds = this.#deeds.get(key) ?? [];
    deeds.push({ at: ++this.#moments, put });
    this.#deeds.set(key, deeds);
  }

  /**
   * Puts that may be found under `key` when all changes up to `flushed` are certain: the last certain one, and every
   * later one.
   */
  possible(key: string, flushed: number): readonly (Put | undefined)[] {
    const deeds = this.#deeds.get(key) ?? [];
    const certain = deeds.findLast(({ at }) => at <= flushed);
    return [certain?.put, ...deeds.filter(({ at }) => at > flushed).map(({ put }) => put)];
  }

  isStale({ tags, began }: Put): boolean {
    return this.invalidations.slice(began).some((above) => above === rootTag || tags.some((tag) => isBelow(tag, above)));
  }
}

const action = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("put"),
      key: fc.constantFrom(...keys),
      tags: fc.uniqueArray(fc.constantFrom(...tagTexts), { maxLength: 3 }),
      ticket: fc.nat(3),
      ttlMs: fc.constantFrom(undefined, undefined, 1_000, 5_000),
      slides: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("begin"), ticket: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("invalidate"), tag: fc.constantFrom(...tagTexts, ...tagTexts, "") }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("delete"), key: fc.constantFrom(...keys) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("wait"), ms: fc.constantFrom(1, 500, 1_200, 6_000) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("sweep", "expire") }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("flush") }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("write"), count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("kill") }) },
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

/** A tier under test. */
interface Driven {
  readonly store: EntryStore;
  /** Applies the newest of `invalidations`. */
  hear(invalidations: readonly Tag[]): void;
  /** Kills the tier, opens it again, and applies the invalidations that it does not know. Undefined: not possible. */
  kill?(invalidations: readonly Tag[]): Promise<void>;
  /** Lets the disk finish `count` batches. */
  write?(count: number): void;
}

const found = { given: 0, missed: 0, kills: 0, afterKill: 0 };

async function run(actions: readonly Action[], clock: SimulatedClock, driven: Driven): Promise<void> {
  const model = new Model();
  const begin = () => ({ began: driven.store.begin(), count: model.invalidations.length });
  let tickets = Array.from({ length: 4 }, begin);
  let values = 0;
  let flushed = 0;

  for (const step of actions) {
    switch (step.type) {
      case "put": {
        const ticket = tickets[step.ticket] ?? begin();
        const { ttlMs, slides } = step;
        const put: Put = {
          key: step.key,
          value: ++values,
          tags: step.tags.map(asTag),
          began: ticket.count,
          ttlMs,
          slides,
          expiresMs: clock.monotonic() + (ttlMs ?? Infinity),
        };
        const kept = driven.store.put(step.key, put.value, { tags: put.tags, began: ticket.began, ttlMs, slides });
        expect(kept !== undefined, "a result that is not stale is kept").toBe(!model.isStale(put));
        model.do(step.key, kept && put);
        break;
      }
      case "begin":
        tickets[step.ticket] = begin();
        break;
      case "invalidate":
        model.invalidations.push(step.tag === "" ? rootTag : asTag(step.tag));
        driven.hear(model.invalidations);
        break;
      case "delete":
        driven.store.delete(step.key);
        model.do(step.key, undefined);
        break;
      case "wait":
        await clock.advance(step.ms);
        break;
      case "sweep":
        driven.store.sweep(1_000);
        break;
      case "expire":
        driven.store.expire(1_000);
        break;
      case "flush": {
        const { moment } = model;
        driven.write?.(Infinity);
        const done = driven.store.flush();
        for (let writes = 0; writes < 3; writes++) {
          await clock.advance(0);
          driven.write?.(Infinity);
        }
        await done;
        flushed = Math.max(flushed, moment);
        break;
      }
      case "write":
        driven.write?.(step.count);
        await clock.advance(0);
        break;
      case "kill":
        if (driven.kill === undefined) break;
        await driven.kill(model.invalidations);
        found.kills++;
        takeStock(flushed);
        tickets = Array.from({ length: 4 }, begin);
        break;
    }
    check();
  }

  function check(): void {
    for (const key of keys) {
      const [newest] = model.possible(key, Infinity);
      const given = givenOf(key, [newest]);
      if (given === undefined) expect(newest !== undefined && isGood(newest), `${key} is valid and was not returned`).toBe(false);
    }
  }

  /**
   * After a kill: flushed entries must be there, and every entry must be a possible one, which then is the last change
   * of its key.
   */
  function takeStock(until: number): void {
    for (const key of keys) {
      const possible = model.possible(key, until);
      const given = givenOf(key, possible);
      const [certain] = possible;
      if (given === undefined && possible.length === 1 && certain?.ttlMs === undefined) {
        expect(certain !== undefined && isGood(certain), `${key} was flushed and is lost`).toBe(false);
      }
      if (given !== undefined) found.afterKill++;
      model.do(key, given);
    }
  }

  function isGood(put: Put): boolean {
    return !model.isStale(put) && clock.monotonic() < put.expiresMs;
  }

  function givenOf(key: string, possible: readonly (Put | undefined)[]): Put | undefined {
    const entry = driven.store.get(key);
    if (entry === undefined) {
      found.missed++;
      return undefined;
    }
    found.given++;
    const put = possible.find((each) => each?.value === entry.value);
    assert(put !== undefined, `${key} gives ${String(entry.value)}, a value that was put`);
    expect(model.isStale(put), `${key} is stale`).toBe(false);
    const nowMs = clock.monotonic();
    expect(nowMs, `${key} has expired`).toBeLessThan(put.expiresMs + 2 * limits.cacheTickMs);
    put.expiresMs = entry.expiresMs;
    return put;
  }
}

const runs = Number(process.env["ZOOID_TEST_RUNS"] ?? 1_000);

test("a tier in memory agrees with a search through all events", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 40 }), async (actions) => {
      const clock = new SimulatedClock();
      const trie = new TagTrie({ clock });
      const store = new MemoryEntryStore({ trie, clock });
      await run(actions, clock, {
        store,
        hear: (invalidations) => {
          trie.apply(invalidations.at(-1) ?? rootTag, invalidations.length);
        },
      });
    }),
    { numRuns: runs },
  );
  expect(found.given).toBeGreaterThan(runs);
  expect(found.missed).toBeGreaterThan(runs);
});

test("a tier on disk agrees with a search through all events, with kills at any time", { timeout: 60_000 }, async () => {
  found.given = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 40 }), async (actions) => {
      const clock = new SimulatedClock();
      const air: (() => void)[] = [];
      const disk = new MemoryDisk("disk", (onDisk) => {
        return new Promise((resolve) => {
          air.push(() => {
            onDisk();
            resolve();
          });
        });
      });
      const open = async () => {
        const setup = clock.node();
        const store = await DiskEntryStore.open({
          name: "test",
          countedBy: "bus",
          open: disk.open,
          clock: setup,
          log: silentLog,
          slideFlushMs: 0,
        });
        return { setup, store };
      };
      let { setup, store } = await open();
      store.reset({ epoch: "e", sequence: 0, time: 0 });
      const driven: Driven = {
        get store() {
          return store;
        },
        hear: (invalidations) => {
          store.apply(invalidations.at(-1) ?? rootTag, { sequence: invalidations.length, time: 0 });
        },
        kill: async (invalidations) => {
          setup.stop();
          disk.crash();
          air.length = 0;
          ({ setup, store } = await open());
          if (store.position === undefined) store.reset({ epoch: "e", sequence: 0, time: 0 });
          // Like a replay of the bus: from the position on.
          for (let n = store.begin().sequence; n < invalidations.length; n++)
            store.apply(invalidations[n] ?? rootTag, { sequence: n + 1, time: 0 });
        },
        write: (count) => {
          for (const apply of air.splice(0, count)) apply();
        },
      };
      await run(actions, clock, driven);
    }),
    { numRuns: runs },
  );
  expect(found.given).toBeGreaterThan(runs);
  expect(found.kills).toBeGreaterThan(runs / 2);
  expect(found.afterKill).toBeGreaterThan(runs / 5);
});
