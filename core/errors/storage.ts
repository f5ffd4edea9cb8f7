import { errorClass } from "./base.js";

/** The cache belongs to another history than the server's: one of them was restored, forked or replaced. */
export class OtherHistoryError extends errorClass({
  code: "ZOOID_OTHER_HISTORY",
  transient: false,
  facts: { storage: "string", last: "tid" },
  message: ({ storage, last }) =>
    `the cache of ${JSON.stringify(storage)} ends at ${last} of another history than the server's; ` +
    `delete its folder or connect with onOtherHistory: "discard"`,
}) {}

/** A server that takes commits has not reached what this client has seen, as after a restore: it would give the same ids to other transactions. */
export class ServerBehindError extends errorClass({
  code: "ZOOID_SERVER_BEHIND",
  transient: false,
  facts: { storage: "string", last: "tid", server: "tid" },
  message: ({ storage, last, server }) =>
    `the server of ${JSON.stringify(storage)} is at ${server}, this client has seen ${last}: ` +
    `the server was restored from an older copy; delete the cache folder or connect with onOtherHistory: "discard"`,
}) {}

/** Another server writes the same storage of the same realm. */
export class AnotherWriterError extends errorClass({
  code: "ZOOID_ANOTHER_WRITER",
  transient: false,
  facts: { storage: "string", instance: "string" },
  message: ({ storage, instance }) => `instance ${instance} already serves ${JSON.stringify(storage)}`,
}) {}

/** The folder is owned by another process. */
export class InUseError extends errorClass({
  code: "ZOOID_IN_USE",
  transient: false,
  facts: { folder: "string" },
  message: ({ folder }) => `${folder} is in use already, by this process or another`,
}) {}

/** The folder cannot be read or written, or holds something else. */
export class StoreError extends errorClass({
  code: "ZOOID_STORE",
  transient: false,
  facts: { folder: "string", reason: "string" },
  message: ({ folder, reason }) => `${folder}: ${reason}`,
}) {}

/** The disk of the folder is full, or has less than 1 MiB of room when the folder is made (`isEmpty`). */
export class DiskFullError extends errorClass({
  code: "ZOOID_DISK_FULL",
  transient: true,
  facts: { folder: "string", isEmpty: "boolean" },
  message: ({ folder }) => `${folder}: there is no room on its disk`,
}) {}

/** A write failed. Whether it is on disk is known once the store has been opened again. */
export class WriteInDoubtError extends errorClass({
  code: "ZOOID_WRITE_IN_DOUBT",
  transient: true,
  facts: { folder: "string" },
  message: ({ folder }) => `a write to ${folder} failed and may be on disk or not`,
}) {}
