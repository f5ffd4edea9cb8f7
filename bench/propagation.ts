import { connect as connectRaw } from "nats";
import { createCache } from "../cache.js";
import { median, nowMs } from "./measure.js";
import { Bench, type BrokerOptions, UnknownToBroker } from "./process.js";
import type { Question, Result, Skipped } from "./report.js";

/** How soon is a result gone at another node after this node invalidates it? */

const rounds = 3;
const count = 300;
/** Messages sent on both paths before the count begins, so that both processes run compiled code, as in service. */
const warmUp = 10_000;
const burst = 50;

interface Gone {
  readonly tag: string;
  /** When the cache there had applied the invalidation. */
  readonly atMs: number;
  readonly wasKept: boolean;
  /** A call after that computed the result again. */
  readonly isGone: boolean;
}

interface Round {
  readonly tookMs: number;
  readonly limitMs: number;
  readonly correct: boolean;
}

/** Invalidates results that another process keeps, one after another; each waits until the result is gone there. */
async function measureRound(busKind: "jetstream" | "nats", broker: BrokerOptions): Promise<Round> {
  const bench = await Bench.open(broker);
  try {
    const other = await bench.start("cache", { busKind });
    await using cache = await createCache({ busUrl: bench.url, busKind, prefix: "bench" });
    const connection = await connectRaw({ servers: bench.url, noAsyncTraces: true });
    while (cache.stats().bus?.type !== "following") await new Promise((resolve) => setTimeout(resolve, 10));
    const took: number[] = [];
    const raw: number[] = [];
    let correct = true;
    const payload = Buffer.alloc(40, 7);
    for (let sent = 0; sent < warmUp; sent += burst) {
      await Promise.all(Array.from({ length: burst }, (_, index) => cache.invalidate(`city:${index}`)));
      for (let index = 0; index < burst; index++) connection.publish("raw.message", payload);
      await connection.flush();
    }
    for (let index = 0; index < count; index++) {
      const tag = `city:${index}`;
      const next = other.ask<Gone>("nextGone", tag);
      // The answer comes after `nextGone` was taken in: the other process has the result, and is idle.
      await other.ask("isReady");
      const calledMs = nowMs();
      const outcome = cache.invalidate(tag);
      const gone = await next;
      correct &&= gone.tag === tag && gone.wasKept && gone.isGone && (await outcome) === "published";
      // At the same pace: a process that slept wakes up more slowly than a busy one.
      const nextRaw = other.ask<number>("nextRaw");
      await other.ask("isReady");
      const publishedMs = nowMs();
      connection.publish("raw.message", payload);
      const rawMs = (await nextRaw) - publishedMs;
      took.push(gone.atMs - calledMs);
      raw.push(rawMs);
    }
    await connection.close();
    return { tookMs: median(took), limitMs: median(raw), correct };
  } finally {
    await bench.close();
  }
}

async function measure(name: string, busKind: "jetstream" | "nats", broker: BrokerOptions): Promise<Result | Skipped> {
  const done: Round[] = [];
  try {
    for (let round = 0; round < rounds; round++) done.push(await measureRound(busKind, broker));
  } catch (error) {
    if (error instanceof UnknownToBroker) return { name, skipped: error.message };
    throw error;
  }
  const ratio = median(done.map(({ tookMs, limitMs }) => tookMs / limitMs));
  const [value, limit] = [median(done.map(({ tookMs }) => tookMs)), median(done.map(({ limitMs }) => limitMs))];
  return { name, value, unit: "ms", limit, ratio, correct: done.every(({ correct }) => correct), n: rounds * count };
}

export const propagationQuestions: readonly Question[] = [
  {
    name: "propagation-plain",
    question: "From `invalidate` called here to the result gone at another node over plain NATS (p50), against publish to subscriber?",
    target: "ratio ≤ 1.5",
    meets: ({ ratio }) => ratio <= 1.5,
    measure: () => measure("propagation-plain", "nats", {}),
  },
  {
    name: "propagation-jetstream",
    question: "The same over JetStream, which syncs every two minutes by default?",
    target: "ratio ≤ 2.5",
    meets: ({ ratio }) => ratio <= 2.5,
    measure: () => measure("propagation-jetstream", "jetstream", { jetstream: "default" }),
  },
  {
    name: "propagation-jetstream-always",
    question: "And with a broker that syncs before it acknowledges?",
    target: "none",
    meets: () => true,
    measure: () => measure("propagation-jetstream-always", "jetstream", { jetstream: "always" }),
  },
];
