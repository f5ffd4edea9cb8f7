/** Zooid: data that stays coherent between Node services. `connect` opens a client of an object store. */
export { connect, type ConnectOptions } from "./actors/connect.js";
export {
  openObjectClient,
  type ClientStatus,
  type ObjectClient,
  type ReadOptions,
  type ReadResult,
  type TransactOptions,
} from "./actors/object-client.js";
export type { ClientOptions, ObjectClientOptions } from "./actors/client-options.js";
export type { ConnectionState, Verification } from "./actors/client-connection.js";
export type { Isolation } from "./actors/object-transaction.js";
export type { Listing, ListOptions, OpenTransaction, Reader, Recipe, Transaction } from "./actors/object-access.js";
export type { AnySchema, KeyOf, ListedKey, ListedValue, UntypedSchema, Validators } from "./actors/schema.js";
export type { Transacted } from "./actors/transact.js";
export type { Change } from "./actors/watching.js";
export type { Position, ServerStatus } from "./actors/messages.js";
export { startStorageServer, type StorageOptions, type StorageServer, type StorageServerOptions } from "./actors/storage-server.js";
export { bootId } from "./storage/boot-id.js";
export { openLmdbStore, type LmdbStoreOptions } from "./storage/lmdb-store.js";
export type { OpenStore, OrderedStore } from "./storage/ordered-store.js";
export type { ClientCacheStats } from "./storage/client-cache.js";
export * from "./words/index.js";
