import { checkChoice, checkNames, type Duration, InvalidOptionError, type InvalidTagError } from "../../core/index.js";
import { boundOf, durationOf } from "./options.js";
import { asTags, type Tags } from "./tag-list.js";

/** How the results of one function are kept. All are optional, except the name of a function without a name. */
export interface CacheableOptions<Args extends readonly unknown[] = readonly never[], Result = unknown> {
  /**
   * Name under which results are found, at all nodes and after a restart. Two functions with this option, the same
   * name and the same source text are one function to the cache. Default: the function's name.
   */
  readonly name?: string | undefined;
  /** Results of another version of the function are not used. */
  readonly version?: string | number | undefined;
  /** Distinguishes functions that have the same name. */
  readonly namespace?: string | undefined;
  /**
   * Takes the name from another function, whose calls then fail. Without it, a name that is in use is refused. For a
   * module that is loaded again while the process runs. Kept results stay valid, except with another `version`.
   * Default: false.
   */
  readonly replace?: boolean | undefined;
  /** Key of a call, instead of its arguments. */
  readonly key?: ((...args: Args) => unknown) | undefined;
  /** Tags that each result depends on: one, several, or a function of the arguments. */
  readonly deps?: Tags | ((...args: Args) => Tags) | undefined;
  /** Time to live of its results, or a function of the result. Default: `defaultTtl` of the cache. */
  readonly ttl?: Duration | ((result: Awaited<Result>, ...args: Args) => Duration | undefined) | undefined;
  /** Each read restarts the time to live of a result. Default: that of the cache. */
  readonly readExtendTtl?: boolean | undefined;
  /** Whether this result is kept. Default: it is. */
  readonly condition?: ((result: Awaited<Result>, ...args: Args) => boolean) | undefined;
  /** Whether an error is kept like a result. Default: false. */
  readonly cacheErrors?: boolean | undefined;
  /** How long after its end the last result is returned when the function fails. Default: not at all. */
  readonly staleIfError?: Duration | undefined;
  /**
   * Called when `deps` or `addDeps` gives a text that is not a tag, in the function or in a cached function that it
   * calls. The result is then returned, but not kept. Without this option such a call fails with InvalidTagError.
   */
  readonly onInvalidTag?: ((error: InvalidTagError, ...args: Args) => void) | undefined;
  /** Results of this function that one node keeps; evicts the least recently used. Default: the bound of the cache. */
  readonly maxEntries?: number | undefined;
  /** Bytes of its results at one node, measured as for `maxBytes` of the cache. Default: the bound of the cache. */
  readonly maxBytes?: number | undefined;
  /** An abort ends the wait of this caller only. */
  readonly signal?: ((...args: Args) => AbortSignal | undefined) | undefined;
}

/** Options of any function. */
export type AnyCacheableOptions = CacheableOptions<readonly unknown[]>;

/** Names of all options of a cached function. Other names are refused. */
export const cacheableOptionNames: ReadonlySet<string> = new Set([
  "name",
  "version",
  "namespace",
  "replace",
  "key",
  "deps",
  "ttl",
  "readExtendTtl",
  "condition",
  "cacheErrors",
  "staleIfError",
  "onInvalidTag",
  "maxEntries",
  "maxBytes",
  "signal",
]);

/** Throws InvalidOptionError or InvalidTagError. Runs when a function is wrapped, not when it is called. */
export function checkCacheableOptions(options: AnyCacheableOptions): void {
  checkNames(options, cacheableOptionNames);
  const { name, version, namespace, deps, ttl, key, condition, signal, onInvalidTag } = options;
  checkType("name", name, "string");
  if (typeof version !== "number") checkType("version", version, "string");
  checkType("namespace", namespace, "string");
  for (const [option, value] of Object.entries({ key, condition, signal, onInvalidTag })) checkType(option, value, "function");
  if (deps !== undefined && typeof deps !== "function") asTags(deps);
  if (typeof ttl !== "function") durationOf("ttl", ttl);
  durationOf("staleIfError", options.staleIfError);
  boundOf("maxEntries", options.maxEntries);
  boundOf("maxBytes", options.maxBytes);
  checkChoice("replace", options.replace, [true, false]);
  checkChoice("readExtendTtl", options.readExtendTtl, [true, false]);
  checkChoice("cacheErrors", options.cacheErrors, [true, false]);
}

function checkType(option: string, value: unknown, type: "string" | "function"): void {
  if (value !== undefined && typeof value !== type) throw new InvalidOptionError({ option, reason: `is not a ${type}` });
}
