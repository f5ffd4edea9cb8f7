import { cpSync } from "node:fs";
import { join } from "node:path";
import { connect, type ObjectClient } from "../index.js";
import { inParallel, median, nowMs, percentile } from "./measure.js";
import { Bench } from "./process.js";
import type { Question, Result } from "./report.js";

/** What do returning clients, each far behind, cost the commits of other clients meanwhile? */

const rounds = 3;
const clients = 500;
const missed = 5_000;
/** Each commit reaches 500 clients in one process: 4 times as many commits leave that process no time to return. */
const commitsPerSecond = 25;
const commitsMin = 500;

const value = (index: number) => ({ index, text: "x".repeat(180) });

interface Committed {
  readonly tid: number;
  readonly index: number;
  /** Time of each commit since it was due: a commit that waits for others counts its waiting time. */
  readonly tookMs: readonly number[];
}

/** Commits at a steady rate until `isOver`, and at least commitsMin times. */
async function commitSteadily(store: ObjectClient, isOver: () => boolean): Promise<Committed> {
  const tookMs: number[] = [];
  const beginMs = nowMs();
  let tid = 0;
  let index = 0;
  for (; index < commitsMin || !isOver(); index++) {
    const dueMs = beginMs + (index * 1_000) / commitsPerSecond;
    const waitMs = dueMs - nowMs();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    tid = await store.put("steady", value(index));
    tookMs.push(nowMs() - dueMs);
  }
  return { tid, index: index - 1, tookMs };
}

async function round(): Promise<{ readonly alone: number; readonly beside: number; readonly correct: boolean; readonly n: number }> {
  const bench = await Bench.open();
  try {
    await bench.start("server");
    await using store = await connect({ servers: bench.url, realm: "bench" });
    await store.put("steady", value(-1));
    // One cache of an earlier process, and a copy of it for each client.
    const first = join(bench.folder, "cache");
    const earlier = await connect({ servers: bench.url, realm: "bench", cache: { folder: first } });
    await earlier.get("steady");
    await earlier.close();
    const folders = Array.from({ length: clients }, (_, index) => join(bench.folder, `cache-${index}`));
    for (const folder of folders) cpSync(first, folder, { recursive: true });
    await inParallel(missed, 64, (index) => store.put(`object/${index}`, value(index)));
    const returning = await bench.start("returning");
    const alone = await commitSteadily(store, () => true);
    let isBack = false;
    const comingBack = returning.ask<string[]>("comeBack", folders).finally(() => (isBack = true));
    const beside = await commitSteadily(store, () => isBack);
    const verified = await comingBack;
    const read = await returning.ask<{ readonly index: number }[]>("read", { key: "steady", tid: beside.tid });
    // A client whose link drops meanwhile continues from its position: its last replay may cover only a part of what it
    // missed.
    const correct =
      verified.length === clients && verified.every((how) => how === "replayed") && read.every((each) => each.index === beside.index);
    await returning.ask("leave");
    const n = alone.tookMs.length + beside.tookMs.length;
    return { alone: percentile(alone.tookMs, 0.99), beside: percentile(beside.tookMs, 0.99), correct, n };
  } finally {
    await bench.close();
  }
}

async function measureReturning(): Promise<Result> {
  const runs = [];
  for (let count = 0; count < rounds; count++) runs.push(await round());
  return {
    name: "returning-clients",
    value: median(runs.map(({ beside }) => beside)),
    unit: "ms",
    limit: median(runs.map(({ alone }) => alone)),
    ratio: median(runs.map(({ alone, beside }) => beside / alone)),
    correct: runs.every(({ correct }) => correct),
    n: runs.reduce((sum, { n }) => sum + n, 0),
  };
}

export const returningQuestions: readonly Question[] = [
  {
    name: "returning-clients",
    question: "How long is a commit (p99) while 500 clients return that each missed 5,000 transactions, against without them?",
    target: "ratio ≤ 2",
    meets: ({ ratio }) => ratio <= 2,
    measure: measureReturning,
  },
];
