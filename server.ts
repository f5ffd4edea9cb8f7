/** The storage server: it owns the objects of its storages, and sends clients invalidations. */
export { startStorageServer, type StorageOptions, type StorageServer, type StorageServerOptions } from "./actors/server/server.js";
export { openLmdbStore, type LmdbStoreOptions } from "./storage/kv/lmdb-store.js";
export type { BatchOptions, ByteRange, StoreChange, OpenStore, OrderedStore, View } from "./storage/kv/ordered-store.js";
export { AnotherWriterError, BehindError, ClockError, MalformedMessageError, NotOwnerError, UnknownSessionError } from "./core/errors.js";
