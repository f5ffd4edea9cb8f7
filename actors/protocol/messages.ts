/**
 * The conversation between an object client and a storage server, message by message. This file has the facts that each
 * message carries. The bytes are MessagePack arrays; actors/protocol/codec.ts reads and writes them.
 *
 * Subjects, under `zooid.<realm>.storage.<storage>`:
 *
 *     .register                     which server serves this storage? (request; its server answers and opens a session)
 *     .writer                       is there a writer? (request; from a server before it starts, answered by a writer)
 *     .invalidations                server → all clients: invalidations, heartbeats, goodbye, in one order
 *     .<instance>.<operation>       requests to one server process; also `register`, if the client knows the instance
 *     .<instance>.writer            do you write? (request; from another server that received its heartbeat)
 *
 * and `zooid.<realm>.storages`: which storages are served in this realm? (request), and `zooid.servers`: which servers
 * are at this broker, in any realm? (request; from a client that finds no server in its own realm)
 *
 * A client subscribes to `.invalidations`, then registers. From the answer on it takes only messages of that instance.
 * It sends its position with `verify`. If the verdict is to replay, it reads the log in parts with `log` and `keys`
 * until it reaches the transactions that `.invalidations` has brought meanwhile. Then it loads, lists and commits.
 * Every keepAliveIntervalMs it reports that it is alive, and its oldest snapshot.
 *
 *     client                                                   server
 *       │ register {protocol, client, secrets, …} ────────────▶ │ opens a session
 *       │ ◀───────────────── {instance, session, position, …}   │
 *       │ verify {position, asOf} ────────────────────────────▶ │ compares
 *       │ ◀──────────── upToDate | replay | discard | …         │
 *       │ log {after} ────────────────────────────────────────▶ │
 *       │ ◀────────────────────────────────── {transactions}    │
 *       │ commit {id, snapshot, reads, writes} ───────────────▶ │ batch, fsync
 *       │ ◀═════════════════ invalidation {previous, tid, keys} │ (to all)
 *       │ ◀──────────────────────── {tid, previous, digest}     │
 *
 * The server publishes the invalidation of a commit before its answer, on the same connection. So a transport that
 * keeps its promises delivers it first, but nothing relies on that.
 *
 * Every answer is either the result of the operation or an error by class and facts (core/errors). Every request but
 * `register` names a session. If the server does not know it, the error is UnknownSessionError, and the client
 * registers again.
 *
 * Secrets. A client draws two secrets, and sends them in requests only. Only the server may subscribe to those. No
 * answer, broadcast, status, address or log holds a secret. All other processes know only the hashes (`publicId`).
 *
 *     the client's     drawn once; its hash begins the id of each of its transactions. Only sessions registered with it
 *                      may commit, vote, finish, abort or settle these: the same session, or a later one of the client.
 *     the session's    drawn for each registration; every later request carries it. A registration that is sent twice
 *                      opens one session.
 */
import type { KeyRange, Tid } from "../../core/index.js";
import type { CommitRequest, Position, Write } from "../../core/transaction.js";

/** Raised whenever the shape or meaning of a message changes. A test pins the shapes to it. */
export const protocolVersion = 1;

/** Operations of a server instance: the last token of the subject. */
export const operations = [
  "register",
  "verify",
  "log",
  "keys",
  "load",
  "list",
  "commit",
  "vote",
  "finish",
  "abort",
  "settle",
  "alive",
  "bye",
  "status",
  "writer",
] as const;
export type Operation = (typeof operations)[number];

/**
 * Subjects of one storage in one realm. The names were checked where they came in (actors/names.ts): each is a single
 * token.
 */
export function storageSubjects(realm: string, storage: string) {
  const root = `zooid.${realm}.storage.${storage}`;
  return {
    register: `${root}.register`,
    writer: `${root}.writer`,
    invalidations: `${root}.invalidations`,
    operation: (instance: string, operation: Operation | "*") => `${root}.${instance}.${operation}`,
  };
}

/** Id of the transaction with this number of the client whose secret has the hash `owner`. */
export function transactionId(owner: string, number: number): string {
  return `${owner}-${number.toString(36)}`;
}

/** Whether `id` is the id of a transaction of the client whose secret has the hash `owner`. */
export function isOwnedBy(owner: string, id: string): boolean {
  return id.length > owner.length && id[owner.length] === "-" && id.startsWith(owner);
}

/**
 * Subject on which every server at a broker reports its realm and its storages. No realm has a subject of two tokens.
 */
export const serversSubject = "zooid.servers";

/** Subject on which every server of a realm reports the storages it serves. */
export function storagesSubject(realm: string): string {
  return `zooid.${realm}.storages`;
}

export interface Register {
  readonly protocol: number;
  /** The client's name: unique in the realm, chosen by the application, for people and for actor addresses. */
  readonly client: string;
  readonly readOnly: boolean;
  readonly clientSecret: string;
  readonly sessionSecret: string;
  /**
   * Oldest snapshot of the client's open transactions. From the start of the session, the server keeps the history that
   * this snapshot needs.
   */
  readonly oldestSnapshot: Tid | undefined;
}

export interface Registered {
  readonly instance: string;
  /** How often the server has connected to its broker. Requests sent to it before the last connection may be lost. */
  readonly links: number;
  /** The server takes no writes, or this client asked for read-only access. */
  readonly readOnly: boolean;
  readonly position: Position;
  readonly heartbeatIntervalMs: number;
  readonly keepAliveIntervalMs: number;
}

/** `session`, here and in each request below: the secret with which the session was registered. */
export interface Verify {
  readonly session: string;
  /** Last tid whose invalidation the client has applied, with its digest. */
  readonly position: Position;
  /** Greatest as-of in its cache, at least `position`: loads may know more than the last tid. */
  readonly asOf: Position;
}

/**
 * `upToDate`: the client's position is the server's. `replay`: the log goes back far enough. `discard`: as far as is
 * known the same history, but too old to be replayed. `otherHistory`: the server has passed that tid without it, or has
 * it with another digest. `lost`: the server writes and has not reached that tid, so it has lost transactions that the
 * client has seen. `behind`: the server is read-only, and may still reach that tid. `position` is the server's, durable
 * when it answered.
 */
export interface Verdict {
  readonly type: "upToDate" | "replay" | "discard" | "otherHistory" | "lost" | "behind";
  readonly position: Position;
}

export const verdictTypes = [
  "upToDate",
  "replay",
  "discard",
  "otherHistory",
  "lost",
  "behind",
] as const satisfies readonly Verdict["type"][];

/**
 * The keys that one committed transaction makes stale. `keys` undefined: too many for one message; read them with
 * `keys`.
 */
export interface Invalidation {
  readonly previous: Tid;
  readonly tid: Tid;
  readonly digest: string;
  readonly keyCount: number;
  readonly keys: readonly string[] | undefined;
}

/** Requests the transactions after `after`, oldest first. */
export interface LogRequest {
  readonly session: string;
  readonly after: Tid;
}

/** `whole`: the last of these was the last transaction when the server answered. */
export interface LogPage {
  readonly transactions: readonly Invalidation[];
  readonly whole: boolean;
}

/** Requests the keys of transaction `tid` from the one with index `from`. */
export interface KeysRequest {
  readonly session: string;
  readonly tid: Tid;
  readonly from: number;
}

/** Some keys of a transaction. An empty list: there are no more. */
export interface KeysPage {
  readonly keys: readonly string[];
}

export interface Load {
  readonly session: string;
  readonly snapshot: Tid;
  readonly keys: readonly string[];
}

/**
 * Revisions at the snapshot, in the order of the requested keys. Fewer than requested if they would not fit, at least
 * one.
 */
export interface LoadAnswer {
  readonly asOf: Position;
  readonly revisions: readonly LoadedRevision[];
}

/** Valid in [serial, next), or in [serial, asOf] if `next` is undefined. `value` undefined: absent. */
export interface LoadedRevision {
  readonly serial: Tid;
  readonly value: Uint8Array | undefined;
  readonly next: Tid | undefined;
}

export interface List {
  readonly session: string;
  readonly snapshot: Tid;
  readonly range: KeyRange;
  readonly rowsMax: number;
}

/**
 * Rows of the range in order. `end`: the key before which the list stopped; undefined: it reached the end of the range.
 */
export interface ListAnswer {
  readonly asOf: Position;
  readonly rows: readonly { readonly key: string; readonly serial: Tid; readonly value: Uint8Array; readonly next: Tid | undefined }[];
  readonly end: string | undefined;
}

/** `commit` and `vote`: a whole transaction. Its id belongs to the client. */
export interface Commit extends CommitRequest {
  readonly session: string;
}

/** `finish` and `abort`: for a voted transaction of the client. */
export interface Finish {
  readonly session: string;
  readonly id: string;
}

/** Answer to `commit` and `finish`. The client knows the keys, because it wrote them. */
export interface Committed {
  readonly tid: Tid;
  readonly previous: Tid;
  readonly digest: string;
}

/**
 * Requests the outcome of the client's transaction `id`, begun at `snapshot`. If it never came, the server fences it
 * durably.
 */
export interface Settle {
  readonly session: string;
  readonly id: string;
  readonly snapshot: Tid;
}

/** The commit, or undefined: the transaction will never commit. */
export interface Settled {
  readonly committed: Committed | undefined;
}

/** `oldestSnapshot`: of the client's open transactions; undefined: none is open. */
export interface Alive {
  readonly session: string;
  readonly oldestSnapshot: Tid | undefined;
}

/**
 * The server's durable position. A client that has applied up to it reads nothing older than this request (serverSync).
 */
export interface AliveAnswer {
  readonly position: Position;
}

/** Messages on `.invalidations`. */
export type Broadcast =
  | { readonly type: "invalidations"; readonly instance: string; readonly transactions: readonly Invalidation[] }
  | {
      readonly type: "heartbeat";
      readonly instance: string;
      readonly startedAt: number;
      /** As in `Registered`. */
      readonly links: number;
      /** Whether it takes no commits now. */
      readonly readOnly: boolean;
      readonly role: ServerRole;
      readonly position: Position;
    }
  | { readonly type: "goodbye"; readonly instance: string };

/**
 * The role of a server process for its storage. `takeover`: a writer that was started although another one might be
 * left; the other one gives way to it. A writer whose disk fails takes no commits for a while, but is still a writer.
 */
export type ServerRole = "reader" | "writer" | "takeover";

export const serverRoles = ["reader", "writer", "takeover"] as const satisfies readonly ServerRole[];

/**
 * Asks a server to prove that it writes a storage. `nonce`: new for each question, so that an earlier answer is not
 * accepted.
 */
export interface Challenge {
  readonly nonce: string;
}

/** Answer to `writer`. `proof`: a hash of the nonce and of all other facts in the answer. */
export interface Writer {
  readonly instance: string;
  readonly startedAt: number;
  readonly role: ServerRole;
  readonly position: Position;
  readonly proof: string;
}

/** Answer to `zooid.<realm>.storages` and to `zooid.servers`. */
export interface Storages {
  readonly realm: string;
  readonly storages: readonly string[];
}

/** Answer to `status`: for people and for the command line. Plain data, times in ms, sizes in bytes. */
export interface ServerStatus {
  readonly instance: string;
  readonly storage: string;
  readonly readOnly: boolean;
  /** Wall clock at the start. It may have been set since; `uptimeMs` says how long the server has been running. */
  readonly startedAt: number;
  readonly uptimeMs: number;
  readonly position: Position;
  /**
   * How far the time of the last tid is ahead of the server's wall clock, in milliseconds. A large value means that the
   * clock was wrong.
   */
  readonly tidsAheadMs: number;
  readonly historyFloor: Tid;
  readonly idFloor: Tid;
  /** The oldest `statusListMax` sessions; `counters` has their number. The same holds for `openTransactions`. */
  readonly sessions: readonly {
    readonly client: string;
    /** Its public id. It does not let a process act for the session. */
    readonly session: string;
    readonly state: string;
    readonly sinceMs: number;
    readonly seenMsAgo: number;
    readonly oldestSnapshot: Tid | undefined;
  }[];
  readonly queue: { readonly transactions: number; readonly keys: number };
  readonly outcomes: number;
  readonly openTransactions: readonly { readonly id: string; readonly client: string; readonly state: string; readonly sinceMs: number }[];
  readonly machines: Readonly<Record<string, string>>;
  readonly counters: Readonly<Record<string, number>>;
}

export type { CommitRequest, KeyRange, Position, Write };
