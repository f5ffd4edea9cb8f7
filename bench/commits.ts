import { connect, type ObjectClient } from "../index.js";
import { connect as connectRaw } from "nats";
import { Packr } from "msgpackr";
import { inParallel, inSequence, median } from "./measure.js";
import { Bench, type BenchProcess } from "./process.js";
import type { Question, Result } from "./report.js";

/** How fast are durable commits, and what do they cost the server, against a path without Zooid? */

const rounds = 3;
const commitsPerRound = 12_000;
const inFlight = 64;
const keyCount = 10_000;
const value = (index: number) => ({ index, text: "x".repeat(180) });
const packr = new Packr({ useRecords: false });

interface Run {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

async function timed(child: BenchProcess, count: number, operation: (index: number) => Promise<unknown>): Promise<Run> {
  const before = await child.usage();
  const took = await inParallel(count, inFlight, operation);
  const after = await child.usage();
  return { perSecond: (count / took) * 1_000, cpuMicros: (after.cpuMicros - before.cpuMicros) / count };
}

async function hasAll(store: ObjectClient, last: ReadonlyMap<string, number>): Promise<boolean> {
  const expected = [...last].slice(0, 500);
  const values = await store.getMany(expected.map(([key]) => key));
  return values.every((each, at) => (each as { readonly index: number } | undefined)?.index === expected[at]?.[1]);
}

/** Runs both paths in turn, round by round. The CPU cost of each server comes from the same rounds. */
async function concurrent(): Promise<{ readonly ours: Run[]; readonly bare: Run[]; readonly correct: boolean }> {
  const bench = await Bench.open();
  try {
    const server = await bench.start("server");
    const raw = await bench.start("raw");
    await using store = await connect({ servers: bench.url, realm: "bench" });
    const connection = await connectRaw({ servers: bench.url, noAsyncTraces: true });
    // Keys are spread so that no key is written twice at once: this bench is not about conflicts.
    const key = (index: number) => `object/${(index * 7) % keyCount}`;
    const last = new Map<string, number>();
    const commit = async (index: number): Promise<void> => {
      await store.transact((tx) => tx.put(key(index), value(index)));
      last.set(key(index), index);
    };
    const payload = Buffer.from(packr.pack(value(0)));
    const commitBare = (index: number) =>
      connection.request("raw.commit", packr.pack([`transaction-${index}`, 0, key(index), payload]), { timeout: 10_000 });
    await inParallel(3_000, inFlight, commit);
    await inParallel(3_000, inFlight, commitBare);
    const ours: Run[] = [];
    const bare: Run[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(await timed(server, commitsPerRound, commit));
      bare.push(await timed(raw, commitsPerRound, commitBare));
    }
    const correct = await hasAll(store, last);
    await connection.close();
    return { ours, bare, correct };
  } finally {
    await bench.close();
  }
}

async function measureConcurrent(): Promise<Result> {
  const { ours, bare, correct } = await concurrent();
  const speed = median(ours.map((run) => run.perSecond));
  const limit = median(bare.map((run) => run.perSecond));
  const ratio = median(ours.map((run, round) => run.perSecond / (bare[round]?.perSecond ?? Number.NaN)));
  return { name: "commit-concurrent", value: speed, unit: "commits/s", limit, ratio, correct, n: rounds * commitsPerRound };
}

async function measureCpu(): Promise<Result> {
  const { ours, bare, correct } = await concurrent();
  const cost = median(ours.map((run) => run.cpuMicros));
  const limit = median(bare.map((run) => run.cpuMicros));
  const ratio = median(ours.map((run, round) => run.cpuMicros / (bare[round]?.cpuMicros ?? Number.NaN)));
  return { name: "commit-cpu", value: cost, unit: "µs", limit, ratio, correct, n: rounds * commitsPerRound };
}

async function measureSequential(): Promise<Result> {
  const bench = await Bench.open();
  const count = 800;
  const turn = 20;
  try {
    await bench.start("server");
    const raw = await bench.start("raw");
    await using store = await connect({ servers: bench.url, realm: "bench" });
    const connection = await connectRaw({ servers: bench.url, noAsyncTraces: true });
    const last = new Map<string, number>();
    // A new object each time: three puts (object, log, position), as in the limit.
    let objects = 0;
    const commit = async (): Promise<void> => {
      const index = objects++;
      await store.transact((tx) => tx.put(`object/${index}`, value(index)));
      last.set(`object/${index}`, index);
    };
    const payload = Buffer.alloc(250, 7);
    const echo = () => connection.request("raw.echo", payload, { timeout: 10_000 });
    await inSequence(300, commit);
    await inSequence(300, echo);
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const commits: number[] = [];
      const echoes: number[] = [];
      const writes: number[] = [];
      // In turn, a few at a time, so that other load of the machine affects all alike.
      for (let done = 0; done < count; done += turn) {
        commits.push(...(await inSequence(turn, commit)));
        echoes.push(...(await inSequence(turn, echo)));
        writes.push(...(await raw.ask<number[]>("writes", turn)));
      }
      ours.push(median(commits));
      bare.push(median(echoes) + median(writes));
    }
    const correct = await hasAll(store, last);
    await connection.close();
    const ratio = median(ours.map((took, round) => (bare[round] ?? Number.NaN) / took));
    return { name: "commit-sequential", value: median(ours), unit: "ms", limit: median(bare), ratio, correct, n: rounds * count };
  } finally {
    await bench.close();
  }
}

export const commitQuestions: readonly Question[] = [
  {
    name: "commit-concurrent",
    question: "How many durable commits a second, 64 in flight?",
    target: "≥ 9,000",
    meets: ({ value }) => value >= 9_000,
    measure: measureConcurrent,
  },
  {
    name: "commit-sequential",
    question: "How long is one commit (p50), against a raw request and a raw durable write?",
    target: "ratio ≥ 0.65",
    meets: ({ ratio }) => ratio >= 0.65,
    measure: measureSequential,
  },
  {
    name: "commit-cpu",
    question: "What does a commit cost the server in CPU, 64 in flight?",
    target: "≤ 70",
    meets: ({ value }) => value <= 70,
    measure: measureCpu,
  },
];
