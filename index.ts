/** Zooid: data that stays coherent between Node services. `connect` opens a client of an object store. */
export { connect, type ConnectOptions } from "./actors/client/connect.js";
export {
  openObjectClient,
  type ClientStatus,
  type ObjectClient,
  type ReadOptions,
  type ReadResult,
  type TransactOptions,
} from "./actors/client/object-client.js";
export type { ClientOptions, ObjectClientOptions } from "./actors/client/options.js";
export type { ConnectionState, Verification } from "./actors/client/connection.js";
export type { Isolation } from "./actors/client/transaction.js";
export type { Listing, ListOptions, OpenTransaction, Reader, Recipe, Transaction } from "./actors/client/object-access.js";
export type { AnySchema, KeyOf, ListedKey, ListedValue, UntypedSchema, Validators } from "./actors/protocol/schema.js";
export type { Transacted } from "./actors/client/transact.js";
export type { Change } from "./actors/client/watching.js";
export type { Position, ServerStatus } from "./actors/protocol/messages.js";
export { startStorageServer, type StorageOptions, type StorageServer, type StorageServerOptions } from "./actors/server/server.js";
export { bootId } from "./storage/kv/boot-id.js";
export { openLmdbStore, type LmdbStoreOptions } from "./storage/kv/lmdb-store.js";
export type { OpenStore, OrderedStore } from "./storage/kv/ordered-store.js";
export type { ClientCacheStats } from "./storage/client-cache/client-cache.js";
export * from "./core/index.js";
