import { type ChildProcess, fork } from "node:child_process";
import { type Outcome, outcomeOf } from "./outcome.js";
import { type Simulated, simulations } from "./simulations.js";
import { buildWorker } from "./worker-file.js";

/**
 * Time-out of one run, in real ms: thousands of times its duration on a quiet machine. A run that takes longer loops
 * without simulated time.
 */
const runTimeoutMs = 600_000;

/** Runs seeds in this process, and gives each line of their trace to `trace`. */
export async function* runHere(what: Simulated, seeds: Iterable<number>, trace: (line: string) => void): AsyncGenerator<Outcome> {
  for (const seed of seeds) yield outcomeOf(await simulations[what](seed, trace));
}

/** Runs seeds in `jobs` processes; yields each outcome as it comes. Ends the processes when the loop over it ends. */
export async function* runInJobs(what: Simulated, seeds: Iterable<number>, jobs: number): AsyncGenerator<Outcome> {
  const file = await buildWorker();
  const left = seeds[Symbol.iterator]();
  const done: Outcome[] = [];
  const timers = new Map<ChildProcess, NodeJS.Timeout>();
  let wake: () => void = () => undefined;
  let failure: Error | undefined;

  const end = (worker: ChildProcess) => {
    clearTimeout(timers.get(worker));
    timers.delete(worker);
    worker.removeAllListeners();
    // A worker that loops handles no other signal.
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
      const kind = `gave no answer within ${runTimeoutMs} ms`;
      done.push({ seed, violation: { kind, message: kind }, simulatedMs: 0, counts: {} });
      start();
      wake();
    };
    timers.set(worker, setTimeout(late, runTimeoutMs));
    worker.send(seed);
  };
  const start = () => {
    // Most objects of a run die young. With more room for them, and no threads that take the core of another job,
    // garbage
    // collection takes a tenth less of the time.
    const execArgv = ["--max-semi-space-size=64", "--single-threaded-gc"];
    const worker = fork(file.path, [what], { execArgv });
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
    await file.remove();
  }
}
