import { pino } from "pino";
import { expect, test } from "vitest";
import { Outbox } from "../../../actors/cache/outbox.js";
import type { CacheOptions } from "../../../cache.js";
import { SimulatedClock } from "../../../testing/simulated-clock.js";
import type { Bus, BusEvent, BusState, BusVersion } from "../../../transport/bus.js";
import { asTag, seededRandom } from "../../../core/index.js";
import { gate, openCache } from "./open.js";

/** A pino logger, and the lines that it wrote, without the fields that all lines have. */
function pinoLines() {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { base: null, timestamp: false, level: "trace" },
    {
      write: (line: string) => {
        lines.push(JSON.parse(line) as Record<string, unknown>);
      },
    },
  );
  /** Lines since the last call, of `level` or above. Default: info. */
  const taken = (level = 30) => lines.splice(0).filter((line) => Number(line["level"]) >= level);
  return { log, taken };
}

/** A bus that emits the events of the test. */
class ScriptedBus implements Bus {
  readonly kind = "jetstream";
  state: BusState = { type: "cut" };
  heardAt = -Infinity;
  isRefusing = false;
  #sequence = 10;
  emit: (event: BusEvent) => void = () => undefined;

  publish(): Promise<BusVersion> {
    return this.isRefusing ? Promise.reject(new Error("refused")) : Promise.resolve({ epoch: "e", sequence: ++this.#sequence });
  }
  listen(listener: (event: BusEvent) => void): void {
    this.emit = listener;
  }
  follow(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

const version = { epoch: "e", sequence: 10, time: 0 };

async function openLogged(options: CacheOptions = {}) {
  const { log, taken } = pinoLines();
  return { ...(await openCache({ log, ...options })), taken };
}

test("a pino logger gets a line when a cache opens and closes", async () => {
  const { cache, taken } = await openLogged({ prefix: "shop" });
  expect(taken()).toEqual([{ level: 30, prefix: "shop", storage: "memory", msg: "the cache is open" }]);
  await cache.close();
  await cache.close();
  expect(taken()).toEqual([{ level: 30, prefix: "shop", msg: "the cache is closed" }]);
});

test("one line says that the bus is followed, and one that cached results are stale", async () => {
  const bus = new ScriptedBus();
  const { taken } = await openLogged({ bus });
  expect(taken()).toMatchObject([{ msg: "the cache is open", bus: "jetstream" }]);
  bus.emit({ type: "reset", version });
  bus.emit({ type: "following", version });
  bus.emit({ type: "heartbeat", version });
  expect(taken()).toEqual([
    { level: 30, epoch: "e", sequence: 10, msg: "all cached results are stale" },
    { level: 30, epoch: "e", sequence: 10, msg: "following the bus" },
  ]);
});

test("a bus that refuses is logged once, however often it refuses, and once when it accepts again", async () => {
  const bus = new ScriptedBus();
  const { cache, clock, taken } = await openLogged({ bus, publishTimeout: "1s" });
  bus.state = { type: "following", ...version };
  bus.emit({ type: "following", version });
  taken();
  bus.isRefusing = true;
  const outcome = cache.invalidate("a");
  await clock.advance(60_000);
  expect(await outcome).toBe("queued");
  expect(taken()).toMatchObject([{ level: 40, tag: "a", err: { message: "refused" }, msg: "invalidations are not published" }]);
  bus.isRefusing = false;
  await clock.advance(60_000);
  expect(taken()).toMatchObject([{ level: 30, tag: "a", msg: "invalidations are published again" }]);
});

test("a full outbox is logged once", () => {
  const { log, taken } = pinoLines();
  const deps = { bus: new ScriptedBus(), clock: new SimulatedClock(), random: seededRandom(1), log, publishTimeoutMs: 1 };
  const outbox = new Outbox({ ...deps, entriesMax: 3 });
  for (let tag = 0; tag < 10; tag++) outbox.enqueue(asTag(`t${tag}`), () => ({ settled: () => undefined, refused: () => undefined }));
  expect(taken()).toEqual([{ level: 40, entries: 3, msg: "the outbox is full: everything is invalidated" }]);
  expect(outbox).toMatchObject({ overflows: 1, size: 1 });
});

test("results that cannot be kept are logged once per function", async () => {
  const { cache, taken } = await openLogged();
  const condition = () => expect.fail("no condition");
  const functions = ["one", "two"].map((name) => cache.cacheable(async (_id: number) => name, { name, condition }));
  taken();
  for (const id of [1, 2, 3]) for (const fn of functions) await fn(id);
  expect(taken()).toMatchObject(["one", "two"].map((name) => ({ level: 40, name, msg: "results cannot be kept" })));
  expect(cache.stats().keepFailures).toBe(6);
});

test("a computation that other calls wait for and that takes too long is logged", async () => {
  const { cache, clock, taken } = await openLogged({ flightTimeout: 5 });
  const opened = gate();
  const slow = cache.cacheable((_id: string) => opened.promise, { name: "slow" });
  const called = slow("a");
  const joined = expect(slow("a")).rejects.toThrow("had no answer within 5000 ms");
  taken();
  await clock.advance(5_000);
  await joined;
  expect(taken()).toEqual([{ level: 40, flight: "slow(a)", msg: "a computation takes too long" }]);
  opened.open();
  await called;
});

test("pruning is logged, by hand and by the clock; a round without finds is not logged at info", async () => {
  const { cache, clock, taken } = await openLogged({ autoPruneInterval: "1m", autoPruneSecs: "1h" });
  taken();
  await cache.set("a", 1, { tags: ["x"] });
  await cache.invalidate("x");
  await cache.prune("1s");
  expect(taken()).toMatchObject([{ level: 30, entries: 1, msg: "pruned" }]);
  await clock.advance(120_000);
  expect(taken()).toEqual([]);
  await cache.set("b", 1, { tags: ["x"] });
  await cache.invalidate("x");
  await clock.advance(120_000);
  expect(taken()).toMatchObject([{ level: 30, entries: 1, msg: "pruned" }]);
});
