import { errorClass } from "./base.js";

/** The cache and the server have different histories: one of them was restored, forked or replaced. */
export class OtherHistoryError extends errorClass({
  code: "ZOOID_OTHER_HISTORY",
  facts: { storage: "string", last: "tid" },
  message: ({ storage, last }) =>
    `the cache of ${JSON.stringify(storage)} ends at ${last} of a history that is not the server's; ` +
    `delete its folder or connect with onOtherHistory: "discard"`,
}) {}

/**
 * A writable server is behind a transaction that this client has seen, for example after a restore. The server would
 * give the ids of those transactions to other transactions.
 */
export class ServerBehindError extends errorClass({
  code: "ZOOID_SERVER_BEHIND",
  facts: { storage: "string", last: "tid", server: "tid" },
  message: ({ storage, last, server }) =>
    `the server of ${JSON.stringify(storage)} is at ${server}, this client has seen ${last}: ` +
    `the server was restored from an older copy; delete the cache folder or connect with onOtherHistory: "discard"`,
}) {}

/** Another server already writes the same storage of the same realm. */
export class AnotherWriterError extends errorClass({
  code: "ZOOID_ANOTHER_WRITER",
  facts: { storage: "string", instance: "string" },
  message: ({ storage, instance }) =>
    `another server (instance ${instance}) already writes storage ${JSON.stringify(storage)} of this realm: ` +
    `end it first, or name another storage or realm`,
}) {}

/** The folder is in use, by another process or by this one. */
export class InUseError extends errorClass({
  code: "ZOOID_IN_USE",
  facts: { folder: "string" },
  message: ({ folder }) => `${folder} is in use already, by this process or another`,
}) {}

/** The folder cannot be read or written, or holds other files. */
export class StoreError extends errorClass({
  code: "ZOOID_STORE",
  facts: { folder: "string", reason: "string" },
  message: ({ folder, reason }) => `${folder}: ${reason}`,
}) {}

/**
 * The disk of the folder is full: less than 0.5 MiB would be free after a write, or less than 1 MiB is free when the
 * folder is made (`isEmpty`).
 */
export class DiskFullError extends errorClass({
  code: "ZOOID_DISK_FULL",
  transient: true,
  facts: { folder: "string", isEmpty: "boolean" },
  message: ({ folder }) => `${folder}: its disk is full`,
}) {}

/** A write failed: it may be on disk or not. The store must be opened again to find out. */
export class WriteInDoubtError extends errorClass({
  code: "ZOOID_WRITE_IN_DOUBT",
  transient: true,
  facts: { folder: "string" },
  message: ({ folder }) => `a write to ${folder} failed and may be on disk or not`,
}) {}
