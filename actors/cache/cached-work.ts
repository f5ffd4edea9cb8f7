import type { Tag } from "../../core/index.js";
import type { EntrySlot } from "../../storage/results/memory-entry.js";
import type { ComputedCall, ComputedWork } from "../tracking/computation.js";

/** Milliseconds that a result with this time to live is kept; undefined when it has none, or no bound. */
export function lifetimeOf(ttlMs: number | undefined): number | undefined {
  return ttlMs === Infinity ? undefined : ttlMs;
}

/** How results of one function are kept. */
export interface KeepingRules {
  readonly ttlMs: number | undefined;
  /** Each reading gives a result its time to live anew. */
  readonly slides: boolean;
  readonly cachesErrors: boolean;
  /** For so long after it lapsed the last result may stand in for one that could not be computed; 0: never. */
  readonly staleIfErrorMs: number;
}

/** A function whose results are kept. */
export interface Work extends ComputedWork {
  readonly rules: KeepingRules;
  /** It is known to give promises. */
  readonly isAsync: () => boolean;
  readonly compute: (call: Call) => unknown;
  readonly tagsOf: (call: Call) => readonly Tag[];
  /** Whether this result is to be kept at all. */
  readonly isWanted: (value: unknown, call: Call) => boolean;
  /** Time to live of this result; undefined: that of the rules. */
  readonly ttlMsOf?: ((value: unknown, call: Call) => number | undefined) | undefined;
}

/** One call of it, that no kept result could answer. */
export interface Call extends ComputedCall {
  readonly work: Work;
  /** Where its result is looked for. */
  readonly slot: EntrySlot;
  /** Ends the wait of this caller, and nobody else's. */
  readonly signal: AbortSignal | undefined;
}
