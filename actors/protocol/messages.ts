/**
 * The conversation between an object client and a storage server. The files that this one exports describe each
 * message: its facts, and how they are written, read and checked.
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
export * from "./invalidations.js";
export * from "./object-messages.js";
export * from "./server-status.js";
export * from "./session-messages.js";
export type { KeyRange } from "../../core/index.js";
export type { CommitRequest, Position, Write } from "../../core/transaction.js";

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
