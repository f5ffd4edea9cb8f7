/**
 * The conversation between an object client and a storage server, message by message. The bytes are MessagePack
 * arrays (actors/protocol/codec.ts reads and writes them); what is here are the facts each one carries.
 *
 * Subjects, under `zooid.<realm>.storage.<storage>`:
 *
 *     .register                     who serves this storage? (request; answered by the server, which opens a session)
 *     .writer                       is there a writer? (request; asked by a server before it starts, answered by one that writes)
 *     .invalidations                server → all clients: invalidations, heartbeats, goodbye, in one order
 *     .<instance>.<operation>       requests to one server process; `register` too, where the client has heard of it
 *     .<instance>.writer            do you write? (request; asked by another server that heard its heartbeat)
 *
 * and `zooid.<realm>.storages`: which storages are served in this realm? (request), and `zooid.servers`: who serves at this broker, in
 * whatever realm? (request; asked by a client that finds nobody in its own)
 *
 * A client subscribes to `.invalidations`, then registers. From the answer on it takes only messages of that
 * instance. It sends its position with `verify`; told to replay, it reads the log in parts with `log` and `keys` until
 * it reaches what `.invalidations` has brought meanwhile. Then it loads, lists, commits, and says every
 * keepAliveIntervalMs that it lives and which snapshot is its oldest.
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
 * The invalidation of a commit is published before its answer, by the same connection, so over a transport that keeps
 * its promises it arrives first; nothing relies on it.
 *
 * Every answer is either what the operation promises or an error by class and facts (core/errors). Every request
 * but `register` names a session; one that the server does not know is UnknownSessionError, and the client registers again.
 *
 * Secrets. A client draws two, and sends them in requests alone, which only the server may subscribe to: no answer, broadcast, status,
 * address or log holds one. Everybody else knows their hashes (`publicId`).
 *
 *     the client's     drawn once; its hash begins the id of each of its transactions. Only sessions that were registered with it may
 *                      commit, vote, finish, abort or settle these: the same session, or a later one of the same client.
 *     the session's    drawn for each registration; every later request shows it. The same registration sent twice opens one session.
 */
import type { KeyRange, Tid } from "../../core/index.js";
import type { CommitRequest, Position, Write } from "../../core/transaction.js";

/** Raised whenever a message changes its shape or meaning; a test pins the shapes to it. */
export const protocolVersion = 1;

/** Operations on a server instance: the last token of the subject. */
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

/** Subjects of one storage in one realm. Names are checked where they come in (actors/names.ts): they are single tokens. */
export function storageSubjects(realm: string, storage: string) {
  const root = `zooid.${realm}.storage.${storage}`;
  return {
    register: `${root}.register`,
    writer: `${root}.writer`,
    invalidations: `${root}.invalidations`,
    operation: (instance: string, operation: Operation | "*") => `${root}.${instance}.${operation}`,
  };
}

/** Id of the transaction with this number, of the client whose secret has the hash `owner`. */
export function transactionId(owner: string, number: number): string {
  return `${owner}-${number.toString(36)}`;
}

/** Whether `id` is that of a transaction of the client whose secret has the hash `owner`. */
export function isOwnedBy(owner: string, id: string): boolean {
  return id.length > owner.length && id[owner.length] === "-" && id.startsWith(owner);
}

/** Subject on which every server at a broker tells its realm and its storages. No realm has a subject of two tokens. */
export const serversSubject = "zooid.servers";

/** Subject on which every server of a realm tells the storages it serves. */
export function storagesSubject(realm: string): string {
  return `zooid.${realm}.storages`;
}

export interface Register {
  readonly protocol: number;
  /** The client's name: unique in the realm, chosen by whoever embeds it, for people and for actor addresses. */
  readonly client: string;
  readonly readOnly: boolean;
  readonly clientSecret: string;
  readonly sessionSecret: string;
  /** Oldest snapshot of the client's open transactions: the server keeps its history from the beginning of the session on. */
  readonly oldestSnapshot: Tid | undefined;
}

export interface Registered {
  readonly instance: string;
  /** How often the server was linked to its broker: what was sent to it before the last time may be lost. */
  readonly links: number;
  /** The server takes no writes, or this client asked not to write. */
  readonly readOnly: boolean;
  readonly position: Position;
  readonly heartbeatIntervalMs: number;
  readonly keepAliveIntervalMs: number;
}

/** `session`, here and in each request below: the secret that the session was registered with. */
export interface Verify {
  readonly session: string;
  /** Last tid whose invalidation the client has applied, with its digest. */
  readonly position: Position;
  /** Greatest as-of among what it has cached: loads may know more than the last tid. At least `position`. */
  readonly asOf: Position;
}

/**
 * `upToDate`: position is the server's. `replay`: the log reaches back. `discard`: same history as far as is known, but too
 * old to be replayed. `otherHistory`: the server has passed that tid without it, or has it with another digest.
 * `lost`: the server writes and has not reached that tid, so that it has lost what the client has seen. `behind`: the server only reads,
 * and may still reach it. `position` is the server's, durable when this was answered.
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

/** What one committed transaction makes stale. `keys` undefined: too many for one message, read them with `keys`. */
export interface Invalidation {
  readonly previous: Tid;
  readonly tid: Tid;
  readonly digest: string;
  readonly keyCount: number;
  readonly keys: readonly string[] | undefined;
}

/** Asks for the transactions after `after`, oldest first. */
export interface LogRequest {
  readonly session: string;
  readonly after: Tid;
}

/** `whole`: nothing came after the last of these when it was answered. */
export interface LogPage {
  readonly transactions: readonly Invalidation[];
  readonly whole: boolean;
}

/** Asks for the keys of transaction `tid` from the one with index `from`. */
export interface KeysRequest {
  readonly session: string;
  readonly tid: Tid;
  readonly from: number;
}

/** Some keys of a transaction; empty: there are no more. */
export interface KeysPage {
  readonly keys: readonly string[];
}

export interface Load {
  readonly session: string;
  readonly snapshot: Tid;
  readonly keys: readonly string[];
}

/** Revisions at the snapshot, in the order of the keys asked for; fewer than asked when they would not fit, at least one. */
export interface LoadAnswer {
  readonly asOf: Position;
  readonly revisions: readonly LoadedRevision[];
}

/** Valid in [serial, next), or in [serial, asOf] when `next` is undefined. `value` undefined: absent. */
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

/** Rows of the range in order. `end`: listed up to this key (not included) only; undefined: to the end of the range. */
export interface ListAnswer {
  readonly asOf: Position;
  readonly rows: readonly { readonly key: string; readonly serial: Tid; readonly value: Uint8Array; readonly next: Tid | undefined }[];
  readonly end: string | undefined;
}

/** `commit` and `vote`: a whole transaction, whose id is one of the client's own. */
export interface Commit extends CommitRequest {
  readonly session: string;
}

/** `finish` and `abort`: of an own transaction that was voted. */
export interface Finish {
  readonly session: string;
  readonly id: string;
}

/** Answer to `commit` and `finish`. Its keys are known to who wrote them. */
export interface Committed {
  readonly tid: Tid;
  readonly previous: Tid;
  readonly digest: string;
}

/** What became of the own transaction `id`, begun at `snapshot`? The server fences it, durably, if it never came. */
export interface Settle {
  readonly session: string;
  readonly id: string;
  readonly snapshot: Tid;
}

/** Committed, or undefined: it never will be. */
export interface Settled {
  readonly committed: Committed | undefined;
}

/** `oldestSnapshot`: of the client's open transactions; undefined: none is open. */
export interface Alive {
  readonly session: string;
  readonly oldestSnapshot: Tid | undefined;
}

/** The server's durable position: who has applied up to it has read nothing older than this request (serverSync). */
export interface AliveAnswer {
  readonly position: Position;
}

/** What comes on `.invalidations`. */
export type Broadcast =
  | { readonly type: "invalidations"; readonly instance: string; readonly transactions: readonly Invalidation[] }
  | {
      readonly type: "heartbeat";
      readonly instance: string;
      readonly startedAt: number;
      /** As in `Registered`. */
      readonly links: number;
      /** It takes no commits now. */
      readonly readOnly: boolean;
      readonly role: ServerRole;
      readonly position: Position;
    }
  | { readonly type: "goodbye"; readonly instance: string };

/**
 * What a server process is to its storage. `takeover`: a writer that was started though another one might be left, which gives way to it.
 * A writer whose disk fails takes no commits for a while, and is a writer all the same.
 */
export type ServerRole = "reader" | "writer" | "takeover";

export const serverRoles = ["reader", "writer", "takeover"] as const satisfies readonly ServerRole[];

/** Asks a server to show that it writes a storage. `nonce`: new for each question, so that an earlier answer is no answer. */
export interface Challenge {
  readonly nonce: string;
}

/** Answer to `writer`. `proof`: a hash of the nonce and of all that is answered. */
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
  /** Wall clock at the start. It may have been set since: `uptimeMs` says how long the server runs. */
  readonly startedAt: number;
  readonly uptimeMs: number;
  readonly position: Position;
  /** How far the time of the last tid is ahead of the server's wall clock, milliseconds. The clock was wrong when that is much. */
  readonly tidsAheadMs: number;
  readonly historyFloor: Tid;
  readonly idFloor: Tid;
  /** The oldest statusListMax of them; `counters` has how many there are. So it is with `openTransactions`. */
  readonly sessions: readonly {
    readonly client: string;
    /** Its public id: nobody can speak for it by that. */
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
