import { type Duration, InvalidOptionError, type InvalidTagError } from "../words/index.js";
import { boundOf, durationOf } from "./cache-options.js";
import { checkChoice, checkNames } from "./client-options.js";
import { asTags, type Tags } from "./tag-list.js";

/** How the results of one function are kept. All may be left out, but the name of a function that has none. */
export interface CacheableOptions<Args extends readonly unknown[] = readonly never[], Result = unknown> {
  /** What its results are found by, at all nodes and over restarts. Functions that are given one name explicitly are taken for the same. Default: the function's name. */
  readonly name?: string | undefined;
  /** Results of another version of the function are not found. */
  readonly version?: string | number | undefined;
  /** Tells functions of one name from each other. */
  readonly namespace?: string | undefined;
  /**
   * Takes the name over from another function that has it, whose calls fail from then on; else the name is refused. For a module that is
   * loaded anew while the process runs. Results that are kept stay; `version` tells them apart. Default: false.
   */
  readonly replace?: boolean | undefined;
  /** What tells one call from another, in place of the arguments. */
  readonly key?: ((...args: Args) => unknown) | undefined;
  /** Tags that each result depends on: one, several, or those of the arguments. */
  readonly deps?: Tags | ((...args: Args) => Tags) | undefined;
  /** Time to live of its results, or of one by what it is. Default: defaultTtl. */
  readonly ttl?: Duration | ((result: Awaited<Result>, ...args: Args) => Duration | undefined) | undefined;
  /** Each reading gives a result its time to live anew. Default: that of the cache. */
  readonly readExtendTtl?: boolean | undefined;
  /** Whether this result is to be kept. Default: it is. */
  readonly condition?: ((result: Awaited<Result>, ...args: Args) => boolean) | undefined;
  /** An error is kept like a result. Default: false. */
  readonly cacheErrors?: boolean | undefined;
  /** For so long after it lapsed the last result is given when the function fails. */
  readonly staleIfError?: Duration | undefined;
  /**
   * Called where `deps` or `addDeps` gives what is no tag, in the function or in a cached one that it calls: the result is given then, and not
   * kept. Without it such a call fails with InvalidTagError.
   */
  readonly onInvalidTag?: ((error: InvalidTagError, ...args: Args) => void) | undefined;
  /** Results of this function kept at one node; the least recently used go first. Default: as many as the cache takes. */
  readonly maxEntries?: number | undefined;
  /** Bytes of them, by the rough measure of the cache's `maxBytes`. Default: as many as the cache takes. */
  readonly maxBytes?: number | undefined;
  /** Ends the wait of one caller, and nobody else's. */
  readonly signal?: ((...args: Args) => AbortSignal | undefined) | undefined;
}

/** Options as they are looked at, whatever the function. */
export type AnyCacheableOptions = CacheableOptions<readonly unknown[]>;

/** Names of all options of a cached function: what is not among them is refused. */
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

/** Throws InvalidOptionError or InvalidTagError, where the function is wrapped and not where it is called. */
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
