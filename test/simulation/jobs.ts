import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { simulateCache } from "./cache/cache-run.js";
import { simulate, type RunResult } from "./run.js";

/** Real time of one run, a hundred times what it takes: one that is not over by then runs in a circle in which no simulated time passes. */
const runTimeoutMs = 60_000;

/** What a run came to, as it travels between processes. */
export interface Outcome extends Omit<RunResult, "violation"> {
  readonly violation: string | undefined;
}

/** What can be simulated. */
export const simulations = { store: simulate, cache: simulateCache } as const;

export type Simulated = keyof typeof simulations;

/** Runs seeds in this process, telling each line of their trace. */
export async function* runHere(what: Simulated, seeds: Iterable<number>, trace: (line: string) => void): AsyncGenerator<Outcome> {
  for (const seed of seeds) {
    const result = await simulations[what](seed, trace);
    yield { ...result, violation: result.violation?.message };
  }
}

/** Runs seeds in `jobs` processes; what came of them, as it comes. Ends the processes when it is left. */
export async function* runInJobs(what: Simulated, seeds: Iterable<number>, jobs: number): AsyncGenerator<Outcome> {
  const left = seeds[Symbol.iterator]();
  const done: Outcome[] = [];
  const timers = new Map<ChildProcess, NodeJS.Timeout>();
  let wake: () => void = () => undefined;
  let failure: Error | undefined;

  const end = (worker: ChildProcess) => {
    clearTimeout(timers.get(worker));
    timers.delete(worker);
    worker.removeAllListeners();
    // One that runs in a circle hears of no other signal.
    worker.kill("SIGKILL");
  };
  const next = (worker: ChildProcess) => {
    const { value: seed, done: isOver } = left.next();
    if (isOver === true) {
      end(worker);
      return;
    }
    const late = () => {
      end(worker);
      done.push({ seed, violation: `gave no answer within ${runTimeoutMs} ms`, simulatedMs: 0, counts: {} });
      start();
      wake();
    };
    timers.set(worker, setTimeout(late, runTimeoutMs));
    worker.send(seed);
  };
  const start = () => {
    // Most of what a run makes dies young: with more room for it, and no helpers that take the other process's core, collecting
    // costs a tenth of the time less.
    const execArgv = [...process.execArgv, "--max-semi-space-size=64", "--single-threaded-gc"];
    const worker = fork(fileURLToPath(new URL("./worker.ts", import.meta.url)), [what], { execArgv });
    worker.on("message", (outcome: Outcome) => {
      clearTimeout(timers.get(worker));
      done.push(outcome);
      next(worker);
      wake();
    });
    worker.once("exit", (code) => {
      failure = new Error(`a process of the simulation ended with ${code}`);
      wake();
    });
    next(worker);
  };

  try {
    for (let job = 0; job < jobs; job++) start();
    while (timers.size > 0 || done.length > 0) {
      for (let outcome = done.shift(); outcome !== undefined; outcome = done.shift()) yield outcome;
      if (failure !== undefined) throw failure;
      if (timers.size > 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (done.length > 0) resolve();
        });
      }
    }
  } finally {
    for (const worker of [...timers.keys()]) end(worker);
  }
}
