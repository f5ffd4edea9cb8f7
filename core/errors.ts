import type { Tid } from "./tid.js";

/** A fact of an error: what travels with it between processes. */
export type Fact = string | number | boolean | undefined;

/**
 * Bad input or bad luck, told by class and by permanent `code`, never by text.
 * `transient`: another try later, with nothing else changed, may succeed.
 */
export abstract class ZooidError extends Error {
  abstract readonly code: `ZOOID_${string}`;
  abstract readonly transient: boolean;
  /** The facts of this situation, by name; they are also fields of the error. */
  readonly facts: Readonly<Record<string, Fact>>;

  constructor(message: string, facts: Readonly<Record<string, Fact>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.facts = facts;
  }
}

function because({ reason }: { readonly reason?: string | undefined }): string {
  return reason === undefined ? "" : `: ${reason}`;
}

// ---- Input

/** A key is not 1 to 512 UTF-8 bytes without NUL. */
export class InvalidKeyError extends ZooidError {
  readonly code = "ZOOID_INVALID_KEY";
  readonly transient = false;
  declare readonly facts: { readonly key: string; readonly reason: string };
  constructor(facts: { readonly key: string; readonly reason: string }) {
    super(`key ${JSON.stringify(facts.key)} ${facts.reason}`, facts);
  }
}

/** A value holds what cannot be stored (a function, a cycle, a class instance), or is nested too deep. */
export class InvalidValueError extends ZooidError {
  readonly code = "ZOOID_INVALID_VALUE";
  readonly transient = false;
  declare readonly facts: { readonly path: string; readonly reason: string };
  constructor(facts: { readonly path: string; readonly reason: string }, cause?: unknown) {
    super(`value${facts.path === "" ? "" : ` at ${facts.path}`} ${facts.reason}`, facts, cause);
  }
}

/** A schema of this key's pattern refused the value. */
export class SchemaError extends ZooidError {
  readonly code = "ZOOID_SCHEMA";
  readonly transient = false;
  declare readonly facts: { readonly key: string; readonly reason: string };
  constructor(facts: { readonly key: string; readonly reason: string }) {
    super(`value of ${JSON.stringify(facts.key)} does not fit its schema: ${facts.reason}`, facts);
  }
}

/** A tag is not `a:b:c` of letters, digits, `_` and `.`, or has more than 256 characters or 16 levels. */
export class InvalidTagError extends ZooidError {
  readonly code = "ZOOID_INVALID_TAG";
  readonly transient = false;
  declare readonly facts: { readonly tag: string; readonly reason: string };
  constructor(facts: { readonly tag: string; readonly reason: string }) {
    super(`tag ${JSON.stringify(facts.tag)} ${facts.reason}`, facts);
  }
}

/** An argument of a cached function holds what no key can be made of (a function, a symbol, a class instance, a cycle), or too much. */
export class InvalidKeyArgumentError extends ZooidError {
  readonly code = "ZOOID_INVALID_KEY_ARGUMENT";
  readonly transient = false;
  declare readonly facts: { readonly path: string; readonly reason: string };
  constructor(facts: { readonly path: string; readonly reason: string }) {
    super(`argument ${facts.path} ${facts.reason}`, facts);
  }
}

/** An option, flag or environment variable has a value that is not allowed. */
export class InvalidOptionError extends ZooidError {
  readonly code = "ZOOID_INVALID_OPTION";
  readonly transient = false;
  declare readonly facts: { readonly option: string; readonly reason: string };
  constructor(facts: { readonly option: string; readonly reason: string }) {
    super(`option ${facts.option} ${facts.reason}`, facts);
  }
}

/** A message, or one transaction, is larger than messageBytesMax or has more keys than transactionKeysMax. */
export class TooLargeError extends ZooidError {
  readonly code = "ZOOID_TOO_LARGE";
  readonly transient = false;
  declare readonly facts: { readonly what: string; readonly size: number; readonly sizeMax: number };
  constructor(facts: { readonly what: string; readonly size: number; readonly sizeMax: number }) {
    super(`${facts.what} is ${facts.size}, more than ${facts.sizeMax}`, facts);
  }
}

/** A message is not of the protocol: it is truncated, or has a wrong shape or type. */
export class MalformedMessageError extends ZooidError {
  readonly code = "ZOOID_MALFORMED_MESSAGE";
  readonly transient = false;
  declare readonly facts: { readonly what: string; readonly reason: string };
  constructor(facts: { readonly what: string; readonly reason: string }, cause?: unknown) {
    super(`${facts.what} is malformed: ${facts.reason}`, facts, cause);
  }
}

/** The other side speaks another version of the protocol. */
export class ProtocolVersionError extends ZooidError {
  readonly code = "ZOOID_PROTOCOL_VERSION";
  readonly transient = false;
  declare readonly facts: { readonly version: number; readonly supported: number };
  constructor(facts: { readonly version: number; readonly supported: number }) {
    super(`protocol version ${facts.version} is not spoken here, only ${facts.supported}`, facts);
  }
}

/** The server serves no storage of this name. */
export class UnknownStorageError extends ZooidError {
  readonly code = "ZOOID_UNKNOWN_STORAGE";
  readonly transient = false;
  declare readonly facts: { readonly storage: string };
  constructor(facts: { readonly storage: string }) {
    super(`no storage ${JSON.stringify(facts.storage)} here`, facts);
  }
}

/** The server or the client is read-only. */
export class ReadOnlyError extends ZooidError {
  readonly code = "ZOOID_READ_ONLY";
  readonly transient = false;
  declare readonly facts: { readonly who: string };
  constructor(facts: { readonly who: string }) {
    super(`the ${facts.who} is read-only`, facts);
  }
}

/** The actor does not take events of this type from outside. */
export class NotAcceptedError extends ZooidError {
  readonly code = "ZOOID_NOT_ACCEPTED";
  readonly transient = false;
  declare readonly facts: { readonly actor: string; readonly event: string; readonly accepts: string };
  constructor(facts: { readonly actor: string; readonly event: string; readonly accepts: string }) {
    super(
      `actor ${facts.actor} does not accept ${facts.event} from outside: it accepts ${facts.accepts === "" ? "nothing" : facts.accepts}`,
      facts,
    );
  }
}

/** The actor takes events of this type, but the schema of the type refused the event. */
export class InvalidEventError extends ZooidError {
  readonly code = "ZOOID_INVALID_EVENT";
  readonly transient = false;
  declare readonly facts: { readonly actor: string; readonly event: string; readonly reason: string };
  constructor(facts: { readonly actor: string; readonly event: string; readonly reason: string }) {
    super(`event ${facts.event} for actor ${facts.actor} does not fit its schema: ${facts.reason}`, facts);
  }
}

/** No process of the realm has an actor at this address. */
export class NoActorError extends ZooidError {
  readonly code = "ZOOID_NO_ACTOR";
  readonly transient = false;
  declare readonly facts: { readonly actor: string };
  constructor(facts: { readonly actor: string }) {
    super(`no process of this realm has an actor at ${facts.actor}`, facts);
  }
}

/** The actor answered before. Its process has ended, or has ended the registration. */
export class ActorLostError extends ZooidError {
  readonly code = "ZOOID_ACTOR_LOST";
  readonly transient = true;
  declare readonly facts: { readonly actor: string };
  constructor(facts: { readonly actor: string }) {
    super(`actor ${facts.actor} no longer answers: its process has ended, or has ended the registration`, facts);
  }
}

/** The actor is at its address, but it has stopped, is done or has failed (`status`): it takes no more events. */
export class ActorEndedError extends ZooidError {
  readonly code = "ZOOID_ACTOR_ENDED";
  readonly transient = false;
  declare readonly facts: { readonly actor: string; readonly status: string; readonly reason?: string | undefined };
  constructor(facts: { readonly actor: string; readonly status: string; readonly reason?: string | undefined }) {
    const ended = { done: "is done", error: "has failed" }[facts.status] ?? "has stopped";
    super(`actor ${facts.actor} ${ended} and takes no more events${facts.reason === undefined ? "" : `: ${facts.reason}`}`, facts);
  }
}

/** The event made the actor fail: an action, a guard or an actor that it invoked threw. The actor is stopped, its process goes on. */
export class ActorFailedError extends ZooidError {
  readonly code = "ZOOID_ACTOR_FAILED";
  readonly transient = false;
  declare readonly facts: { readonly actor: string; readonly event: string; readonly reason: string };
  constructor(facts: { readonly actor: string; readonly event: string; readonly reason: string }) {
    super(`event ${facts.event} made actor ${facts.actor} fail: ${facts.reason}`, facts);
  }
}

// ---- Transactions

/** A key or range that the transaction read or wrote was changed after its snapshot. */
export class ConflictError extends ZooidError {
  readonly code = "ZOOID_CONFLICT";
  readonly transient = true;
  declare readonly facts: { readonly key: string; readonly base: Tid; readonly current: Tid };
  constructor(facts: { readonly key: string; readonly base: Tid; readonly current: Tid }) {
    super(`${JSON.stringify(facts.key)} was changed at ${facts.current}, after the snapshot ${facts.base}`, facts);
  }
}

/** The history that this snapshot needs was pruned, or its commit came so late that it could be a copy of another one. */
export class SnapshotTooOldError extends ZooidError {
  readonly code = "ZOOID_SNAPSHOT_TOO_OLD";
  readonly transient = true;
  declare readonly facts: { readonly snapshot: Tid; readonly floor: Tid };
  constructor(facts: { readonly snapshot: Tid; readonly floor: Tid }) {
    super(`snapshot ${facts.snapshot} is older than what is kept, ${facts.floor}`, facts);
  }
}

/** The server has not reached the snapshot that was asked for. */
export class BehindError extends ZooidError {
  readonly code = "ZOOID_BEHIND";
  readonly transient = true;
  declare readonly facts: { readonly snapshot: Tid; readonly last: Tid };
  constructor(facts: { readonly snapshot: Tid; readonly last: Tid }) {
    super(`the server is at ${facts.last}, before ${facts.snapshot}`, facts);
  }
}

/** A voted transaction was not finished within transactionTimeoutMs, or waited that long for another; it was aborted. */
export class TransactionTimedOutError extends ZooidError {
  readonly code = "ZOOID_TRANSACTION_TIMED_OUT";
  readonly transient = true;
  declare readonly facts: { readonly transaction: string };
  constructor(facts: { readonly transaction: string }) {
    super(`transaction ${facts.transaction} was aborted at its time-out`, facts);
  }
}

/** The transaction was aborted: by its client, with its session, or because its client asked for its outcome while it was not in the log. */
export class TransactionAbortedError extends ZooidError {
  readonly code = "ZOOID_TRANSACTION_ABORTED";
  readonly transient = true;
  declare readonly facts: { readonly transaction: string };
  constructor(facts: { readonly transaction: string }, cause?: unknown) {
    super(`transaction ${facts.transaction} was aborted`, facts, cause);
  }
}

/** Whether the transaction committed can no longer be known. Never thrown where it can. */
export class OutcomeUnknownError extends ZooidError {
  readonly code = "ZOOID_OUTCOME_UNKNOWN";
  readonly transient = false;
  declare readonly facts: { readonly transaction: string };
  constructor(facts: { readonly transaction: string }, cause?: unknown) {
    super(`whether transaction ${facts.transaction} committed is not known`, facts, cause);
  }
}

/** The transaction belongs to another client: only its own client may commit, finish, abort or settle it. */
export class NotOwnerError extends ZooidError {
  readonly code = "ZOOID_NOT_OWNER";
  readonly transient = false;
  declare readonly facts: { readonly transaction: string };
  constructor(facts: { readonly transaction: string }) {
    super(`transaction ${facts.transaction} belongs to another client`, facts);
  }
}

/** The clock of the server shows a time before 1970, or in 2248 or later, which no transaction id can hold. */
export class ClockError extends ZooidError {
  readonly code = "ZOOID_CLOCK";
  readonly transient = true;
  declare readonly facts: { readonly nowMs: number };
  constructor(facts: { readonly nowMs: number }) {
    super(`the clock of the server is wrong: ${facts.nowMs} ms after 1970`, facts);
  }
}

// ---- Links

/** There is no link, it was lost during the call, or nobody listens at the other end. `reason`: what is known of the cause. */
export class DisconnectedError extends ZooidError {
  readonly code = "ZOOID_DISCONNECTED";
  readonly transient = true;
  declare readonly facts: { readonly address: string; readonly subject?: string; readonly reason?: string | undefined };
  constructor(facts: { readonly address: string; readonly subject?: string; readonly reason?: string | undefined }, cause?: unknown) {
    super(
      facts.subject === undefined ? `not connected to ${facts.address}${because(facts)}` : `nobody listens on ${facts.subject}`,
      facts,
      cause,
    );
  }

  /** The broker answered that nobody listens. It is a definite answer, which a lost link and a time-out are not. */
  get isUnheard(): boolean {
    return this.facts.subject !== undefined;
  }
}

/**
 * The broker refused the credentials or the certificate, or they do not allow what was asked; or its own certificate is not trusted here.
 * `subject` and `reason` say which of them.
 */
export class NotAuthorizedError extends ZooidError {
  readonly code = "ZOOID_NOT_AUTHORIZED";
  readonly transient = false;
  declare readonly facts: { readonly address: string; readonly subject?: string; readonly reason?: string | undefined };
  constructor(facts: { readonly address: string; readonly subject?: string; readonly reason?: string | undefined }, cause?: unknown) {
    const what = facts.subject === undefined ? "" : ` for the subject ${facts.subject}`;
    super(`not authorized at ${facts.address}${what}${because(facts)}`, facts, cause);
  }
}

/** No answer within the time given. Whether the request was carried out is not known. */
export class TimeoutError extends ZooidError {
  readonly code = "ZOOID_TIMEOUT";
  readonly transient = true;
  declare readonly facts: { readonly what: string; readonly timeoutMs: number };
  constructor(facts: { readonly what: string; readonly timeoutMs: number }) {
    super(`${facts.what} had no answer within ${facts.timeoutMs} ms`, facts);
  }
}

/** The object was closed before or during the call. */
export class ClosedError extends ZooidError {
  readonly code = "ZOOID_CLOSED";
  readonly transient = false;
  declare readonly facts: { readonly what: string };
  constructor(facts: { readonly what: string }) {
    super(`${facts.what} is closed`, facts);
  }
}

/** The server knows no such session: it was closed, timed out, or belonged to an earlier start of the server. */
export class UnknownSessionError extends ZooidError {
  readonly code = "ZOOID_UNKNOWN_SESSION";
  readonly transient = true;
  declare readonly facts: { readonly session: string };
  constructor(facts: { readonly session: string }) {
    super(`no session ${facts.session}`, facts);
  }
}

/** A bound of the server was reached (sessions, waiting commits, open transactions). */
export class ServerBusyError extends ZooidError {
  readonly code = "ZOOID_SERVER_BUSY";
  readonly transient = true;
  declare readonly facts: { readonly what: string; readonly countMax: number };
  constructor(facts: { readonly what: string; readonly countMax: number }) {
    super(`the server has ${facts.countMax} ${facts.what} already`, facts);
  }
}

/** The cached state is older than the read allows (`maxStaleMs`). */
export class StaleError extends ZooidError {
  readonly code = "ZOOID_STALE";
  readonly transient = true;
  declare readonly facts: { readonly staleMs: number; readonly maxStaleMs: number };
  constructor(facts: { readonly staleMs: number; readonly maxStaleMs: number }) {
    super(`what is known here is ${facts.staleMs} ms old, more than ${facts.maxStaleMs}`, facts);
  }
}

// ---- Histories and folders

/** The cache belongs to another history than the server's: one of them was restored, forked or replaced. */
export class OtherHistoryError extends ZooidError {
  readonly code = "ZOOID_OTHER_HISTORY";
  readonly transient = false;
  declare readonly facts: { readonly storage: string; readonly last: Tid };
  constructor(facts: { readonly storage: string; readonly last: Tid }) {
    super(
      `the cache of ${JSON.stringify(facts.storage)} ends at ${facts.last} of another history than the server's; ` +
        `delete its folder or connect with onOtherHistory: "discard"`,
      facts,
    );
  }
}

/** A server that takes commits has not reached what this client has seen, as after a restore: it would give the same ids to other transactions. */
export class ServerBehindError extends ZooidError {
  readonly code = "ZOOID_SERVER_BEHIND";
  readonly transient = false;
  declare readonly facts: { readonly storage: string; readonly last: Tid; readonly server: Tid };
  constructor(facts: { readonly storage: string; readonly last: Tid; readonly server: Tid }) {
    super(
      `the server of ${JSON.stringify(facts.storage)} is at ${facts.server}, this client has seen ${facts.last}: ` +
        `the server was restored from an older copy; delete the cache folder or connect with onOtherHistory: "discard"`,
      facts,
    );
  }
}

/** Another server writes the same storage of the same realm. */
export class AnotherWriterError extends ZooidError {
  readonly code = "ZOOID_ANOTHER_WRITER";
  readonly transient = false;
  declare readonly facts: { readonly storage: string; readonly instance: string };
  constructor(facts: { readonly storage: string; readonly instance: string }) {
    super(`instance ${facts.instance} already serves ${JSON.stringify(facts.storage)}`, facts);
  }
}

/** The folder is owned by another process. */
export class InUseError extends ZooidError {
  readonly code = "ZOOID_IN_USE";
  readonly transient = false;
  declare readonly facts: { readonly folder: string };
  constructor(facts: { readonly folder: string }, cause?: unknown) {
    super(`${facts.folder} is in use already, by this process or another`, facts, cause);
  }
}

/** The folder cannot be read or written, or holds something else. */
export class StoreError extends ZooidError {
  readonly code = "ZOOID_STORE";
  readonly transient = false;
  declare readonly facts: { readonly folder: string; readonly reason: string };
  constructor(facts: { readonly folder: string; readonly reason: string }, cause?: unknown) {
    super(`${facts.folder}: ${facts.reason}`, facts, cause);
  }
}

/** The disk of the folder is full, or has less than 1 MiB of room when the folder is made (`isEmpty`). */
export class DiskFullError extends ZooidError {
  readonly code = "ZOOID_DISK_FULL";
  readonly transient = true;
  declare readonly facts: { readonly folder: string; readonly isEmpty: boolean };
  constructor(facts: { readonly folder: string; readonly isEmpty: boolean }, cause?: unknown) {
    super(`${facts.folder}: there is no room on its disk`, facts, cause);
  }
}

/** A write failed. Whether it is on disk is known once the store has been opened again. */
export class WriteInDoubtError extends ZooidError {
  readonly code = "ZOOID_WRITE_IN_DOUBT";
  readonly transient = true;
  declare readonly facts: { readonly folder: string };
  constructor(facts: { readonly folder: string }, cause?: unknown) {
    super(`a write to ${facts.folder} failed and may be on disk or not`, facts, cause);
  }
}

/** A bug on the side that answered: its message is all that is known. */
export class InternalError extends ZooidError {
  readonly code = "ZOOID_INTERNAL";
  readonly transient = false;
  declare readonly facts: { readonly reason: string };
  constructor(facts: { readonly reason: string }, cause?: unknown) {
    super(`internal error: ${facts.reason}`, facts, cause);
  }
}

// ---- Semantic cache

/** The stream of the invalidation bus is there, with settings under which invalidations would be lost. It is left as it is. */
export class UnfitStreamError extends ZooidError {
  readonly code = "ZOOID_UNFIT_STREAM";
  readonly transient = false;
  declare readonly facts: { readonly stream: string; readonly setting: string; readonly found: string; readonly needed: string };
  constructor(facts: { readonly stream: string; readonly setting: string; readonly found: string; readonly needed: string }) {
    super(`stream ${facts.stream} cannot carry invalidations: its ${facts.setting} is ${facts.found}, change it to ${facts.needed}`, facts);
  }
}

/** The broker can be reached, and has no JetStream for this user. */
export class NoJetStreamError extends ZooidError {
  readonly code = "ZOOID_NO_JET_STREAM";
  readonly transient = true;
  declare readonly facts: { readonly address: string };
  constructor(facts: { readonly address: string }, cause?: unknown) {
    super(`the broker at ${facts.address} has no JetStream: turn it on (nats-server -js), or use busKind: "nats"`, facts, cause);
  }
}

/** A function of the module was called before `configure`, or before its promise resolved. */
export class NotConfiguredError extends ZooidError {
  readonly code = "ZOOID_NOT_CONFIGURED";
  readonly transient = false;
  declare readonly facts: { readonly called: string };
  constructor(facts: { readonly called: string }) {
    super(`${facts.called} was called before the cache was configured: await configure() first`, facts);
  }
}

/** Dependencies were added where no cached function is being computed, or after it had ended. */
export class OutsideComputationError extends ZooidError {
  readonly code = "ZOOID_OUTSIDE_COMPUTATION";
  readonly transient = false;
  declare readonly facts: { readonly called: string };
  constructor(facts: { readonly called: string }) {
    super(`${facts.called} was called outside of a computation`, facts);
  }
}

/** Cached calls would wait for each other for ever. */
export class CircularCallError extends ZooidError {
  readonly code = "ZOOID_CIRCULAR_CALL";
  readonly transient = false;
  declare readonly facts: { readonly circle: string };
  constructor(facts: { readonly circle: string }) {
    super(`cached calls wait for each other: ${facts.circle}`, facts);
  }
}

/** A sync function cannot keep its results in a bucket that nodes share, as asking the bucket takes a promise. */
export class SyncTierError extends ZooidError {
  readonly code = "ZOOID_SYNC_TIER";
  readonly transient = false;
  declare readonly facts: { readonly name: string };
  constructor(facts: { readonly name: string }) {
    super(`${facts.name} gives no promise, and its results are kept in a bucket: make it async, or use memory: or lmdb:`, facts);
  }
}

type FactsClass = new (facts: never, cause?: unknown) => ZooidError;

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
  TimeoutError,
  ClosedError,
  UnknownSessionError,
  ServerBusyError,
  StaleError,
  OtherHistoryError,
  ServerBehindError,
  AnotherWriterError,
  InUseError,
  StoreError,
  DiskFullError,
  WriteInDoubtError,
  InternalError,
  UnfitStreamError,
  NoJetStreamError,
  NotConfiguredError,
  OutsideComputationError,
  CircularCallError,
  SyncTierError,
} as const satisfies Record<string, FactsClass>;

/** Names of the classes above, as they travel. */
export type ErrorName = keyof typeof errorClasses;

/** An error as it travels: class name and facts. What is not a ZooidError becomes an InternalError. */
export function errorToWire(error: unknown): [ErrorName, Record<string, Fact>] {
  if (error instanceof ZooidError && error.name in errorClasses) return [error.name as ErrorName, { ...error.facts }];
  return ["InternalError", { reason: error instanceof Error ? error.message : String(error) }];
}

/** Characters of an unknown name that are worth repeating. */
const errorNameLengthMax = 64;

/** The error that errorToWire described. A name or facts of the wrong shape become an InternalError, never a throw. */
export function errorFromWire(name: unknown, facts: unknown): ZooidError {
  const known = typeof name === "string" && Object.hasOwn(errorClasses, name) ? errorClasses[name as ErrorName] : undefined;
  if (known === undefined || typeof facts !== "object" || facts === null) {
    return new InternalError({
      reason: `the other side answered ${typeof name === "string" ? name.slice(0, errorNameLengthMax) : typeof name}`,
    });
  }
  const plain: Record<string, Fact> = {};
  for (const [field, fact] of Object.entries(facts)) {
    if (typeof fact === "string" || typeof fact === "number" || typeof fact === "boolean") plain[field] = fact;
  }
  return new (known as FactsClass)(plain as never);
}
