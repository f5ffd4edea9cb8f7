/**
 * The semantic cache: results of functions, kept under tags, invalidated by tag on every node at once.
 * Call `configure` once, then use the functions of this module; or make several caches with `createCache`. `zooid`
 * exports the errors that object clients have, too.
 */
export {
  addDeps,
  cacheable,
  clear,
  close,
  configure,
  delete,
  get,
  getOrSet,
  invalidate,
  now,
  observe,
  prune,
  set,
  stats,
  tagVersion,
} from "./actors/cache/configured.js";
export { createCache } from "./actors/cache/cache.js";
export type { Cache, CacheStats, GetOrSetOptions, Moment, SetOptions } from "./actors/cache/interface.js";
export type { CacheOptions } from "./actors/cache/options.js";
export type { AnyFunction, ArgumentsOf, Cacheable, Cached, MethodContext, MethodDecorator } from "./actors/cache/cacheable.js";
export type { CacheableOptions } from "./actors/cache/cacheable-options.js";
export type { CacheObserver } from "./actors/cache/observers.js";
export type { Pruned } from "./actors/cache/pruner.js";
export type { Publication } from "./actors/cache/outbox.js";
export type { Tags } from "./actors/cache/tag-list.js";
export { findCacheNodes } from "./actors/cache/admin/nodes.js";
export type {
  CachedKey,
  CacheListing,
  CacheNode,
  CacheNodesOptions,
  CacheNodeStats,
  CachePage,
  ListedTag,
} from "./actors/cache/admin/nodes.js";
export { createInvalidationHub, type InvalidationHub } from "./transport/in-process-bus.js";
export type { Bus, BusEvent, BusPosition, BusState, BusVersion, TagVersion } from "./transport/bus.js";
export { tag, tagLevel, type TagPart } from "./core/tag-template.js";
export type { Tag } from "./core/tag.js";
export {
  CircularCallError,
  InvalidKeyArgumentError,
  InvalidTagError,
  NoJetStreamError,
  NotConfiguredError,
  OutsideComputationError,
  SyncTierError,
  UnfitStreamError,
} from "./core/errors.js";
