/** Zooid: data that stays coherent between Node services. `connect` opens a client of an object store. */
export { connect, type ConnectOptions } from "./actors/client/connect.js";
export type { ClientStatus, ObjectClient, ReadOptions, ReadResult, TransactOptions } from "./actors/client/interface.js";
export type { ConnectionState } from "./actors/client/connection/connection.js";
export type { Isolation } from "./actors/client/transaction.js";
export type { Listing, ListOptions, OpenTransaction, Reader, Recipe, Transaction } from "./actors/client/object-access.js";
export type { AnySchema, KeyOf, UntypedSchema, Validators } from "./actors/protocol/schema.js";
export type { Transacted } from "./actors/client/transact.js";
export type { Change } from "./actors/client/watching.js";
export type { ServerStatus } from "./actors/protocol/messages.js";
export type { Position } from "./core/transaction.js";
export type { Duration } from "./core/duration.js";
export type { Log } from "./core/log.js";
export { asTid, type Tid, tidToMs } from "./core/tid.js";
export type { Value } from "./core/value.js";
export {
  CapturedSubjectsError,
  CertificateError,
  ClosedError,
  ConflictError,
  DisconnectedError,
  DiskFullError,
  InternalError,
  InUseError,
  InvalidKeyError,
  InvalidOptionError,
  InvalidValueError,
  NotAuthorizedError,
  OtherHistoryError,
  OutcomeUnknownError,
  ProtocolVersionError,
  ReadOnlyError,
  SchemaError,
  ServerBehindError,
  ServerBusyError,
  SnapshotTooOldError,
  StaleError,
  StoreError,
  TimeoutError,
  TooLargeError,
  TransactionAbortedError,
  TransactionTimedOutError,
  UnknownStorageError,
  WriteInDoubtError,
  ZooidError,
} from "./core/errors.js";
