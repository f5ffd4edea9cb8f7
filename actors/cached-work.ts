import type { InvalidTagError, Tag } from "../words/index.js";
import type { EntrySlot } from "../storage/memory-entries.js";
import type { Computation } from "./computation.js";

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
export interface Work {
  readonly name: string;
  readonly rules: KeepingRules;
  /** It is known to give promises. */
  readonly isAsync: () => boolean;
  readonly compute: (call: Call) => unknown;
  readonly tagsOf: (call: Call) => readonly Tag[];
  /** Whether this result is to be kept at all. */
  readonly isWanted: (value: unknown, call: Call) => boolean;
  /** Called for what is no tag: the result is given, and not kept. Undefined: the call fails, unless one that it is a part of has it. */
  readonly onInvalidTag?: ((error: InvalidTagError, call: Call) => void) | undefined;
  /** Time to live of this result; undefined: that of the rules. */
  readonly ttlMsOf?: ((value: unknown, call: Call) => number | undefined) | undefined;
}

/** One call of it, that no kept result could answer. */
export interface Call {
  readonly work: Work;
  readonly key: string;
  /** Where its result is looked for. */
  readonly slot: EntrySlot;
  readonly self: unknown;
  readonly args: readonly unknown[];
  /** Ends the wait of this caller, and nobody else's. */
  readonly signal: AbortSignal | undefined;
  /** The computation that it is a part of. */
  readonly caller: Computation | undefined;
}

/** Arguments that tell one call from another, in few words, for people. */
const argumentLengthMax = 40;

/** `name(arguments)`. */
export function describeCall(name: string, args: readonly unknown[]): string {
  const shown = args.map((arg) => {
    const text = typeof arg === "object" && arg !== null ? (Array.isArray(arg) ? "[…]" : "{…}") : String(arg);
    return text.length > argumentLengthMax ? `${text.slice(0, argumentLengthMax)}…` : text;
  });
  return `${name}(${shown.join(", ")})`;
}
