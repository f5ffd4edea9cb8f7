import { createCache } from "../cache.js";
import { compare, nowMs, perOperation } from "./measure.js";
import type { Question, Result } from "./report.js";

/** What does it cost to keep a result, and how long do many callers wait for one missing key? */

const value = (index: number) => ({ index, text: "x".repeat(200) });
const keys = Array.from({ length: 1_000 }, (_, index) => `key/${index}`);
const tags = ["cities:DE", "people", "weather:2026:11"];

async function measureSet(name: string, used: readonly string[]): Promise<Result> {
  await using cache = await createCache({ maxEntries: 10_000 });
  const count = 20_000;
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
  const isCorrect = () => cache.stats().entries === keys.length;
  const result = await compare({ name, unit: "µs", count, rounds: 40, ours, bare, isCorrect });
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
