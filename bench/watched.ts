import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { compare } from "./measure.js";
import { Bench, type BenchProcess } from "./process.js";
import type { Question, Result } from "./report.js";

/** What does it cost clients and servers that `zooid top` watches them? */

const commitsPerRound = 12_000;
/** Commits before each count: a watch lasts minutes, and the start of `zooid top` takes a core for its first second. */
const commitsBefore = 12_000;

/** Starts `zooid top`, and resolves when both processes record for it; the returned function ends it. */
async function watch(bench: Bench, server: BenchProcess): Promise<() => Promise<void>> {
  const cli = fileURLToPath(new URL("../cli/zooid.js", import.meta.url));
  const top = spawn(process.execPath, [cli, "top", "--json", "--servers", bench.url, "--realm", "bench"], { stdio: "ignore" });
  const ended = once(top, "exit");
  while (!(await server.ask<boolean>("isRecorded"))) await pause(20);
  return async () => {
    top.kill("SIGTERM");
    await ended;
    while (await server.ask<boolean>("isRecorded")) await pause(20);
  };
}

async function measureWatched(): Promise<Result> {
  const bench = await Bench.open();
  try {
    const server = await bench.start("server");
    const client = await bench.start("committing");
    const cpuMicros = async () => {
      const used = await Promise.all([server.usage(), client.usage()]);
      return used.reduce((sum, usage) => sum + usage.cpuMicros, 0);
    };
    /** CPU of client and server for one commit, in µs. */
    const cost = async () => {
      await client.ask("commit", commitsBefore);
      const before = await cpuMicros();
      await client.ask("commit", commitsPerRound);
      return ((await cpuMicros()) - before) / commitsPerRound;
    };
    const costWatched = async () => {
      const end = await watch(bench, server);
      try {
        return await cost();
      } finally {
        await end();
      }
    };
    let isThere = true;
    return await compare({
      name: "watched",
      unit: "µs",
      count: commitsPerRound,
      rounds: 9,
      ours: async () => {
        const micros = await costWatched();
        isThere &&= await client.ask<boolean>("isThere");
        return micros;
      },
      bare: cost,
      isCorrect: () => isThere,
    });
  } finally {
    await bench.close();
  }
}

export const watchedQuestions: readonly Question[] = [
  {
    name: "watched",
    question: "What does a commit cost client and server in CPU while zooid top watches them, against no watcher?",
    target: "ratio ≤ 1.05",
    meets: ({ ratio }) => ratio <= 1.05,
    measure: measureWatched,
  },
];
