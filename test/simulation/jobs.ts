import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { simulate, type RunResult } from "./run.js";

/** What a run came to, as it travels between processes. */
export interface Outcome extends Omit<RunResult, "violation"> {
  readonly violation: string | undefined;
}

/** Runs seeds in this process, telling each line of their trace. */
export async function* runHere(seeds: Iterable<number>, trace: (line: string) => void): AsyncGenerator<Outcome> {
  for (const seed of seeds) {
    const result = await simulate(seed, trace);
    yield { ...result, violation: result.violation?.message };
  }
}

/** Runs seeds in `jobs` processes; what came of them, as it comes. Ends the processes when it is left. */
export async function* runInJobs(seeds: Iterable<number>, jobs: number): AsyncGenerator<Outcome> {
  const left = seeds[Symbol.iterator]();
  const done: Outcome[] = [];
  let wake: () => void = () => undefined;
  let failure: Error | undefined;
  let running = 0;
  const workers = Array.from({ length: jobs }, () => fork(fileURLToPath(new URL("./worker.ts", import.meta.url))));
  try {
    for (const worker of workers) {
      const next = () => {
        const { value, done: isOver } = left.next();
        if (isOver === true) return;
        running++;
        worker.send(value);
      };
      worker.on("message", (outcome: Outcome) => {
        running--;
        done.push(outcome);
        next();
        wake();
      });
      worker.once("exit", (code) => {
        failure = new Error(`a process of the simulation ended with ${code}`);
        wake();
      });
      next();
    }
    while (running > 0 || done.length > 0) {
      for (let outcome = done.shift(); outcome !== undefined; outcome = done.shift()) yield outcome;
      if (failure !== undefined) throw failure;
      if (running > 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (done.length > 0) resolve();
        });
      }
    }
  } finally {
    for (const worker of workers) {
      worker.removeAllListeners("exit");
      worker.kill();
    }
  }
}
