import { type ErrorClass, type Fact, ZooidError } from "./base.js";
import {
  InvalidKeyError,
  InvalidValueError,
  SchemaError,
  InvalidTagError,
  InvalidKeyArgumentError,
  InvalidOptionError,
  TooLargeError,
  MalformedMessageError,
  ProtocolVersionError,
  UnknownStorageError,
  ReadOnlyError,
} from "./input.js";
import { NotAcceptedError, InvalidEventError, NoActorError, ActorLostError, ActorEndedError, ActorFailedError } from "./actors.js";
import {
  ConflictError,
  SnapshotTooOldError,
  BehindError,
  TransactionTimedOutError,
  TransactionAbortedError,
  OutcomeUnknownError,
  ClockError,
  NotOwnerError,
} from "./transactions.js";
import {
  DisconnectedError,
  NotAuthorizedError,
  CertificateError,
  CapturedSubjectsError,
  TimeoutError,
  ClosedError,
  UnknownSessionError,
  ServerBusyError,
  StaleError,
  InternalError,
} from "./links.js";
import {
  OtherHistoryError,
  ServerBehindError,
  AnotherWriterError,
  InUseError,
  StoreError,
  DiskFullError,
  WriteInDoubtError,
} from "./storage.js";
import {
  UnfitStreamError,
  NoJetStreamError,
  NotConfiguredError,
  OutsideComputationError,
  CircularCallError,
  SyncTierError,
} from "./cache.js";

/** Every error by its class, in the order of the table in docs/reference/errors.md. */
export const errorClasses = {
  InvalidKeyError,
  InvalidValueError,
  SchemaError,
  InvalidTagError,
  InvalidKeyArgumentError,
  InvalidOptionError,
  TooLargeError,
  MalformedMessageError,
  ProtocolVersionError,
  UnknownStorageError,
  ReadOnlyError,
  NotAcceptedError,
  InvalidEventError,
  NoActorError,
  ActorLostError,
  ActorEndedError,
  ActorFailedError,
  ConflictError,
  SnapshotTooOldError,
  BehindError,
  TransactionTimedOutError,
  TransactionAbortedError,
  OutcomeUnknownError,
  ClockError,
  NotOwnerError,
  DisconnectedError,
  NotAuthorizedError,
  CertificateError,
  CapturedSubjectsError,
  TimeoutError,
  ClosedError,
  UnknownSessionError,
  ServerBusyError,
  StaleError,
  InternalError,
  OtherHistoryError,
  ServerBehindError,
  AnotherWriterError,
  InUseError,
  StoreError,
  DiskFullError,
  WriteInDoubtError,
  UnfitStreamError,
  NoJetStreamError,
  NotConfiguredError,
  OutsideComputationError,
  CircularCallError,
  SyncTierError,
} as const satisfies Record<string, ErrorClass>;

/** Names of the classes above, as they travel. */
export type ErrorName = keyof typeof errorClasses;

/** An error as it travels: class name and facts. What is not a ZooidError becomes an InternalError. */
export function errorToWire(error: unknown): [ErrorName, Record<string, Fact>] {
  if (error instanceof ZooidError && Object.hasOwn(errorClasses, error.name)) return [error.name as ErrorName, { ...error.facts }];
  return ["InternalError", { reason: error instanceof Error ? error.message : String(error) }];
}

/** Characters of an unknown name that are worth repeating. */
const errorNameLengthMax = 64;

/**
 * The error that errorToWire described. A name that is not known, or facts that are not those of its class, become an InternalError, never
 * a throw.
 */
export function errorFromWire(name: unknown, facts: unknown): ZooidError {
  const known = typeof name === "string" && Object.hasOwn(errorClasses, name) ? errorClasses[name as ErrorName] : undefined;
  const error = typeof facts === "object" && facts !== null ? known?.fromFacts(facts) : undefined;
  if (error !== undefined) return error;
  const answer = typeof name === "string" ? name.slice(0, errorNameLengthMax) : typeof name;
  return new InternalError({ reason: `the other side answered ${answer}${known === undefined ? "" : " with malformed facts"}` });
}
