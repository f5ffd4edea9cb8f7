import { AsyncLocalStorage } from "node:async_hooks";
import { type Cache, createCache } from "../cache.js";
import { median, nowMs } from "./measure.js";
import type { Question, Result } from "./report.js";

/** What does a hit cost, what does it cost to keep a result, and what does a crowd wait for that asks for one missing key? */

const rounds = 5;
const value = (index: number) => ({ index, text: "x".repeat(200) });
const keys = Array.from({ length: 1_000 }, (_, index) => `key/${index}`);
const tags = ["cities:DE", "people", "weather:2026:11"];

/** From here on the process pays for AsyncLocalStorage at every await, as one does where `addDeps` was used. */
function enterAsyncLocalStorage(): void {
  new AsyncLocalStorage<number>().run(1, () => undefined);
}

async function perOperation(count: number, run: () => Promise<void> | void): Promise<number> {
  const begin = nowMs();
  await run();
  return ((nowMs() - begin) / count) * 1e6;
}

interface Compared {
  readonly name: string;
  readonly unit: string;
  readonly count: number;
  readonly ours: () => Promise<number> | number;
  readonly bare: () => Promise<number> | number;
  readonly isCorrect: () => boolean;
}

async function compare({ name, unit, count, ours, bare, isCorrect }: Compared): Promise<Result> {
  const values: number[] = [];
  const limits: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const took = await ours();
    const limit = await bare();
    if (round < 0) continue;
    values.push(took);
    limits.push(limit);
  }
  const ratio = median(values.map((each, round) => each / (limits[round] ?? Number.NaN)));
  return { name, value: median(values), unit, limit: median(limits), ratio, correct: isCorrect(), n: rounds * count };
}

const passes = 500;

async function hits(
  cache: Cache,
  name: string,
  deps: readonly string[],
): Promise<{ readonly run: () => Promise<number>; readonly wrong: () => number }> {
  let wrong = 0;
  const find = cache.cacheable(async (key: string) => value(key.length), { name, deps });
  for (const key of keys) await find(key);
  const run = () =>
    perOperation(passes * keys.length, async () => {
      for (let pass = 0; pass < passes; pass++) {
        for (const key of keys) if ((await find(key)).index !== key.length) wrong++;
      }
    });
  return { run, wrong: () => wrong };
}

async function measureHitAsync(): Promise<Result> {
  enterAsyncLocalStorage();
  await using cache = await createCache();
  const { run, wrong } = await hits(cache, "find", []);
  const kept = keys.map((key) => Promise.resolve(value(key.length)));
  const bare = () =>
    perOperation(passes * keys.length, async () => {
      for (let pass = 0; pass < passes; pass++) for (const promise of kept) await promise;
    });
  return await compare({
    name: "hit-async",
    unit: "ns",
    count: passes * keys.length,
    ours: run,
    bare,
    isCorrect: () => wrong() === 0 && cache.stats().misses === keys.length,
  });
}

async function measureHitSync(): Promise<Result> {
  enterAsyncLocalStorage();
  await using cache = await createCache();
  let wrong = 0;
  const find = cache.cacheable((key: string) => value(key.length), { name: "find" });
  const plain = new Map(keys.map((key) => [key, value(key.length)]));
  const each = (look: (key: string) => { readonly index: number } | undefined) => () =>
    perOperation(passes * keys.length, () => {
      for (let pass = 0; pass < passes; pass++) for (const key of keys) if (look(key)?.index !== key.length) wrong++;
    });
  return await compare({
    name: "hit-sync",
    unit: "ns",
    count: passes * keys.length,
    ours: each(find),
    bare: each((key) => plain.get(key)),
    isCorrect: () => wrong === 0,
  });
}

/** Three tags against none. */
async function measureHitTagged(): Promise<Result> {
  enterAsyncLocalStorage();
  await using cache = await createCache();
  const tagged = await hits(cache, "tagged", tags);
  const untagged = await hits(cache, "untagged", []);
  return await compare({
    name: "hit-tagged",
    unit: "ns",
    count: passes * keys.length,
    ours: tagged.run,
    bare: untagged.run,
    isCorrect: () => tagged.wrong() === 0,
  });
}

async function measureSet(name: string, used: readonly string[]): Promise<Result> {
  await using cache = await createCache({ maxEntries: 10_000 });
  const count = 200_000;
  const values = keys.map((_, index) => Object.freeze(value(index)));
  const ours = () =>
    perOperation(count, async () => {
      for (let index = 0; index < count; index++)
        void cache.set(keys[index % keys.length] ?? "", values[index % keys.length], { tags: used });
      await cache.get("");
    });
  const plain = new Map<string, unknown>();
  const bare = () =>
    perOperation(count, () => {
      for (let index = 0; index < count; index++)
        plain.set(keys[index % keys.length] ?? "", { value: values[index % keys.length], tags: used });
    });
  const result = await compare({ name, unit: "µs", count, ours, bare, isCorrect: () => cache.stats().entries === keys.length });
  return { ...result, value: result.value / 1_000, limit: result.limit / 1_000 };
}

async function measureStampede(): Promise<Result> {
  await using cache = await createCache();
  const callers = 10_000;
  const functionMs = 50;
  let computed = 0;
  const slow = cache.cacheable(
    async (key: string) => {
      computed++;
      await new Promise((resolve) => setTimeout(resolve, functionMs));
      return key.length;
    },
    { name: "slow" },
  );
  let round = 0;
  const crowd = async (ask: () => Promise<unknown>): Promise<number> => {
    const begin = nowMs();
    await Promise.all(Array.from({ length: callers }, ask));
    return nowMs() - begin - functionMs;
  };
  const ours = () => {
    const key = `key/${round++}`;
    return crowd(() => slow(key));
  };
  const bare = () => {
    const one = new Promise((resolve) => setTimeout(resolve, functionMs));
    return crowd(() => one);
  };
  return await compare({ name: "stampede", unit: "ms", count: callers, ours, bare, isCorrect: () => computed === round });
}

export const cacheQuestions: readonly Question[] = [
  {
    name: "hit-async",
    question: "What does an awaited hit of a cached async function cost, one string argument, against awaiting a kept promise?",
    target: "≤ 250, ratio ≤ 1.3",
    meets: ({ value: took, ratio }) => took <= 250 && ratio <= 1.3,
    measure: measureHitAsync,
  },
  {
    name: "hit-sync",
    question: "The same of a sync function, against Map.get?",
    target: "≤ 100",
    meets: ({ value: took }) => took <= 100,
    measure: measureHitSync,
  },
  {
    name: "hit-tagged",
    question: "What do three tags add to a hit?",
    target: "ratio ≤ 1.2",
    meets: ({ ratio }) => ratio <= 1.2,
    measure: measureHitTagged,
  },
  {
    name: "set-1-tag",
    question: "What does it cost to store in memory under one tag, against a Map?",
    target: "≤ 1.5",
    meets: ({ value: took }) => took <= 1.5,
    measure: () => measureSet("set-1-tag", tags.slice(0, 1)),
  },
  {
    name: "set-3-tags",
    question: "The same under three?",
    target: "≤ 2.5",
    meets: ({ value: took }) => took <= 2.5,
    measure: () => measureSet("set-3-tags", tags),
  },
  {
    name: "stampede",
    question: "How long do 10,000 concurrent callers of one missing key wait beyond the function's own time, against sharing a promise?",
    target: "≤ 15, computed once",
    meets: ({ value: took }) => took <= 15,
    measure: measureStampede,
  },
];
