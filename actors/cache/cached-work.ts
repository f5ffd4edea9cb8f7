import type { Tag } from "../../core/index.js";
import type { EntrySlot } from "../../storage/results/memory-entry.js";
import type { ComputedCall, ComputedWork } from "../tracking/computation.js";

/** Milliseconds for which a result with this time to live is kept; undefined: without a time to live, or no bound. */
export function lifetimeOf(ttlMs: number | undefined): number | undefined {
  return ttlMs === Infinity ? undefined : ttlMs;
}

/** How the results of one function are kept. */
export interface KeepingRules {
  readonly ttlMs: number | undefined;
  /** Each read restarts the time to live of a result. */
  readonly slides: boolean;
  readonly cachesErrors: boolean;
  /** How long an expired result may replace one that could not be computed; 0: never. */
  readonly staleIfErrorMs: number;
}

/** A function whose results are kept. */
export interface Work extends ComputedWork {
  readonly rules: KeepingRules;
  /** Whether it is known that the function returns promises. */
  readonly isAsync: () => boolean;
  readonly compute: (call: Call) => unknown;
  readonly tagsOf: (call: Call) => readonly Tag[];
  /** Whether to keep this result at all. */
  readonly isWanted: (value: unknown, call: Call) => boolean;
  /** Time to live of this result; undefined: that of the rules. */
  readonly ttlMsOf?: ((value: unknown, call: Call) => number | undefined) | undefined;
}

/** One call of a cached function that no kept result could answer. */
export interface Call extends ComputedCall {
  readonly work: Work;
  /** The slot of its key. */
  readonly slot: EntrySlot;
  /** An abort ends the wait of this caller only. */
  readonly signal: AbortSignal | undefined;
}
