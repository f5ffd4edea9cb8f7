import { open } from "lmdb";
import { connect as connectRaw } from "nats";
import { join } from "node:path";
import { connect } from "../index.js";
import { openLmdbStore } from "../server.js";
import { decodeValue, encodeValue, silentLog, systemClock } from "../core/index.js";
import { ClientCache } from "../storage/client-cache/client-cache.js";
import { inParallel, inSequence, median, nowMs } from "./measure.js";
import { Bench } from "./process.js";
import type { Question, Result } from "./report.js";

/** What does a read cost: from the server, from memory, from the disk cache? */

const rounds = 3;
const value = (index: number) => ({ index, text: "x".repeat(180) });
const key = (index: number) => `object/${index}`;

/** A client that has never seen the objects loads each of them once: no cache can help. */
async function measureLoads(name: string, inFlight: number, count: number): Promise<Result> {
  const bench = await Bench.open();
  try {
    await bench.start("server");
    await bench.start("raw");
    await using writer = await connect({ servers: bench.url, realm: "bench" });
    const objects = count * (rounds + 1);
    for (let first = 0; first < objects; first += 1_000) {
      await writer.transact(async (tx) => {
        for (let index = first; index < first + 1_000; index++) await tx.put(key(index), value(index));
      });
    }
    await using store = await connect({ servers: bench.url, realm: "bench" });
    const connection = await connectRaw({ servers: bench.url, noAsyncTraces: true });
    const payload = Buffer.alloc(encodeValue(value(0)).length + 40, 7);
    let wrong = 0;
    const load = async (index: number): Promise<void> => {
      const got = (await store.get(key(index))) as { readonly index: number } | undefined;
      if (got?.index !== index) wrong++;
    };
    const echo = () => connection.request("raw.echo", payload, { timeout: 10_000 });
    const speed = async (first: number, operation: (index: number) => Promise<unknown>): Promise<number> =>
      inFlight === 1
        ? 1_000 / median(await inSequence(count, (index) => operation(first + index)))
        : (count / (await inParallel(count, inFlight, (index) => operation(first + index)))) * 1_000;
    await speed(0, load);
    await speed(0, echo);
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      ours.push(await speed(round * count, load));
      bare.push(await speed(0, echo));
    }
    await connection.close();
    const correct = wrong === 0 && store.status().cache.misses >= objects;
    const ratio = median(ours.map((each, round) => each / (bare[round] ?? Number.NaN)));
    return { name, value: median(ours), unit: "loads/s", limit: median(bare), ratio, correct, n: rounds * count };
  } finally {
    await bench.close();
  }
}

async function measureMemory(): Promise<Result> {
  const bench = await Bench.open();
  const objects = 1_000;
  const passes = 400;
  try {
    await bench.start("server");
    await using store = await connect({ servers: bench.url, realm: "bench" });
    await store.transact(async (tx) => {
      for (let index = 0; index < objects; index++) await tx.put(key(index), value(index));
    });
    const keys = Array.from({ length: objects }, (_, index) => key(index));
    await store.getMany(keys);
    const plain = new Map(keys.map((each, index) => [each, value(index)]));
    let wrong = 0;
    const read = () =>
      store.read(async (tx) => {
        const begin = nowMs();
        for (let pass = 0; pass < passes; pass++) {
          for (let index = 0; index < objects; index++) {
            const got = (await tx.get(keys[index] ?? "")) as { readonly index: number } | undefined;
            if (got?.index !== index) wrong++;
          }
        }
        return nowMs() - begin;
      });
    const look = (): number => {
      const begin = nowMs();
      for (let pass = 0; pass < passes; pass++) {
        for (let index = 0; index < objects; index++) if (plain.get(keys[index] ?? "")?.index !== index) wrong++;
      }
      return nowMs() - begin;
    };
    const perRead = 1e6 / (objects * passes);
    await read();
    look();
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push((await read()).value * perRead);
      bare.push(look() * perRead);
    }
    const ratio = median(ours.map((each, round) => each / (bare[round] ?? Number.NaN)));
    return {
      name: "read-memory",
      value: median(ours),
      unit: "ns",
      limit: median(bare),
      ratio,
      correct: wrong === 0,
      n: rounds * objects * passes,
    };
  } finally {
    await bench.close();
  }
}

/** The disk tier of the cache alone, without room in memory, against LMDB with the same decoding. */
async function measureDisk(): Promise<Result> {
  const bench = await Bench.open();
  const objects = 20_000;
  try {
    const cache = await ClientCache.open({
      storage: "main",
      realm: "bench",
      open: () => openLmdbStore({ folder: join(bench.folder, "cache"), durable: false, bootId: "bench" }),
      memoryBytesMax: 1,
      clock: systemClock,
      log: silentLog,
    });
    const raw = open<Buffer, Buffer>({
      path: join(bench.folder, "raw-cache"),
      encoding: "binary",
      keyEncoding: "binary",
      cache: false,
      noSync: true,
    });
    const ticket = cache.beginLoad(cache.position.tid);
    for (let index = 0; index < objects; index++) {
      const bytes = encodeValue(value(index));
      cache.admit(ticket, key(index), { serial: cache.position.tid, value: bytes, next: undefined }, cache.position);
      void raw.put(Buffer.from(key(index)), bytes);
      // The values that wait to be written are bounded.
      if (index % 2_000 === 0) await cache.flush();
    }
    cache.endLoad(ticket);
    await cache.flush();
    await raw.flushed;
    let wrong = 0;
    const each = (count: number, read: (key: string) => unknown): number => {
      const begin = nowMs();
      for (let at = 0; at < count; at++) {
        const index = (at * 7_919) % objects;
        if ((read(key(index)) as { readonly index: number } | undefined)?.index !== index) wrong++;
      }
      return ((nowMs() - begin) / count) * 1e3;
    };
    const ours: number[] = [];
    const bare: number[] = [];
    const readOurs = (at: string) => cache.find(at, cache.position.tid)?.give();
    const readRaw = (at: string) => decodeValue(raw.get(Buffer.from(at)) ?? Buffer.alloc(0)).value;
    each(objects, readOurs);
    each(objects, readRaw);
    const hitsBefore = cache.stats().hits.disk;
    for (let round = 0; round < rounds; round++) {
      ours.push(each(objects, readOurs));
      bare.push(each(objects, readRaw));
    }
    const correct = wrong === 0 && cache.stats().hits.disk - hitsBefore === rounds * objects;
    await cache.close();
    await raw.close();
    const ratio = median(ours.map((took, round) => took / (bare[round] ?? Number.NaN)));
    return { name: "read-disk", value: median(ours), unit: "µs", limit: median(bare), ratio, correct, n: rounds * objects };
  } finally {
    await bench.close();
  }
}

export const readQuestions: readonly Question[] = [
  {
    name: "load-sequential",
    question: "How many loads a second of objects that no cache holds, one at a time (p50), against a NATS echo of the same size?",
    target: "ratio ≥ 0.8",
    meets: ({ ratio }) => ratio >= 0.8,
    measure: () => measureLoads("load-sequential", 1, 2_000),
  },
  {
    name: "load-concurrent",
    question: "The same, 64 in flight?",
    target: "ratio ≥ 0.8",
    meets: ({ ratio }) => ratio >= 0.8,
    measure: () => measureLoads("load-concurrent", 64, 20_000),
  },
  {
    name: "read-memory",
    question: "What does an awaited `get` inside a transaction cost when memory has it, against Map.get?",
    target: "≤ 250",
    meets: ({ value: took }) => took <= 250,
    measure: measureMemory,
  },
  {
    name: "read-disk",
    question: "What does a read from the disk cache cost, against a raw LMDB get with decoding?",
    target: "ratio ≤ 1.5",
    meets: ({ ratio }) => ratio <= 1.5,
    measure: measureDisk,
  },
];
