/** Machines that run: the actor system that gives them addresses, and pictures of them. */
export { openObjectClient, type ObjectClient } from "./object-client.js";
export type { ObjectClientOptions } from "./client-options.js";
export { startStorageServer, type StorageServer, type StorageServerOptions } from "./storage-server.js";
export { createActorSystem } from "./system.js";
export type { Accepts, ActorDoor, ActorSystem, ActorSystemOptions, ActorView, RemoteActor, RemoteEvent, RemoteOptions } from "./system.js";
export { findCacheNodes } from "./cache-nodes.js";
export type { CachedKey, CacheListing, CacheNode, CacheNodesOptions, CacheNodeStats, CachePage, ListedTag } from "./cache-nodes.js";
export type { Pruned } from "./cache-pruner.js";
export type { Publication } from "./publication.js";
export { machineToJson, machineToMermaid } from "./drawing.js";
export type { DrawingOptions } from "./drawing.js";
export { describeMachine } from "./machine-description.js";
export type { MachineDescription, StateDescription, TransitionDescription } from "./machine-description.js";
export { type Chance, systemChance } from "../words/chance.js";
export { type Clock, systemClock } from "../words/clock.js";
export { type Log, silentLog } from "../words/log.js";
