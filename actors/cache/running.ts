import { AsyncLocalStorage } from "node:async_hooks";
import { isThenable } from "../../core/index.js";
import type { Computation } from "../tracking/computation.js";
import { isAnythingComputing } from "../tracking/computations.js";

/** A run of a function, within that of another one perhaps, of whatever cache. */
interface Run {
  readonly cache: Running;
  readonly computation: Computation;
  within: Run | undefined;
}

/** One for all caches: each that was ever used costs every promise of the process something, for ever. */
const runs = new AsyncLocalStorage<Run>();

/** In which computation of one cache a piece of code runs, across awaits. */
export class Running {
  /** The innermost computation of this cache that the caller is part of. */
  getStore(): Computation | undefined {
    for (let run = runs.getStore(); run !== undefined; run = run.within) if (run.cache === this) return run.computation;
    return undefined;
  }

  /** Calls `action` as a part of `computation`, and whatever it gives in place of a promise: a query that runs once it is waited for, say. */
  run<Arg>(computation: Computation, action: (arg: Arg) => unknown, arg: Arg): unknown {
    const within = underWay(runs.getStore());
    // What goes on after its computation, and computes again from there, would remember all that were before.
    if (within !== undefined) within.within = underWay(within.within);
    return runs.run({ cache: this, computation, within }, called, action, arg);
  }

  /** To be called when nothing of this cache is computed any more: promises cost less while nothing is, in any cache. */
  disable(): void {
    if (!isAnythingComputing()) runs.disable();
  }
}

/** The innermost of `run` and those that it is within that is not over. */
function underWay(run: Run | undefined): Run | undefined {
  let at = run;
  while (at?.computation.isOver === true) at = at.within;
  return at;
}

function called<Arg>(action: (arg: Arg) => unknown, arg: Arg): unknown {
  const result = action(arg);
  if (!isThenable(result) || result instanceof Promise) return result;
  // Settled once, whatever it does: more than one answer counts for one, and one that throws has failed.
  return new Promise((resolve, reject) => {
    result.then(resolve, reject);
  });
}
