import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cacheMetaKey } from "../../storage/client-cache/meta.js";
import { type CachedRevision, ClientCache, type ClientCacheOptions, type LoadTicket } from "../../storage/client-cache/client-cache.js";
import type { OpenStore } from "../../storage/kv/ordered-store.js";
import type { Position } from "../../core/transaction.js";
import { SimulatedClock } from "../../testing/simulated-clock.js";
import {
  AssertionError,
  BehindError,
  encodeMessage,
  encodeValue,
  InvalidValueError,
  limits,
  type Log,
  MalformedMessageError,
  silentLog,
  StoreError,
  type Tid,
} from "../../core/index.js";

export const tid = (value: number): Tid => value as Tid;
export const at = (value: number): Position => ({ tid: tid(value), digest: `digest-${value}` });

export type CacheOptions = Partial<ClientCacheOptions> & Pick<ClientCacheOptions, "open">;

export function openCache(options: CacheOptions): Promise<ClientCache> {
  return ClientCache.open({ storage: "main", realm: "test", log: silentLog, clock: new SimulatedClock(), ...options });
}

/** Applies the transaction after `cache.position`. */
export function apply(cache: ClientCache, to: number, ...keys: string[]): void {
  cache.apply({ previous: cache.position.tid, ...at(to), keys });
}

export interface Answer {
  readonly serial: number;
  readonly value?: unknown;
  readonly next?: number;
  readonly asOf: number;
}

/** Gives the answer of the server to a load that has begun. */
export function answer(cache: ClientCache, ticket: LoadTicket, key: string, { serial, value, next, asOf }: Answer): CachedRevision {
  const bytes = value === undefined ? undefined : encodeValue(value);
  return cache.admit(ticket, key, { serial: tid(serial), value: bytes, next: next === undefined ? undefined : tid(next) }, at(asOf));
}

/** A load that no invalidation crosses. */
export function load(cache: ClientCache, snapshot: number, key: string, loaded: Answer): CachedRevision {
  const ticket = cache.beginLoad(tid(snapshot));
  try {
    return answer(cache, ticket, key, loaded);
  } finally {
    cache.endLoad(ticket);
  }
}

export function give(cache: ClientCache, key: string, snapshot: number): unknown {
  const found = cache.find(key, tid(snapshot));
  return found === undefined ? "unknown" : found.give();
}

/** A log, and the messages that were logged as warnings and errors. */
export function keptLog() {
  const lines: string[] = [];
  const keep = (_facts: object, message: string): void => {
    lines.push(message);
  };
  const log: Log = { ...silentLog, warn: keep, error: keep };
  return { lines, log };
}

/** Tests the coherence rules of a client cache, in any tier. */
export function coherenceSuite(name: string, makeOptions: () => Promise<CacheOptions>): void {
  describe(`the client cache ${name}`, () => {
    let cache: ClientCache;

    beforeEach(async () => {
      cache = await openCache(await makeOptions());
    });
    afterEach(() => cache.close());

    test("is new until it knows a position of a history", () => {
      expect(cache.isNew).toBe(true);
      expect(cache.position.tid).toBe(0);
      apply(cache, 10);
      expect(cache.isNew).toBe(false);
      expect(cache.position).toEqual(at(10));
      expect(cache.asOf).toEqual(at(10));
    });

    test("finds a loaded revision for every snapshot from its serial to the position, and for no other", () => {
      apply(cache, 10);
      expect(load(cache, 10, "a", { serial: 5, value: { n: 1 }, asOf: 10 }).value).toEqual({ n: 1 });
      apply(cache, 20, "b");
      for (const snapshot of [5, 9, 10, 15, 20]) expect(give(cache, "a", snapshot)).toEqual({ n: 1 });
      for (const snapshot of [0, 4, 21]) expect(give(cache, "a", snapshot)).toBe("unknown");
      expect(give(cache, "b", 20)).toBe("unknown");
    });

    test("stores absence like a value, and drops it when the key is created", () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 0, asOf: 10 });
      expect(cache.find("a", tid(10))).toMatchObject({ serial: 0, value: undefined });
      apply(cache, 11, "a");
      expect(give(cache, "a", 11)).toBe("unknown");
    });

    test("an invalidation closes a revision: later snapshots do not see it, open earlier ones still do", () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: 1, asOf: 10 });
      cache.openSnapshot(tid(10));
      apply(cache, 11, "a");
      apply(cache, 12);
      expect(give(cache, "a", 10)).toBe(1);
      for (const snapshot of [11, 12]) expect(give(cache, "a", snapshot)).toBe("unknown");
      load(cache, 12, "a", { serial: 11, value: 2, asOf: 12 });
      expect(give(cache, "a", 10)).toBe(1);
      expect(give(cache, "a", 12)).toBe(2);
    });

    test("a snapshot at the serial of a revision needs the revision", () => {
      apply(cache, 10, "a");
      cache.openSnapshot(tid(10));
      load(cache, 10, "a", { serial: 10, value: 1, asOf: 10 });
      apply(cache, 20, "a");
      expect(give(cache, "a", 10)).toBe(1);
    });

    test("a closed revision is kept for a longer interval when a second load extends it", () => {
      apply(cache, 10);
      apply(cache, 30, "a");
      cache.openSnapshot(tid(12));
      cache.openSnapshot(tid(20));
      load(cache, 12, "a", { serial: 5, value: 1, asOf: 15 });
      expect([12, 20].map((snapshot) => give(cache, "a", snapshot))).toEqual([1, "unknown"]);
      load(cache, 20, "a", { serial: 5, value: 1, next: 30, asOf: 30 });
      cache.closeSnapshot(tid(12));
      expect(give(cache, "a", 20)).toBe(1);
      expect(cache.stats().closedRevisions).toBe(1);
      cache.closeSnapshot(tid(20));
      expect(cache.stats().closedRevisions).toBe(0);
    });

    test("a closed revision is dropped with the last snapshot that needs it, in any order of closing", () => {
      for (const order of [
        [10, 20, 10],
        [20, 10, 10],
        [10, 10, 20],
      ]) {
        const first = cache.position.tid;
        apply(cache, first + 10);
        load(cache, first + 10, "a", { serial: first + 5, value: 1, asOf: first + 10 });
        for (const snapshot of order) cache.openSnapshot(tid(first + snapshot));
        apply(cache, first + 20);
        apply(cache, first + 30, "a");
        cache.openSnapshot(tid(first + 30));
        for (const [index, snapshot] of order.entries()) {
          for (const open of order.slice(index)) expect(give(cache, "a", first + open)).toBe(1);
          expect(cache.stats().closedRevisions).toBe(1);
          expect(cache.oldestSnapshot).toBe(first + Math.min(...order.slice(index)));
          cache.closeSnapshot(tid(first + snapshot));
        }
        expect(cache.stats().closedRevisions).toBe(0);
        cache.closeSnapshot(tid(first + 30));
        expect(cache.oldestSnapshot).toBeUndefined();
      }
    });

    test("an invalidation keeps nothing when no open snapshot needs it", () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 8, value: 1, asOf: 10 });
      cache.openSnapshot(tid(7));
      apply(cache, 11, "a");
      cache.openSnapshot(tid(11));
      expect(cache.stats().closedRevisions).toBe(0);
    });

    test("A5a: a load whose as-of is below the position is not current if it may have crossed an invalidation that is not remembered", () => {
      apply(cache, 10);
      apply(cache, 20, "a");
      cache.openSnapshot(tid(9));
      // A replica at 9 answers a load that began after 20 was applied.
      expect(load(cache, 9, "a", { serial: 5, value: "old", asOf: 9 }).value).toBe("old");
      for (const snapshot of [10, 20]) expect(give(cache, "a", snapshot)).toBe("unknown");
      expect(give(cache, "a", 9)).toBe("old");
    });

    test("A5a: a load that crossed the invalidation of its key is closed there; a load that crossed other keys is current", () => {
      apply(cache, 10);
      cache.openSnapshot(tid(10));
      const ticket = cache.beginLoad(tid(10));
      apply(cache, 20, "a");
      apply(cache, 30, "a", "c");
      expect(answer(cache, ticket, "a", { serial: 5, value: "old", asOf: 10 }).value).toBe("old");
      answer(cache, ticket, "b", { serial: 5, value: "b", asOf: 10 });
      answer(cache, ticket, "c", { serial: 5, value: "c", asOf: 20 });
      cache.endLoad(ticket);
      expect(give(cache, "a", 10)).toBe("old");
      for (const snapshot of [20, 30]) expect(give(cache, "a", snapshot)).toBe("unknown");
      expect(give(cache, "b", 30)).toBe("b");
      expect(give(cache, "c", 10)).toBe("c");
      expect(give(cache, "c", 30)).toBe("unknown");
    });

    test("invalidations that a load in flight needs are remembered when another load ends first", () => {
      apply(cache, 10);
      const first = cache.beginLoad(tid(10));
      apply(cache, 20, "a");
      const second = cache.beginLoad(tid(20));
      apply(cache, 30, "b");
      cache.endLoad(second);
      answer(cache, first, "a", { serial: 5, value: "old", asOf: 10 });
      answer(cache, first, "b", { serial: 5, value: "old", asOf: 10 });
      answer(cache, first, "c", { serial: 5, value: "same", asOf: 10 });
      cache.endLoad(first);
      cache.endLoad(first);
      expect(["a", "b", "c"].map((key) => give(cache, key, 30))).toEqual(["unknown", "unknown", "same"]);
    });

    test("remembered invalidations are trimmed to the oldest load in flight: an answer older than they reach is not current", () => {
      apply(cache, 10);
      const first = cache.beginLoad(tid(10));
      apply(cache, 20, "a");
      const second = cache.beginLoad(tid(10));
      cache.endLoad(first);
      // A replica that is still at 10 answers.
      answer(cache, second, "a", { serial: 5, value: "old", asOf: 10 });
      answer(cache, second, "b", { serial: 5, value: "b", asOf: 20 });
      expect(give(cache, "a", 20)).toBe("unknown");
      expect(give(cache, "b", 20)).toBe("b");
    });

    test("A5b: an answer from a server that has not reached the snapshot is refused", () => {
      apply(cache, 20);
      expect(() => load(cache, 20, "a", { serial: 5, value: "old", asOf: 15 })).toThrow(BehindError);
      expect(give(cache, "a", 20)).toBe("unknown");
    });

    test("an answer with a revision that is not current at the snapshot is refused", () => {
      apply(cache, 20);
      for (const wrong of [
        { serial: 21, asOf: 30 },
        { serial: 5, next: 20, asOf: 20 },
        { serial: 5, next: 26, asOf: 25 },
      ]) {
        expect(() => load(cache, 20, "a", { ...wrong, value: 1 })).toThrow(MalformedMessageError);
      }
      expect(give(cache, "a", 20)).toBe("unknown");
    });

    test("A5c: a revision is compared with invalidations after the as-of of its answer, not after the position at its arrival", () => {
      apply(cache, 10);
      const ticket = cache.beginLoad(tid(10));
      apply(cache, 11, "a");
      apply(cache, 12);
      answer(cache, ticket, "a", { serial: 5, value: "old", asOf: 10 });
      expect(give(cache, "a", 12)).toBe("unknown");
      answer(cache, ticket, "b", { serial: 5, value: "b", asOf: 12 });
      expect(give(cache, "b", 12)).toBe("b");
    });

    test("A5d: an invalidation does not close the revision of its own transaction, nor a newer one", () => {
      apply(cache, 10);
      const ticket = cache.beginLoad(tid(30));
      answer(cache, ticket, "a", { serial: 20, value: "new", asOf: 30 });
      answer(cache, ticket, "b", { serial: 30, value: "newer", asOf: 30 });
      expect(cache.asOf).toEqual(at(30));
      expect(give(cache, "a", 20), "the position has not reached it").toBe("unknown");
      apply(cache, 20, "a", "b");
      expect(give(cache, "a", 20)).toBe("new");
      apply(cache, 30, "b");
      expect(give(cache, "a", 30)).toBe("new");
      expect(give(cache, "b", 30)).toBe("newer");
      apply(cache, 40, "a", "b");
      expect(give(cache, "a", 40)).toBe("unknown");
      expect(give(cache, "b", 40)).toBe("unknown");
    });

    test("a replaced revision is kept for open snapshots only; if it is replaced above the position, it is current until then", () => {
      apply(cache, 10);
      apply(cache, 20, "a");
      cache.openSnapshot(tid(15));
      load(cache, 15, "a", { serial: 5, value: "old", next: 20, asOf: 20 });
      load(cache, 12, "b", { serial: 5, value: "b", next: 14, asOf: 20 });
      expect(give(cache, "a", 15)).toBe("old");
      expect(give(cache, "a", 20)).toBe("unknown");
      expect(give(cache, "b", 12)).toBe("unknown");
      load(cache, 20, "c", { serial: 5, value: "c", next: 25, asOf: 30 });
      expect(give(cache, "c", 20)).toBe("c");
      apply(cache, 25, "c");
      expect(give(cache, "c", 25)).toBe("unknown");
    });

    test("A7: the values of an own commit are current when its answer comes after its invalidation", () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: "old", asOf: 10 });
      cache.openSnapshot(tid(10));
      const ticket = cache.beginLoad(tid(10));
      apply(cache, 11, "a", "b");
      apply(cache, 12, "b");
      const writes = [
        { key: "a", value: encodeValue("mine") },
        { key: "b", value: encodeValue("overwritten at 12") },
        { key: "c", value: undefined },
      ];
      cache.admitCommitted(ticket, writes, at(11));
      cache.endLoad(ticket);
      expect(give(cache, "a", 12)).toBe("mine");
      expect(give(cache, "a", 10)).toBe("old");
      expect(give(cache, "b", 12)).toBe("unknown");
      expect(cache.find("c", tid(12))).toMatchObject({ serial: 11, value: undefined });
    });

    test("A7: the answer to an own commit after a gap does not move the position; its values are visible once the position reaches it", () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: "old", asOf: 10 });
      cache.openSnapshot(tid(10));
      const ticket = cache.beginLoad(tid(10));
      cache.admitCommitted(ticket, [{ key: "a", value: encodeValue("mine") }], at(30));
      expect(cache.position).toEqual(at(10));
      expect(cache.asOf).toEqual(at(30));
      expect(give(cache, "a", 10)).toBe("old");
      expect(answer(cache, ticket, "a", { serial: 5, value: "old", asOf: 10 }).value).toBe("old");
      cache.endLoad(ticket);
      apply(cache, 20, "a");
      expect(give(cache, "a", 20)).toBe("unknown");
      apply(cache, 30, "a");
      expect(give(cache, "a", 30)).toBe("mine");
      expect(give(cache, "a", 10)).toBe("old");
    });

    test("an invalidation that does not follow the position is an AssertionError", () => {
      apply(cache, 10);
      expect(() => {
        cache.apply({ previous: tid(9), ...at(20), keys: [] });
      }).toThrow(AssertionError);
      expect(cache.position).toEqual(at(10));
    });

    test("a discard drops everything and sets its position; a load that began before it stores nothing", async () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: 1, asOf: 15 });
      cache.openSnapshot(tid(10));
      apply(cache, 11, "a");
      const ticket = cache.beginLoad(tid(11));
      await cache.discard(at(8));
      expect(cache.position).toEqual(at(8));
      expect(cache.asOf).toEqual(at(8));
      expect(answer(cache, ticket, "b", { serial: 5, value: "of another history", asOf: 11 }).value).toBe("of another history");
      cache.admitCommitted(ticket, [{ key: "c", value: undefined }], at(11));
      cache.endLoad(ticket);
      apply(cache, 20);
      for (const key of ["a", "b", "c"]) expect(give(cache, key, 10)).toBe("unknown");
      expect(cache.asOf).toEqual(at(20));
      cache.closeSnapshot(tid(10));
    });

    test("above the bound on remembered keys, a load that crossed forgotten keys is not cached, and other loads are", () => {
      apply(cache, 10);
      const ticket = cache.beginLoad(tid(10));
      apply(cache, 20, "a");
      apply(cache, 30, ...Array.from({ length: limits.rememberedKeysMax }, (_, n) => `key-${n}`));
      apply(cache, 40, "b");
      answer(cache, ticket, "a", { serial: 5, value: 1, asOf: 10 });
      answer(cache, ticket, "c", { serial: 5, value: 1, asOf: 10 });
      answer(cache, ticket, "d", { serial: 5, value: 1, asOf: 35 });
      cache.endLoad(ticket);
      expect(["a", "c", "d"].map((key) => give(cache, key, 40))).toEqual(["unknown", "unknown", 1]);
    });

    test("returns shareable values themselves, and copies of values that contain dates or bytes", async () => {
      apply(cache, 10);
      const plain = load(cache, 10, "a", { serial: 5, value: { list: [1, "two"] }, asOf: 10 });
      expect(plain.shareable).toBe(true);
      expect(plain.give()).toBe(plain.value);
      expect(await plain.promise).toBe(plain.value);
      expect(Object.isFrozen(plain.value)).toBe(true);
      const dated = load(cache, 10, "b", { serial: 5, value: { date: new Date(0), bytes: Uint8Array.of(1) }, asOf: 10 });
      expect(dated.shareable).toBe(false);
      const given = dated.give() as { date: Date; bytes: Uint8Array };
      given.date.setTime(1);
      given.bytes[0] = 2;
      expect(give(cache, "b", 10)).toEqual({ date: new Date(0), bytes: Uint8Array.of(1) });
    });

    test("a loaded value that cannot be decoded fails its load, and nothing is stored", () => {
      apply(cache, 10);
      const ticket = cache.beginLoad(tid(10));
      const broken = { serial: tid(5), value: Uint8Array.of(0xc1, 0xff), next: undefined };
      expect(() => cache.admit(ticket, "a", broken, at(10))).toThrow(InvalidValueError);
      expect(give(cache, "a", 10)).toBe("unknown");
    });
  });
}

/** Tests the persistence of a client cache. `makeSetup` returns a new, empty place on each call. */
export function persistenceSuite(name: string, makeSetup: () => Promise<OpenStore>): void {
  describe(`the client cache ${name}`, () => {
    let open: OpenStore;
    let cache: ClientCache;

    beforeEach(async () => {
      open = await makeSetup();
      cache = await openCache({ open });
    });
    afterEach(() => cache.close());

    async function reopened(options: Partial<ClientCacheOptions> = {}): Promise<ClientCache> {
      await cache.close();
      cache = await openCache({ open, ...options });
      return cache;
    }

    test("has entries, absences, position and as-of again when it is opened again", async () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: { text: "é🙂", big: 2n ** 60n }, asOf: 10 });
      load(cache, 10, "ключ", { serial: 0, asOf: 12 });
      const { entries, bytes } = cache.stats();
      await reopened();
      expect(cache.isNew).toBe(false);
      expect(cache.position).toEqual(at(10));
      expect(cache.asOf).toEqual(at(12));
      expect(cache.stats()).toMatchObject({ entries, bytes, memoryEntries: 0 });
      expect(give(cache, "a", 10)).toEqual({ text: "é🙂", big: 2n ** 60n });
      expect(cache.find("ключ", tid(10))).toMatchObject({ serial: 0, value: undefined });
      expect(cache.stats()).toMatchObject({ memoryEntries: 2, hits: { memory: 0, disk: 2 } });
      apply(cache, 20, "a");
      await reopened();
      expect(cache.position).toEqual(at(20));
      expect(give(cache, "a", 20)).toBe("unknown");
      expect(cache.find("ключ", tid(20))?.serial).toBe(0);
    });

    test("A12: a revision that an invalidation replaced is not found on disk, before and after the invalidation is written", async () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: 1, asOf: 10 });
      await reopened();
      apply(cache, 11, "a");
      expect(give(cache, "a", 11)).toBe("unknown");
      const flushed = cache.flush();
      expect(give(cache, "a", 11)).toBe("unknown");
      await flushed;
      expect(give(cache, "a", 11)).toBe("unknown");
    });

    test("an open snapshot keeps a revision that was only on disk", async () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: { n: 1 }, asOf: 10 });
      await reopened();
      cache.openSnapshot(tid(10));
      apply(cache, 11, "a");
      await cache.flush();
      expect(give(cache, "a", 10)).toEqual({ n: 1 });
      cache.closeSnapshot(tid(10));
      expect(give(cache, "a", 10)).toBe("unknown");
    });

    test("a discard empties the disk and leaves its position there", async () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: 1, asOf: 20 });
      await reopened();
      await cache.discard(at(7));
      await reopened();
      expect(cache.position).toEqual(at(7));
      expect(cache.asOf).toEqual(at(7));
      expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0 });
      expect(give(cache, "a", 7)).toBe("unknown");
    });

    test("above cacheBytesMax the least recently used entries and absences are removed, from disk too", async () => {
      await reopened({ cacheBytesMax: 1_700 });
      apply(cache, 10);
      const value = "x".repeat(150);
      for (const key of ["a", "b", "c", "d", "e", "f", "g", "h", "i"]) load(cache, 10, key, { serial: 5, value, asOf: 10 });
      expect(cache.stats().evictions).toBe(0);
      for (const key of ["a", "c"]) expect(give(cache, key, 10)).toBe(value);
      load(cache, 10, "j", { serial: 5, value, asOf: 10 });
      for (let n = 0; n < 10; n++) load(cache, 10, `absent-${n}`, { serial: 0, asOf: 10 });
      const { bytes, evictions } = cache.stats();
      expect(bytes).toBeLessThanOrEqual(1_700);
      expect(evictions).toBe(3);
      await reopened({ memoryBytesMax: 0 });
      expect(cache.stats().bytes).toBe(bytes);
      const kept = ["a", "b", "c", "d", "i", "j"].filter((key) => give(cache, key, 10) === value);
      expect(kept).toEqual(["a", "c", "i", "j"]);
      await reopened({ cacheBytesMax: 500 });
      expect(cache.stats().bytes).toBeLessThanOrEqual(500);
      await reopened();
      expect(cache.stats().bytes).toBeLessThanOrEqual(500);
    });

    test("a new entry is not evicted to make room for itself, although all others are in use", async () => {
      await reopened({ cacheBytesMax: 1_700 });
      apply(cache, 10);
      const value = "x".repeat(150);
      const others = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
      for (const key of others) load(cache, 10, key, { serial: 5, value, asOf: 10 });
      for (const key of others) expect(give(cache, key, 10)).toBe(value);
      load(cache, 10, "j", { serial: 5, value, asOf: 10 });
      await reopened();
      expect(give(cache, "j", 10)).toBe(value);
      expect(cache.stats().entries).toBe(9);
    });

    test("an entry larger than the cache is not stored on disk, and the entry that it replaces is removed", async () => {
      await reopened({ cacheBytesMax: 1_000 });
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: 1, asOf: 10 });
      apply(cache, 20, "a");
      load(cache, 20, "a", { serial: 20, value: "x".repeat(2_000), asOf: 20 });
      expect(cache.stats().entries).toBe(0);
      expect(give(cache, "a", 20)).toHaveLength(2_000);
      await reopened();
      expect(give(cache, "a", 20)).toBe("unknown");
    });

    test("a cache of another storage or realm is refused with advice, and is not changed", async () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: 1, asOf: 10 });
      await cache.close();
      await expect(openCache({ open, storage: "other" })).rejects.toThrow(/cache of storage "main".*name another folder/);
      await expect(openCache({ open, realm: "other" })).rejects.toThrow(StoreError);
      await reopened();
      expect(give(cache, "a", 10)).toBe(1);
    });

    test("a place that holds something other than a cache is refused, and is not changed", async () => {
      const other = await makeSetup();
      const store = await other();
      const entry = { key: Buffer.from("m format"), value: Buffer.from("1") };
      await store.batch([entry]);
      await store.close();
      await expect(openCache({ open: other })).rejects.toThrow(/holds something other than a client cache/);
      const again = await other();
      expect(again.read((view) => Buffer.from(view.get(entry.key) ?? []))).toEqual(entry.value);
      await again.close();
    });

    test("a cache of another format is discarded, and this is logged", async () => {
      apply(cache, 10);
      load(cache, 10, "a", { serial: 5, value: 1, asOf: 10 });
      await cache.close();
      const store = await open();
      await store.batch([{ key: cacheMetaKey, value: encodeMessage([99, "unknown"]) }]);
      await store.close();
      const { lines, log } = keptLog();
      await reopened({ log });
      expect(lines).toEqual(["cache discarded at opening"]);
      expect(cache.isNew).toBe(true);
      await reopened();
      expect(cache.stats().entries).toBe(0);
    });

    test("an entry whose bytes cannot be decoded is unknown, is logged and removed; other entries are kept", async () => {
      apply(cache, 10);
      for (const key of ["a", "b", "c", "d"]) load(cache, 10, key, { serial: 5, value: key, asOf: 10 });
      await cache.close();
      const store = await open();
      const record = store.read((view) => Buffer.from(view.get(Buffer.from("\u0001a")) ?? []));
      const header = record.subarray(0, 9);
      await store.batch([
        { key: Buffer.from("\u0001a"), value: Buffer.concat([header, Buffer.of(0xc1, 0xff)]) },
        { key: Buffer.from("\u0001b"), value: Buffer.concat([Buffer.of(7), record.subarray(1)]) },
        { key: Buffer.from("\u0001c"), value: Buffer.of(1, 2, 3) },
      ]);
      await store.close();
      const { lines, log } = keptLog();
      await reopened({ log });
      expect(["a", "b", "c", "d"].map((key) => give(cache, key, 10))).toEqual(["unknown", "unknown", "unknown", "d"]);
      expect(lines).toEqual([
        "cache entries that cannot be read were removed",
        "cached revision cannot be decoded",
        "cached revision cannot be decoded",
      ]);
      await reopened();
      expect(cache.stats().entries).toBe(1);
    });

    test("memoryBytesMax bounds its memory; entries that left memory are found on disk", async () => {
      await reopened({ memoryBytesMax: 4_000 });
      apply(cache, 10);
      for (let n = 0; n < 100; n++) load(cache, 10, `key-${n}`, { serial: 5, value: `value ${n} ${"x".repeat(100)}`, asOf: 10 });
      expect(cache.stats().memoryBytes).toBeLessThanOrEqual(4_000);
      expect(cache.stats().entries).toBe(100);
      await cache.flush();
      for (let n = 0; n < 100; n++) expect(give(cache, `key-${n}`, 10)).toContain(`value ${n} `);
      expect(cache.stats().memoryBytes).toBeLessThanOrEqual(4_000);
    });
  });
}
