import { AsyncLocalStorage } from "node:async_hooks";
import { isThenable } from "../../core/index.js";
import type { Computation } from "../tracking/computation.js";
import { isAnythingComputing } from "../tracking/computations.js";

/** One run of a function, perhaps within a run of another function, of any cache. */
interface Run {
  readonly cache: Running;
  readonly computation: Computation;
  within: Run | undefined;
}

/** One AsyncLocalStorage for all caches: each one that was ever used makes every promise of the process slower. */
const runs = new AsyncLocalStorage<Run>();

/** Finds the computation of one cache in which the current code runs, across awaits. */
export class Running {
  /** The innermost computation of this cache that the caller is part of. */
  getStore(): Computation | undefined {
    for (let run = runs.getStore(); run !== undefined; run = run.within) if (run.cache === this) return run.computation;
    return undefined;
  }

  /**
   * Calls `action` as a part of `computation`, and in it also `then` of a returned thenable: a query, for example, runs
   * only when `then` is called.
   */
  run<Arg>(computation: Computation, action: (arg: Arg) => unknown, arg: Arg): unknown {
    const within = underWay(runs.getStore());
    // Code that continues after its computation, and computes again, would otherwise keep all earlier runs in memory.
    if (within !== undefined) within.within = underWay(within.within);
    return runs.run({ cache: this, computation, within }, called, action, arg);
  }

  /** Call it when this cache computes nothing: promises cost less while no cache computes. */
  disable(): void {
    if (!isAnythingComputing()) runs.disable();
  }
}

/** The innermost run, of `run` and the runs around it, that is not over. */
function underWay(run: Run | undefined): Run | undefined {
  let at = run;
  while (at?.computation.isOver === true) at = at.within;
  return at;
}

function called<Arg>(action: (arg: Arg) => unknown, arg: Arg): unknown {
  const result = action(arg);
  if (!isThenable(result) || result instanceof Promise) return result;
  // The promise settles once: later answers of the thenable have no effect, and a `then` that throws rejects it.
  return new Promise((resolve, reject) => {
    result.then(resolve, reject);
  });
}
