import { connect as connectRaw } from "nats";
import { statSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../index.js";
import { inSequence, median, nowMs } from "./measure.js";
import { Bench, type BenchProcess } from "./process.js";
import type { Question, Result } from "./report.js";

/** How soon is the other cache current, what do many clients cost, and what does a server use? */

const rounds = 3;

interface Seen {
  readonly value: { readonly index: number };
  readonly appliedMs: number;
  readonly readMs: number;
}

interface SeenChange {
  readonly calledMs: number;
  readonly resolvedMs: number;
  readonly seen: Seen;
}

/** Changes one object that another process has cached and watches; each change waits until the other has read it. */
async function change(
  bench: Bench,
  count: number,
): Promise<{ readonly changes: SeenChange[]; readonly limitMs: number; readonly correct: boolean }> {
  await bench.start("server");
  const raw = await bench.start("raw");
  await using store = await connect({ servers: bench.url, realm: "bench" });
  const connection = await connectRaw({ servers: bench.url, noAsyncTraces: true });
  await store.put("object/0", { index: -1, text: "x".repeat(180) });
  const other = await bench.start("client", { clients: 1 });
  await other.ask("follow", "object/0");
  const payload = Buffer.alloc(250, 7);
  const changes: SeenChange[] = [];
  const echoes: number[] = [];
  const writes: number[] = [];
  let correct = true;
  for (let index = 0; index < count; index++) {
    const next = other.ask<Seen>("nextSeen");
    // The answer comes after `nextSeen` was taken in: the other process listens, and is idle.
    await other.ask("isCoherent", 0);
    const calledMs = nowMs();
    await store.transact((tx) => tx.put("object/0", { index, text: "x".repeat(180) }));
    const resolvedMs = nowMs();
    const seen = await next;
    if (seen.value.index !== index) correct = false;
    changes.push({ calledMs, resolvedMs, seen });
    // At the same pace: a process that slept wakes up more slowly than a busy one.
    echoes.push(...(await inSequence(1, () => connection.request("raw.echo", payload, { timeout: 10_000 }))));
    writes.push(...(await raw.ask<number[]>("writes", 1)));
  }
  await connection.close();
  return { changes, limitMs: 2 * median(echoes) + median(writes), correct };
}

async function measureInvalidation(): Promise<Result> {
  const values: number[] = [];
  const bounds: number[] = [];
  let correct = true;
  const count = 400;
  for (let round = 0; round < rounds; round++) {
    const bench = await Bench.open();
    try {
      const run = await change(bench, count);
      values.push(median(run.changes.map(({ calledMs, seen }) => seen.readMs - calledMs)));
      bounds.push(run.limitMs);
      correct &&= run.correct;
    } finally {
      await bench.close();
    }
  }
  const ratio = median(values.map((each, round) => each / (bounds[round] ?? Number.NaN)));
  return { name: "invalidation", value: median(values), unit: "ms", limit: median(bounds), ratio, correct, n: rounds * count };
}

async function measureApplied(): Promise<Result> {
  const values: number[] = [];
  let correct = true;
  const count = 400;
  for (let round = 0; round < rounds; round++) {
    const bench = await Bench.open();
    try {
      const run = await change(bench, count);
      values.push(median(run.changes.map(({ resolvedMs, seen }) => seen.appliedMs - resolvedMs)));
      correct &&= run.correct;
    } finally {
      await bench.close();
    }
  }
  return { name: "invalidation-applied", value: median(values), unit: "ms", limit: 0, ratio: Number.NaN, correct, n: rounds * count };
}

/** Server CPU for each commit at a fixed rate, while `clients` other clients listen. */
async function commitCost(clients: number, commits: number): Promise<{ readonly micros: number; readonly correct: boolean }> {
  const bench = await Bench.open();
  try {
    const server = await bench.start("server");
    await using store = await connect({ servers: bench.url, realm: "bench" });
    const others = await bench.start("client", { clients });
    const run = async (count: number): Promise<number> => {
      const begin = nowMs();
      let tid = 0;
      const under: Promise<void>[] = [];
      for (let index = 0; index < count; index++) {
        const waitMs = begin + (index * 1_000) / 300 - nowMs();
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
        under.push(
          store
            .transact((tx) => tx.put(`object/${index}`, { index, text: "x".repeat(180) }))
            .then((done) => {
              tid = Math.max(tid, done.tid);
            }),
        );
      }
      await Promise.all(under);
      return tid;
    };
    await run(300);
    const before = await server.usage();
    const tid = await run(commits);
    const after = await server.usage();
    return { micros: (after.cpuMicros - before.cpuMicros) / commits, correct: await reaches(others, tid) };
  } finally {
    await bench.close();
  }
}

async function reaches(others: BenchProcess, tid: number): Promise<boolean> {
  for (const deadline = nowMs() + 5_000; nowMs() < deadline;) if (await others.ask<boolean>("isCoherent", tid)) return true;
  return false;
}

async function measureFanOut(): Promise<Result> {
  const commits = 1_500;
  const many: number[] = [];
  const one: number[] = [];
  let correct = true;
  for (let round = 0; round < rounds; round++) {
    for (const [clients, into] of [[200, many] as const, [1, one] as const]) {
      const cost = await commitCost(clients, commits);
      into.push(cost.micros);
      correct &&= cost.correct;
    }
  }
  const ratio = median(many.map((each, round) => each / (one[round] ?? Number.NaN)));
  return { name: "fan-out", value: median(many), unit: "µs", limit: median(one), ratio, correct, n: rounds * commits };
}

interface Footprint {
  readonly residentMb: number;
  readonly diskMb: number;
  readonly correct: boolean;
}

async function footprint(): Promise<Footprint> {
  const bench = await Bench.open();
  const objects = 100_000;
  try {
    const server = await bench.start("server");
    await using store = await connect({ servers: bench.url, realm: "bench" });
    for (let first = 0; first < objects; first += 1_000) {
      await store.transact(async (tx) => {
        for (let index = first; index < first + 1_000; index++) await tx.put(`object/${index}`, { index, text: "x".repeat(180) });
      });
    }
    const { residentBytes } = await server.usage();
    const { size } = statSync(join(bench.folder, "server", "data.mdb"));
    const got = (await store.get(`object/${objects - 1}`)) as { readonly index: number } | undefined;
    return { residentMb: residentBytes / 1e6, diskMb: size / 1e6, correct: got?.index === objects - 1 };
  } finally {
    await bench.close();
  }
}

async function measureFootprint(name: string, limit: number, part: (of: Footprint) => number): Promise<Result> {
  const runs: Footprint[] = [];
  for (let round = 0; round < rounds; round++) runs.push(await footprint());
  const value = median(runs.map(part));
  return { name, value, unit: "MB", limit, ratio: value / limit, correct: runs.every(({ correct }) => correct), n: rounds * 100_000 };
}

export const coherenceQuestions: readonly Question[] = [
  {
    name: "invalidation",
    question: "From `transact` called here to the new value read there (p50), against request + durable write + request?",
    target: "ratio ≤ 1.5",
    meets: ({ ratio }) => ratio <= 1.5,
    measure: measureInvalidation,
  },
  {
    name: "invalidation-applied",
    question: "From `transact` resolved here until the old value is no longer served there (p50)?",
    target: "≤ 0.1",
    meets: ({ value }) => value <= 0.1,
    measure: measureApplied,
  },
  {
    name: "fan-out",
    question: "Server CPU a commit at 300 commits a second with 200 idle clients, against one?",
    target: "ratio ≤ 1.2",
    meets: ({ ratio }) => ratio <= 1.2,
    measure: measureFanOut,
  },
  {
    name: "footprint-memory",
    question: "What does a server of 100,000 objects of 200 bytes keep resident, mapped file aside?",
    target: "≤ 150",
    meets: ({ value }) => value <= 150,
    measure: () => measureFootprint("footprint-memory", 150, ({ residentMb }) => residentMb),
  },
  {
    name: "footprint-disk",
    question: "And on disk?",
    target: "≤ 60",
    meets: ({ value }) => value <= 60,
    measure: () => measureFootprint("footprint-disk", 60, ({ diskMb }) => diskMb),
  },
];
