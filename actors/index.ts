/** Machines that run: the actor system that gives them addresses, and pictures of them. */
export { openObjectClient, type ObjectClient } from "./client/object-client.js";
export type { ObjectClientOptions } from "./client/options.js";
export { startStorageServer, type StorageServer, type StorageServerOptions } from "./server/server.js";
export { createActorSystem } from "./system/actor-system.js";
export type {
  Accepts,
  ExposedActor,
  ActorSystem,
  ActorSystemOptions,
  ActorView,
  RemoteActor,
  RemoteEvent,
  RemoteOptions,
} from "./system/actor-system.js";
export { findCacheNodes } from "./cache/admin/nodes.js";
export type { CachedKey, CacheListing, CacheNode, CacheNodesOptions, CacheNodeStats, CachePage, ListedTag } from "./cache/admin/nodes.js";
export type { Pruned } from "./cache/pruner.js";
export type { Publication } from "./cache/publication.js";
export { machineToJson, machineToMermaid } from "./system/drawing.js";
export type { DrawingOptions } from "./system/drawing.js";
export { describeMachine } from "./system/machine-description.js";
export type { MachineDescription, StateDescription, TransitionDescription } from "./system/machine-description.js";
export { type Random, systemRandom } from "../core/random.js";
export { type Clock, systemClock } from "../core/clock.js";
export { type Log, silentLog } from "../core/log.js";
