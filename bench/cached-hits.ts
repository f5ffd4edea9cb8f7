import { AsyncLocalStorage } from "node:async_hooks";
import { type Cache, createCache } from "../cache.js";
import { compare, nowMs, perOperation } from "./measure.js";
import { answerUnderOtherNode } from "./other-node.js";
import type { Question, Result } from "./report.js";

/** What does a hit in memory cost? Values of 231 bytes. */

const value = (index: number) => ({ index, text: "x".repeat(200) });
const keys = Array.from({ length: 1_000 }, (_, index) => `key/${index}`);
/** So few keys that the time is that of the work, not of distant memory. */
const fewKeys = keys.slice(0, 10);
const tags = ["cities:DE", "people", "weather:2026:11"];
const rounds = 40;
const count = 50_000;
/** Number of hits between two calls of `between`. */
const stretch = 1_000;

const tracing = new AsyncLocalStorage<number>();

/**
 * A cache whose `addDeps` has been used, in a process that pays for AsyncLocalStorage at every await from here on, as
 * every process that traces requests does. The cache alone uses an AsyncLocalStorage only while it computes.
 */
async function openCache(): Promise<Cache> {
  tracing.run(1, () => undefined);
  const cache = await createCache();
  await cache.cacheable(async () => cache.addDeps("used"), { name: "addDeps" })();
  return cache;
}

interface Hits {
  readonly run: () => Promise<number>;
  readonly areRight: () => boolean;
}

/** Hits of an awaited async function. `between` is called once in each `stretch` hits. */
async function hits(cache: Cache, name: string, deps: readonly string[], asked: readonly string[], between?: () => void): Promise<Hits> {
  let wrong = 0;
  let computed = 0;
  const compute = async (key: string) => {
    computed++;
    return value(key.length);
  };
  const find = cache.cacheable(compute, { name, deps });
  for (const key of asked) await find(key);
  const run = () =>
    perOperation(count, async () => {
      for (let done = 0; done < count; done += asked.length) {
        for (const key of asked) if ((await find(key)).index !== key.length) wrong++;
        if (done % stretch === 0) between?.();
      }
    });
  return { run, areRight: () => wrong === 0 && computed === asked.length };
}

/** Compares hits with awaiting promises that are at hand. */
async function measureAsync(): Promise<Result> {
  await using cache = await openCache();
  const { run, areRight } = await hits(cache, "find", [], fewKeys);
  const kept = fewKeys.map((key) => Promise.resolve(value(key.length)));
  let wrong = 0;
  const bare = () =>
    perOperation(count, async () => {
      for (let done = 0; done < count; done += kept.length) for (const promise of kept) if ((await promise).index < 0) wrong++;
    });
  return await compare({ name: "hit-async", unit: "ns", count, rounds, ours: run, bare, isCorrect: () => areRight() && wrong === 0 });
}

/** Compares hits with awaiting promises that a Map gives. */
async function measureAsyncMany(): Promise<Result> {
  await using cache = await openCache();
  const { run, areRight } = await hits(cache, "find", [], keys);
  const kept = new Map(keys.map((key) => [key, Promise.resolve(value(key.length))]));
  let wrong = 0;
  const bare = () =>
    perOperation(count, async () => {
      for (let done = 0; done < count; done += keys.length)
        for (const key of keys) if ((await kept.get(key))?.index !== key.length) wrong++;
    });
  return await compare({ name: "hit-async-many", unit: "ns", count, rounds, ours: run, bare, isCorrect: () => areRight() && wrong === 0 });
}

async function measureSync(): Promise<Result> {
  await using cache = await openCache();
  let wrong = 0;
  const find = cache.cacheable((key: string) => value(key.length), { name: "find" });
  const plain = new Map(keys.map((key) => [key, value(key.length)]));
  const each = (look: (key: string) => { readonly index: number } | undefined) => () =>
    perOperation(count, () => {
      for (let done = 0; done < count; done += keys.length) for (const key of keys) if (look(key)?.index !== key.length) wrong++;
    });
  const bare = each((key) => plain.get(key));
  return await compare({ name: "hit-sync", unit: "ns", count, rounds, ours: each(find), bare, isCorrect: () => wrong === 0 });
}

/** Compares three tags with none. */
async function measureTagged(): Promise<Result> {
  await using cache = await openCache();
  const tagged = await hits(cache, "tagged", tags, keys);
  const untagged = await hits(cache, "untagged", [], keys);
  const isCorrect = () => tagged.areRight() && untagged.areRight();
  return await compare({ name: "hit-tagged-idle", unit: "ns", count, rounds, ours: tagged.run, bare: untagged.run, isCorrect });
}

/** As `measureTagged`, with unrelated invalidations: after each of them every entry is checked again. */
async function measureTaggedBusy(): Promise<Result> {
  await using cache = await openCache();
  const perSecond = 1_000;
  let begin = nowMs();
  let invalidated = 0;
  const invalidate = () => {
    const due = ((nowMs() - begin) / 1_000) * perSecond;
    for (; invalidated < due; invalidated++) void cache.invalidate(`other:${invalidated % 100}`);
  };
  const tagged = await hits(cache, "tagged", tags, keys, invalidate);
  await using idle = await openCache();
  const untagged = await hits(idle, "untagged", [], keys);
  let all = 0;
  const ours = async () => {
    begin = nowMs();
    invalidated = 0;
    const took = await tagged.run();
    all += invalidated;
    return took;
  };
  const isCorrect = () => tagged.areRight() && untagged.areRight() && all > rounds;
  return await compare({ name: "hit-tagged-busy", unit: "ns", count, rounds, ours, bare: untagged.run, isCorrect });
}

export const cachedHitQuestions: readonly Question[] = [
  {
    name: "hit-async",
    question: "What does an awaited hit of a cached async function cost, one string argument, against awaiting a kept promise? 10 keys",
    target: "≤ 250, ratio ≤ 1.3",
    meets: ({ value: took, ratio }) => took <= 250 && ratio <= 1.3,
    measure: measureAsync,
  },
  {
    name: "hit-async-many",
    question: "And with 1,000 keys, against awaiting promises that a Map gives?",
    target: "none",
    meets: () => true,
    measure: measureAsyncMany,
  },
  {
    name: "hit-async-24",
    question: "The same on Node 24?",
    target: "≤ 180",
    meets: ({ value: took }) => took <= 180,
    measure: () => answerUnderOtherNode("hit-async", "hit-async-24"),
  },
  {
    name: "hit-sync",
    question: "And of a sync function, against Map.get?",
    target: "≤ 100",
    meets: ({ value: took }) => took <= 100,
    measure: measureSync,
  },
  {
    name: "hit-tagged-idle",
    question: "What do three tags add to a hit of an async function?",
    target: "ratio ≤ 1.2",
    meets: ({ ratio }) => ratio <= 1.2,
    measure: measureTagged,
  },
  {
    name: "hit-tagged-busy",
    question: "And under 1,000 unrelated invalidations a second, against hits without tags and without invalidations?",
    target: "ratio ≤ 2",
    meets: ({ ratio }) => ratio <= 2,
    measure: measureTaggedBusy,
  },
];
