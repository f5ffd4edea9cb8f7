import { errorClass } from "./base.js";

/** Another transaction changed a key or range that this one read or wrote, after its snapshot. */
export class ConflictError extends errorClass({
  code: "ZOOID_CONFLICT",
  transient: true,
  facts: { key: "string", base: "tid", current: "tid" },
  message: ({ key, base, current }) => `${JSON.stringify(key)} was changed at ${current}, after the snapshot ${base}`,
}) {}

/** The history of this snapshot was pruned, or the commit arrived so late that it may be a copy of an earlier one. */
export class SnapshotTooOldError extends errorClass({
  code: "ZOOID_SNAPSHOT_TOO_OLD",
  transient: true,
  facts: { snapshot: "tid", floor: "tid" },
  message: ({ snapshot, floor }) => `snapshot ${snapshot} is too old: history is kept from ${floor} on`,
}) {}

/** The server has not reached the requested snapshot. */
export class BehindError extends errorClass({
  code: "ZOOID_BEHIND",
  transient: true,
  facts: { snapshot: "tid", last: "tid" },
  message: ({ snapshot, last }) => `the server is at ${last}, before ${snapshot}`,
}) {}

/**
 * The transaction was aborted: it was not finished within transactionTimeoutMs after its vote, or waited that long for
 * another one.
 */
export class TransactionTimedOutError extends errorClass({
  code: "ZOOID_TRANSACTION_TIMED_OUT",
  transient: true,
  facts: { transaction: "string" },
  message: ({ transaction }) => `transaction ${transaction} was aborted at its time-out`,
}) {}

/**
 * The transaction was aborted: by its client, at the end of its session, or because its client asked for its outcome
 * before it was in the log.
 */
export class TransactionAbortedError extends errorClass({
  code: "ZOOID_TRANSACTION_ABORTED",
  transient: true,
  facts: { transaction: "string" },
  message: ({ transaction }) => `transaction ${transaction} was aborted`,
}) {}

/** It can no longer be known whether the transaction has committed. */
export class OutcomeUnknownError extends errorClass({
  code: "ZOOID_OUTCOME_UNKNOWN",
  facts: { transaction: "string" },
  message: ({ transaction }) => `it cannot be known whether transaction ${transaction} has committed`,
}) {}

/** The clock of the server shows a time before 1970, or in 2248 or later, which no transaction id can hold. */
export class ClockError extends errorClass({
  code: "ZOOID_CLOCK",
  transient: true,
  facts: { nowMs: "number" },
  message: ({ nowMs }) => `the clock of the server is wrong: ${nowMs} ms after 1970`,
}) {}

/** The transaction belongs to another client: only its own client may commit, finish, abort or settle it. */
export class NotOwnerError extends errorClass({
  code: "ZOOID_NOT_OWNER",
  facts: { transaction: "string" },
  message: ({ transaction }) => `transaction ${transaction} belongs to another client`,
}) {}
