import { mkdtempSync, rmSync } from "node:fs";
import { open } from "lmdb";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLmdbStore } from "../server.js";
import { decodeValue, encodeValue, asTag, silentLog, systemClock } from "../core/index.js";
import { DiskEntryStore } from "../storage/results/disk-entries.js";
import { median, nowMs } from "./measure.js";
import type { Question, Result } from "./report.js";

/** What does the LMDB tier of the semantic cache cost, without the calls above it? */

const rounds = 5;
const objects = 20_000;
const value = (index: number) => ({ index, name: `city ${index}`, text: "x".repeat(200) });
const key = (index: number) => `page(${index})`;
const how = { tags: [asTag("city:no:oslo")], ttlMs: 3_600_000 };

async function inFolder(measure: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "zooid-bench-"));
  try {
    return await measure(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function openTier(folder: string): Promise<DiskEntryStore> {
  const tier = await DiskEntryStore.open({
    name: "bench",
    countedBy: "bench",
    open: () => openLmdbStore({ folder: join(folder, "tier"), durable: false, bootId: "bench" }),
    clock: systemClock,
    log: silentLog,
  });
  if (tier.position === undefined) tier.reset({ epoch: "bench", sequence: 1, time: 0 });
  return tier;
}

function openRaw(folder: string) {
  const path = join(folder, "raw");
  return open<Buffer, Buffer>({ path, encoding: "binary", keyEncoding: "binary", cache: false, overlappingSync: false, noSync: true });
}

/** Milliseconds to write all values, in batches of as many as may wait at once. */
async function fill(tier: DiskEntryStore, round: number): Promise<number> {
  const begin = nowMs();
  for (let index = 0; index < objects; index++) {
    const put = () => tier.put(key(index), value(index + round), { ...how, began: tier.begin() });
    if (put() !== undefined) continue;
    await tier.flush();
    put();
  }
  await tier.flush();
  return nowMs() - begin;
}

const measureWrites = () =>
  inFolder(async (folder) => {
    const tier = await openTier(folder);
    const raw = openRaw(folder);
    const fillRaw = async (round: number): Promise<number> => {
      const begin = nowMs();
      let written: Promise<boolean> | undefined;
      for (let index = 0; index < objects; index++) written = raw.put(Buffer.from(key(index)), encodeValue(value(index + round)));
      await written;
      return nowMs() - begin;
    };
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const took = [await fill(tier, round), await fillRaw(round)] as const;
      if (round === 0) continue;
      ours.push((objects / took[0]) * 1_000);
      bare.push((objects / took[1]) * 1_000);
    }
    await tier.close();
    await raw.close();
    const again = await openTier(folder);
    let right = 0;
    for (let index = 0; index < objects; index++) {
      if ((again.get(key(index))?.value as { readonly index: number } | undefined)?.index === index + rounds) right++;
    }
    await again.close();
    const ratio = median(ours.map((each, round) => each / (bare[round] ?? Number.NaN)));
    const correct = right === objects;
    return { name: "lmdb-write", value: median(ours), unit: "writes/s", limit: median(bare), ratio, correct, n: rounds * objects };
  });

const measureReads = () =>
  inFolder(async (folder) => {
    const tier = await openTier(folder);
    await fill(tier, 0);
    const raw = openRaw(folder);
    let written: Promise<boolean> | undefined;
    for (let index = 0; index < objects; index++) written = raw.put(Buffer.from(key(index)), encodeValue(value(index)));
    await written;
    let wrong = 0;
    const each = (read: (key: string) => unknown): number => {
      const begin = nowMs();
      for (let at = 0; at < objects; at++) {
        const index = (at * 7_919) % objects;
        if ((read(key(index)) as { readonly index: number } | undefined)?.index !== index) wrong++;
      }
      return ((nowMs() - begin) / objects) * 1e3;
    };
    const readOurs = (at: string) => tier.get(at)?.value;
    const readRaw = (at: string) => decodeValue(raw.get(Buffer.from(at)) ?? Buffer.alloc(0)).value;
    each(readOurs);
    each(readRaw);
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < rounds; round++) {
      // Each entry is checked once more after an invalidation of another tag.
      tier.apply(asTag("city:dk"), { sequence: tier.begin().sequence + 1, time: 0 });
      ours.push(each(readOurs));
      bare.push(each(readRaw));
    }
    await tier.close();
    await raw.close();
    const ratio = median(ours.map((took, round) => took / (bare[round] ?? Number.NaN)));
    return { name: "lmdb-read", value: median(ours), unit: "µs", limit: median(bare), ratio, correct: wrong === 0, n: rounds * objects };
  });

export const cachedDiskQuestions: readonly Question[] = [
  {
    name: "lmdb-read",
    question: "What does a result cost that only the LMDB tier has, against a raw LMDB get with decoding?",
    target: "ratio ≤ 1.5",
    meets: ({ ratio }) => ratio <= 1.5,
    measure: measureReads,
  },
  {
    name: "lmdb-write",
    question: "How many results a second does the LMDB tier take, against raw LMDB puts with encoding?",
    target: "≥ 100,000",
    meets: ({ value: speed }) => speed >= 100_000,
    measure: measureWrites,
  },
];
