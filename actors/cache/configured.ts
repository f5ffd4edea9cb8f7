/** The cache of the module `zooid/cache`: `configure` opens it, and the functions here use it. */
import { isDeepStrictEqual } from "node:util";
import { openAlone, openCache, type OpenedCache } from "./cache.js";
import type { Cache } from "./interface.js";
import { type CacheOptions, cacheSettings } from "./options.js";
import { type Cacheable, cacheableOf } from "./cacheable.js";
import { FunctionNames } from "./function-names.js";
import type { Tags } from "./tag-list.js";
import { ClosedError, InvalidOptionError, NotConfiguredError } from "../../core/index.js";

/** The configured cache, from `configure` to `close`. */
interface Configured {
  readonly options: CacheOptions;
  readonly opening: Promise<OpenedCache>;
  /** The result of `configure`. */
  readonly ready: Promise<void>;
}

let configured: Configured | undefined;
let opened: OpenedCache | undefined;
/** Names of the functions that were wrapped, or called, since the last `close`. */
const names = new FunctionNames();

/**
 * Opens the cache that the functions of this module use. A second call with equal options does nothing; with other
 * options it rejects with InvalidOptionError until `close`. A cache in memory without a bus can be used at once, any
 * other as soon as the promise resolves.
 */
export function configure(options: CacheOptions = {}): Promise<void> {
  if (configured !== undefined) {
    if (isDeepStrictEqual(configured.options, options)) return configured.ready;
    return Promise.reject(new InvalidOptionError({ option: "configure", reason: "was called before, with other options" }));
  }
  try {
    const settings = cacheSettings(options);
    opened = openAlone(options, settings);
    const opening = opened === undefined ? openCache(options, settings) : Promise.resolve(opened);
    const ready = opened === undefined ? take(opening) : Promise.resolve();
    configured = { options: { ...options }, opening, ready };
    return ready;
  } catch (error) {
    return Promise.reject(error);
  }
}

async function take(opening: Promise<OpenedCache>): Promise<void> {
  const isStillWanted = () => configured?.opening === opening;
  try {
    const cache = await opening;
    if (!isStillWanted()) throw new ClosedError({ what: "the configured cache" });
    opened = cache;
  } catch (error) {
    if (isStillWanted()) configured = undefined;
    throw error;
  }
}

/**
 * Closes the configured cache, also one that is still opening. `configure` can then open another. The names of
 * functions are free: another function can be wrapped under each, and an earlier function takes its name again with its
 * first call in the next cache.
 */
export async function close(): Promise<void> {
  const closing = configured?.opening;
  opened = undefined;
  configured = undefined;
  names.free();
  // If the cache could not be opened, the promise of `configure` has rejected with the reason.
  const cache = await closing?.catch(() => undefined);
  await cache?.cache.close();
}

function cacheFor(called: string): Cache {
  if (opened === undefined) throw new NotConfiguredError({ called });
  return opened.cache;
}

/**
 * Wraps a function and keeps its results; as `@cacheable` or `@cacheable({ … })` it decorates a method. Can run before
 * `configure`, while modules load: until then the wrapped function throws NotConfiguredError.
 */
export const cacheable: Cacheable = cacheableOf(() => {
  if (opened === undefined) throw new NotConfiguredError({ called: "a cached function" });
  return opened.core;
}, names);

/** Adds `tags` to the running computation. Throws OutsideComputationError, InvalidTagError, NotConfiguredError. */
export function addDeps(tags: Tags): void {
  cacheFor("addDeps").addDeps(tags);
}

/** Invalidates results under a tag and the tags below it: here at once, at other nodes once it is `published`. */
export const invalidate: Cache["invalidate"] = (tags) => cacheFor("invalidate").invalidate(tags);

/** The value kept for `key`. */
export const get: Cache["get"] = (key) => cacheFor("get").get(key);

/** The kept value of `key`; without one, computes it once for all concurrent callers. */
export const getOrSet: Cache["getOrSet"] = (key, compute, options) => cacheFor("getOrSet").getOrSet(key, compute, options);

/** Keeps a value, and invalidates the values of other nodes for its key. */
export const set: Cache["set"] = (key, value, options) => cacheFor("set").set(key, value, options);

/** Invalidates the value of a key at all nodes. Import it as `import { delete as remove }`. */
const remove: Cache["delete"] = (key) => cacheFor("delete").delete(key);
export { remove as delete };

/** Invalidates everything, at all nodes. */
export const clear: Cache["clear"] = () => cacheFor("clear").clear();

/** Removes expired and stale results, and tags on which nothing has depended for long. */
export const prune: Cache["prune"] = (unused) => cacheFor("prune").prune(unused);

/** Number of the latest invalidation that affects a tag. */
export const tagVersion: Cache["tagVersion"] = (tag) => cacheFor("tagVersion").tagVersion(tag);

/** For the option `since` of `set`: call it before you compute the value. */
export const now: Cache["now"] = () => cacheFor("now").now();

/** Notifies an observer of durations, until the returned function is called. */
export const observe: Cache["observe"] = (observer) => cacheFor("observe").observe(observer);

/** Counts and state of the cache. */
export const stats: Cache["stats"] = () => cacheFor("stats").stats();
