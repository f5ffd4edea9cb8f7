/** The cache of the module `zooid/cache`: `configure` opens it, and the functions here use it. */
import { isDeepStrictEqual } from "node:util";
import { openAlone, openCache, type OpenedCache } from "./cache.js";
import type { Cache } from "./interface.js";
import { type CacheOptions, cacheSettings } from "./options.js";
import { type Cacheable, cacheableOf } from "./cacheable.js";
import { FunctionNames } from "./function-names.js";
import type { Tags } from "./tag-list.js";
import { ClosedError, InvalidOptionError, NotConfiguredError } from "../../core/index.js";

/** Between `configure` and `close`. */
interface Configured {
  readonly options: CacheOptions;
  readonly opening: Promise<OpenedCache>;
  /** What `configure` gives. */
  readonly ready: Promise<void>;
}

let configured: Configured | undefined;
let opened: OpenedCache | undefined;
/** Names of the functions that were wrapped, or called, since the last `close`. */
const names = new FunctionNames();

/**
 * Opens the cache that the functions of this module use. Again with equal options it does nothing more; with others it rejects with
 * InvalidOptionError until `close`. A cache in memory without a bus can be used at once, any other when this has resolved.
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
 * Ends the configured cache, also one that is still being opened; another can be configured then. Names of functions are free: another
 * function can be wrapped under each, and one that was wrapped before takes its name again with its first call in the next cache.
 */
export async function close(): Promise<void> {
  const closing = configured?.opening;
  opened = undefined;
  configured = undefined;
  names.free();
  // When it could not be opened, the promise of `configure` has rejected with the reason.
  const cache = await closing?.catch(() => undefined);
  await cache?.cache.close();
}

function cacheFor(called: string): Cache {
  if (opened === undefined) throw new NotConfiguredError({ called });
  return opened.cache;
}

/**
 * A function whose results are kept; or, as `@cacheable` or `@cacheable({ … })`, a decorator of a method.
 * May stand before `configure`, where modules are loaded: what it gives throws NotConfiguredError until then.
 */
export const cacheable: Cacheable = cacheableOf(() => {
  if (opened === undefined) throw new NotConfiguredError({ called: "a cached function" });
  return opened.core;
}, names);

/** The computation that is running depends on `tags` too. Throws OutsideComputationError, InvalidTagError, NotConfiguredError. */
export function addDeps(tags: Tags): void {
  cacheFor("addDeps").addDeps(tags);
}

/** What depends on a tag, or on one below it, is stale: here at once, at other nodes once it is `published`. */
export const invalidate: Cache["invalidate"] = (tags) => cacheFor("invalidate").invalidate(tags);

/** The value kept for `key`. */
export const get: Cache["get"] = (key) => cacheFor("get").get(key);

/** The value of `key`, computed once for all who ask when there is none. */
export const getOrSet: Cache["getOrSet"] = (key, compute, options) => cacheFor("getOrSet").getOrSet(key, compute, options);

/** Keeps a value; what other nodes have for its key is stale. */
export const set: Cache["set"] = (key, value, options) => cacheFor("set").set(key, value, options);

/** What is kept for a key is stale, at all nodes. To be imported as `import { delete as remove }`. */
const remove: Cache["delete"] = (key) => cacheFor("delete").delete(key);
export { remove as delete };

/** Everything is stale, at all nodes. */
export const clear: Cache["clear"] = () => cacheFor("clear").clear();

/** Removes what lapsed, and tags that nothing has depended on for long. */
export const prune: Cache["prune"] = (unused) => cacheFor("prune").prune(unused);

/** Number of the latest invalidation that counts for a tag. */
export const tagVersion: Cache["tagVersion"] = (tag) => cacheFor("tagVersion").tagVersion(tag);

/** For the `since` of a `set`: to be called before the value is computed. */
export const now: Cache["now"] = () => cacheFor("now").now();

/** Tells an observer how long things take, until what this gives is called. */
export const observe: Cache["observe"] = (observer) => cacheFor("observe").observe(observer);

/** What the cache holds, and how it is. */
export const stats: Cache["stats"] = () => cacheFor("stats").stats();
