import fc from "fast-check";
import { expect, test } from "vitest";
import type { ClientCache, LoadTicket } from "../../../storage/client-cache/client-cache.js";
import { MemoryDisk } from "../../../testing/memory-store.js";
import type { Position } from "../../../core/transaction.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import { assert, encodeValue, type Tid } from "../../../core/index.js";
import { at, openCache, tid } from "../../suites/client-cache.js";

const keys = ["a", "b", "c", "d", "e", "f"] as const;

/** Model of a storage server, written to be simple: it searches the whole history. */
class Model {
  readonly transactions: { readonly tid: Tid; readonly writes: ReadonlyMap<string, string | undefined> }[] = [];

  get last(): Tid {
    return this.transactions.at(-1)?.tid ?? tid(0);
  }

  position(value: Tid): Position {
    return value === 0 ? { tid: tid(0), digest: "0".repeat(16) } : at(value);
  }

  /** Commits writes of `touched`; every third transaction deletes. Tids leave gaps, as in production. */
  commit(touched: readonly string[]): Tid {
    const next = tid(this.last + 1 + (this.transactions.length % 3));
    this.transactions.push({ tid: next, writes: new Map(touched.map((key) => [key, next % 3 === 0 ? undefined : `${key}@${next}`])) });
    return next;
  }

  after(position: Tid) {
    return this.transactions.find((transaction) => transaction.tid > position);
  }

  load(key: string, snapshot: Tid, asOf: Tid) {
    let serial = tid(0);
    let value: string | undefined;
    for (const transaction of this.transactions) {
      if (transaction.tid > asOf || !transaction.writes.has(key)) continue;
      if (transaction.tid > snapshot) return { serial, value, next: transaction.tid };
      serial = transaction.tid;
      value = transaction.writes.get(key);
    }
    return { serial, value, next: undefined };
  }
}

interface Flight {
  readonly ticket: LoadTicket;
  readonly key: string;
  /** As-of of the server's answer; undefined until it has answered. */
  asOf: Tid | undefined;
}

/** One client over a slow disk that can lose batches in flight, next to the model. */
class Run {
  readonly model = new Model();
  readonly #clock = new SimulatedClock();
  readonly #air: (() => void)[] = [];
  readonly #disk = new MemoryDisk("disk", (onDisk) => {
    return new Promise((resolve) => {
      this.#air.push(() => {
        onDisk();
        resolve();
      });
    });
  });
  readonly #sizes: { readonly cacheBytesMax: number; readonly memoryBytesMax: number };
  #cache!: ClientCache;
  #flights: Flight[] = [];
  #commits: { readonly ticket: LoadTicket; readonly tid: Tid }[] = [];
  #snapshots: Tid[] = [];
  /** How often the cache answered, by source: a run without answers proves nothing. */
  readonly found = { current: 0, closed: 0, disk: 0, kills: 0 };

  constructor(sizes: { readonly cacheBytesMax: number; readonly memoryBytesMax: number }) {
    this.#sizes = sizes;
  }

  async open(): Promise<void> {
    this.#cache = await openCache({ open: this.#disk.open, clock: this.#clock, ...this.#sizes });
  }

  /** One random event; an event that cannot happen now is skipped. */
  async step(what: number, x: number, y: number): Promise<void> {
    const cache = this.#cache;
    const key = keys[x % keys.length] ?? "a";
    switch (what) {
      case 0:
      case 1:
        this.model.commit([...new Set([key, keys[y % keys.length] ?? "b"])]);
        break;
      case 2:
      case 3:
        this.#applyNext();
        break;
      case 4:
        if (this.#snapshots.length < 4) {
          this.#snapshots.push(cache.position.tid);
          cache.openSnapshot(cache.position.tid);
        }
        break;
      case 5: {
        const [closed] = this.#snapshots.splice(x % Math.max(1, this.#snapshots.length), 1);
        if (closed !== undefined) cache.closeSnapshot(closed);
        break;
      }
      case 6:
      case 7: {
        const snapshot =
          y % 3 === 0 ? cache.position.tid : (this.#snapshots[y % Math.max(1, this.#snapshots.length)] ?? cache.position.tid);
        if (this.#flights.length < 6) this.#flights.push({ ticket: cache.beginLoad(snapshot), key, asOf: undefined });
        break;
      }
      case 8: {
        // A server answers whose position lies anywhere between the snapshot and the end of the history.
        const flight = this.#flights.find(({ asOf }) => asOf === undefined);
        if (flight === undefined) break;
        const reached = [flight.ticket.snapshot, ...this.model.transactions.map((t) => t.tid).filter((t) => t > flight.ticket.snapshot)];
        flight.asOf = y % 2 === 0 ? (reached.at(-1) as Tid) : (reached[y % reached.length] as Tid);
        break;
      }
      case 9:
      case 10:
        this.#deliver(x);
        break;
      case 11: {
        // A commit of this client: its answer comes later, before or after its invalidation.
        if (this.#commits.length < 3) this.#commits.push({ ticket: cache.beginLoad(cache.position.tid), tid: this.model.commit([key]) });
        break;
      }
      case 12: {
        const [commit] = this.#commits.splice(x % Math.max(1, this.#commits.length), 1);
        if (commit === undefined) break;
        const written = this.model.transactions.find((transaction) => transaction.tid === commit.tid);
        assert(written !== undefined, "a commit is in the model's history");
        const writes = Array.from(written.writes, ([name, value]) => ({
          key: name,
          value: value === undefined ? undefined : encodeValue(value),
        }));
        cache.admitCommitted(commit.ticket, writes, at(commit.tid));
        cache.endLoad(commit.ticket);
        break;
      }
      case 13:
      case 14:
        await this.#clock.advance(10);
        break;
      case 15:
      case 16:
        this.#air.shift()?.();
        await this.#clock.advance(0);
        break;
      case 17:
        if (x % 4 === 0) await this.#killAndOpen();
        break;
      case 18:
        if (x % 8 === 0) void cache.discard(this.model.position(this.model.last));
        break;
    }
  }

  #applyNext(): void {
    const cache = this.#cache;
    const next = this.model.after(cache.position.tid);
    if (next !== undefined) cache.apply({ previous: cache.position.tid, ...at(next.tid), keys: [...next.writes.keys()] });
  }

  #deliver(which: number): void {
    const answered = this.#flights.filter(({ asOf }) => asOf !== undefined);
    const flight = answered[which % Math.max(1, answered.length)];
    if (flight?.asOf === undefined) return;
    const { ticket, key, asOf } = flight;
    this.#flights.splice(this.#flights.indexOf(flight), 1);
    const { serial, value, next } = this.model.load(key, ticket.snapshot, asOf);
    const bytes = value === undefined ? undefined : encodeValue(value);
    const got = this.#cache.admit(ticket, key, { serial, value: bytes, next }, this.model.position(asOf));
    expect(got).toMatchObject({ serial, value });
    this.#cache.endLoad(ticket);
  }

  async #killAndOpen(): Promise<void> {
    this.#cache.kill();
    this.#disk.crash();
    this.#air.length = 0;
    this.#flights = [];
    this.#commits = [];
    this.#snapshots = [];
    this.found.kills++;
    await this.open();
  }

  /** Checks that no read at an open snapshot, or at the position, differs from the history. */
  check(): void {
    const cache = this.#cache;
    const { position, asOf } = cache;
    expect(position).toEqual(this.model.position(position.tid));
    expect(asOf).toEqual(this.model.position(asOf.tid));
    expect(asOf.tid).toBeGreaterThanOrEqual(position.tid);
    for (const snapshot of new Set([...this.#snapshots, position.tid])) {
      for (const key of keys) {
        const before = cache.stats();
        const found = cache.find(key, snapshot);
        if (found === undefined) continue;
        const { serial, value } = this.model.load(key, snapshot, this.model.last);
        expect({ key, snapshot, serial: found.serial, value: found.value }).toEqual({ key, snapshot, serial, value });
        if (cache.stats().hits.disk > before.hits.disk) this.found.disk++;
        else if (this.model.load(key, snapshot, position.tid).next === undefined) this.found.current++;
        else this.found.closed++;
      }
    }
    const { bytes, memoryBytes } = cache.stats();
    expect(bytes).toBeLessThanOrEqual(this.#sizes.cacheBytesMax);
    expect(memoryBytes).toBeLessThanOrEqual(Math.max(1, this.#sizes.memoryBytesMax));
  }

  /**
   * After the last fault: applies all invalidations, loads each key, and checks that the cache answers for each, before
   * and after a close.
   */
  async converge(): Promise<void> {
    for (const { ticket } of [...this.#flights, ...this.#commits]) this.#cache.endLoad(ticket);
    this.#flights = [];
    this.#commits = [];
    for (const snapshot of this.#snapshots.splice(0)) this.#cache.closeSnapshot(snapshot);
    expect(this.#cache.stats().closedRevisions).toBe(0);
    while (this.#cache.position.tid < this.model.last) this.#applyNext();
    for (const key of keys) {
      const flight: Flight = { ticket: this.#cache.beginLoad(this.model.last), key, asOf: this.model.last };
      this.#flights.push(flight);
      this.#deliver(0);
    }
    this.check();
    let closed = false;
    const closing = this.#cache.close().then(() => {
      closed = true;
    });
    while (!closed) {
      this.#air.shift()?.();
      await this.#clock.advance(0);
    }
    await closing;
    await this.open();
    expect(this.#cache.position.tid).toBe(this.model.last);
    if (this.#sizes.cacheBytesMax >= 1_000) expect(keys.filter((key) => this.#cache.find(key, this.model.last) === undefined)).toEqual([]);
    this.check();
    this.#cache.kill();
    expect(this.#clock.timerCount).toBe(0);
  }
}

test("no read differs from the history, for any order of loads and invalidations and any kills", async () => {
  const found = { current: 0, closed: 0, disk: 0, kills: 0 };
  const small = fc.nat({ max: 23 });
  const property = fc.asyncProperty(
    fc.array(fc.tuple(fc.nat({ max: 18 }), small, small), { maxLength: 120, size: "max" }),
    fc.constantFrom(100, 10_000),
    fc.constantFrom(0, 400, 10_000),
    async (steps, cacheBytesMax, memoryBytesMax) => {
      const run = new Run({ cacheBytesMax, memoryBytesMax });
      await run.open();
      for (const [what, x, y] of steps) {
        await run.step(what, x, y);
        run.check();
      }
      await run.converge();
      for (const kind of ["current", "closed", "disk", "kills"] as const) found[kind] += run.found[kind];
    },
  );
  // A failure prints seed and path; pass both here to replay it.
  await fc.assert(property, { seed: 20_260_101, numRuns: 400 });
  for (const [kind, count] of Object.entries(found)) expect(count, `reads answered: ${kind}`).toBeGreaterThan(100);
});
