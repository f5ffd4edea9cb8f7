/** A world in which everything that happens is decided by one seed: time, network and disk. */
export * from "./bucket-hub.js";
export * from "./faulty-network.js";
export * from "./network-end.js";
export type * from "./published.js";
export * from "./simulated-clock.js";
export * from "./simulated-disk.js";
export * from "./fault-profile.js";
export { MemoryDisk, openMemoryStore, type WriteMemory, type WriteMemoryNow } from "../storage/kv/memory-store.js";
