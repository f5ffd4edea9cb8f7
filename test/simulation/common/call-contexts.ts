import { AsyncLocalStorage } from "node:async_hooks";

/** The context of one call of a cached function, as a web framework gives one to each request. */
interface CallContext {
  readonly key: string;
  /** Number of the last computation of `key` that began in this context. 0: none. */
  lastRun: number;
  hasFailed: boolean;
  isOver: boolean;
}

/** One storage for all runs: each further storage that was ever entered makes every promise of the process slower. */
const contexts = new AsyncLocalStorage<CallContext>();

/** Called for each violation. */
type Violated = (sentence: string, facts: Readonly<Record<string, unknown>>) => void;

/**
 * Gives each call of a cached function a context, and checks that each computation runs in the context of the call that
 * it is made for:
 *
 * 1. A computation begins in the context of a call of the same function with the same arguments, and that call is not
 *    over.
 * 2. A call in whose context computations ran gets the result of the last of them, unless that one failed.
 *
 * A computation that begins again for a later caller in the context of an earlier call breaks one of the two: the
 * earlier call is over, or it gets the result of its own computation.
 */
export class CallContexts {
  readonly #violated: Violated;
  #runs = 0;

  constructor(violated: Violated) {
    this.#violated = violated;
  }

  /**
   * Calls a cached function in a context of its own. `key` identifies the function and its arguments. `runOf` gives the
   * number that `begins` returned to the computation of a result.
   */
  async call<Result>(key: string, run: () => Result | PromiseLike<Result>, runOf: (result: Result) => number | undefined): Promise<Result> {
    const context: CallContext = { key, lastRun: 0, hasFailed: false, isOver: false };
    return contexts.run(context, async () => {
      try {
        const result = await run();
        const found = runOf(result);
        if (context.lastRun !== 0 && !context.hasFailed && found !== undefined && found !== context.lastRun) {
          this.#violated("a computation runs in the context of the call that it is made for", { key, ran: context.lastRun, given: found });
        }
        return result;
      } finally {
        context.isOver = true;
      }
    });
  }

  /** A computation of `key` begins. Returns its number. */
  begins(key: string): number {
    const run = ++this.#runs;
    const context = contexts.getStore();
    if (context?.key !== key || context.isOver) {
      this.#violated("a computation begins in the context of a call that waits for it", {
        key,
        context: context?.key,
        isOver: context?.isOver,
      });
    } else context.lastRun = run;
    return run;
  }

  /** The computation that runs here failed. */
  fails(): void {
    const context = contexts.getStore();
    if (context !== undefined) context.hasFailed = true;
  }
}
