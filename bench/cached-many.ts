import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createCache } from "../cache.js";
import { median, nowMs } from "./measure.js";
import type { Question, Result } from "./report.js";

/** What do a million results under one tag cost: to keep them, and to invalidate them? */

const entries = 1_000_000;
const rounds = 16;
/** Number of calls in one go. */
const asked = 50_000;
const key = (index: number) => `key/${index}`;

interface Run {
  /** Microseconds to invalidate the tag of all results, and a tag of one result. */
  readonly allMicros: number;
  readonly oneMicros: number;
  /** Nanoseconds of the first call for each result afterwards, and of a call for a missing result. */
  readonly staleNanos: number;
  readonly missNanos: number;
  readonly correct: boolean;
}

async function run(): Promise<Run> {
  await using cache = await createCache({ maxBytes: Infinity });
  let computed = 0;
  const compute = (argument: string) => {
    computed++;
    return argument.length;
  };
  const find = cache.cacheable(compute, { name: "find", deps: ["cities:DE"] });
  const other = cache.cacheable((argument: string) => argument.length, { name: "other", deps: ["people:DE"] });
  /** Nanoseconds of one call. */
  const ask = (first: number, count: number): number => {
    const begin = nowMs();
    for (let index = first; index < first + count; index++) find(key(index));
    return ((nowMs() - begin) / count) * 1e6;
  };
  const invalidate = (tag: string): number => {
    const begin = nowMs();
    void cache.invalidate(tag);
    return (nowMs() - begin) * 1_000;
  };
  const all: number[] = [];
  const one: number[] = [];
  const stale: number[] = [];
  const miss: number[] = [];
  ask(0, entries);
  other("one");
  for (let warm = 0; warm < 2_000; warm++) invalidate("elsewhere");
  let correct = computed === entries && cache.stats().entries === entries + 1;
  for (let round = 0; round < rounds; round++) {
    // The first operation pays for the leftovers of the calls before it.
    invalidate("elsewhere");
    all.push(invalidate("cities"));
    one.push(invalidate("people"));
    computed = 0;
    // Equal numbers of stale and missing results, in turn: garbage collection affects both alike.
    for (let part = 0; part < 2; part++) {
      stale.push(ask(part * asked, asked));
      miss.push(ask(entries + (2 * round + part) * asked, asked));
    }
    correct &&= computed === 4 * asked;
  }
  // Every result is found stale, and computed once more.
  void cache.invalidate("cities:DE");
  computed = 0;
  ask(0, entries);
  correct &&= computed === entries;
  ask(0, entries);
  correct &&= computed === entries;
  return { allMicros: median(all), oneMicros: median(one), staleNanos: median(stale), missNanos: median(miss), correct };
}

async function measureInvalidate(): Promise<Result> {
  const { allMicros: value, oneMicros: limit, correct } = await run();
  return { name: "invalidate-1m", value, unit: "µs", limit, ratio: value / limit, correct, n: rounds };
}

async function measureAfter(): Promise<Result> {
  const { staleNanos: value, missNanos: limit, correct } = await run();
  return { name: "invalidate-1m-after", value, unit: "ns", limit, ratio: value / limit, correct, n: rounds * 2 * asked };
}

interface Held {
  readonly bytes: number;
  readonly correct: boolean;
}

/** Growth of the heap of another process that keeps the same number of results in a cache, or values in a Map. */
function held(what: "cache" | "map"): Held {
  const child = fileURLToPath(new URL("entries-process.js", import.meta.url));
  const flags = ["--expose-gc", "--max-old-space-size=4096"];
  return JSON.parse(execFileSync(process.execPath, [...flags, child, what, String(entries)], { encoding: "utf8" })) as Held;
}

function measureMemory(): Promise<Result> {
  const cache = held("cache");
  const map = held("map");
  const value = (cache.bytes - map.bytes) / entries;
  const limit = map.bytes / entries;
  const correct = cache.correct && map.correct;
  return Promise.resolve({ name: "entry-memory", value, unit: "B", limit, ratio: (value + limit) / limit, correct, n: entries });
}

export const cachedManyQuestions: readonly Question[] = [
  {
    name: "invalidate-1m",
    question: "What does it cost to invalidate a tag that 1,000,000 results depend on, against one that a single result does?",
    target: "≤ 20",
    meets: ({ value }) => value <= 20,
    measure: measureInvalidate,
  },
  {
    name: "invalidate-1m-after",
    question: "What does the first call of each cost afterwards, against a call that nothing is kept for?",
    target: "ratio ≤ 1.5",
    meets: ({ ratio }) => ratio <= 1.5,
    measure: measureAfter,
  },
  {
    name: "entry-memory",
    question: "What does each of 1,000,000 results of an async function under one tag take beyond its place in a plain Map?",
    target: "≤ 250",
    meets: ({ value }) => value <= 250,
    measure: measureMemory,
  },
];
