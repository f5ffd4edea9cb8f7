/**
 * A world in which one seed decides time, randomness, network and disk; and a client that runs in it.
 */
export { openObjectClient } from "../actors/client/object-client.js";
export type { ObjectClientOptions } from "../actors/client/options.js";
export { type Random, seededRandom } from "../core/random.js";
export type { Clock } from "../core/clock.js";
export * from "./bucket-hub.js";
export * from "./faulty-network.js";
export * from "./network-end.js";
export type * from "./published.js";
export * from "./simulated-clock.js";
export * from "./simulated-disk.js";
export * from "./fault-profile.js";
export { MemoryDisk, openMemoryStore, type WriteMemory, type WriteMemoryNow } from "./memory-store.js";
