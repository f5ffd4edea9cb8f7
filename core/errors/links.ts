import { errorClass } from "./base.js";

const because = (reason: string | undefined): string => (reason === undefined ? "" : `: ${reason}`);

/**
 * There is no connection, it was lost during the call, or no process listens at the other end. `reason`: the cause, if
 * it is known. `missing`: the missing part, if it is known: `broker`, `server`, `realm` or `storage`. `remedy`: how to
 * start it.
 */
export class DisconnectedError extends errorClass({
  code: "ZOOID_DISCONNECTED",
  transient: true,
  facts: { address: "string", subject: "string?", reason: "string?", missing: "string?", remedy: "string?" },
  message: ({ address, subject, reason, remedy }) =>
    subject === undefined
      ? `not connected to ${address}${because(reason)}${remedy === undefined ? "" : `; ${remedy}`}`
      : `no process listens on ${subject}`,
}) {
  /** The broker answered that no process listens. This answer is definite, unlike a lost connection or a time-out. */
  get isUnheard(): boolean {
    return this.subject !== undefined;
  }
}

/**
 * The broker refused the credentials or the certificate of this process, or does not permit it to use a subject.
 * `refused`: `credentials`, `certificate`, or, with `subject`, `publish` or `subscribe`.
 */
export class NotAuthorizedError extends errorClass({
  code: "ZOOID_NOT_AUTHORIZED",
  facts: { address: "string", subject: "string?", reason: "string?", refused: "string?" },
  message: ({ address, subject, reason, refused }) => {
    const to = { publish: " to publish on", subscribe: " to subscribe to" }[refused ?? ""] ?? " for the subject";
    return `not authorized at ${address}${subject === undefined ? "" : `${to} ${subject}`}${because(reason)}`;
  },
}) {}

const certificateProblems: Readonly<Record<string, string>> = {
  expired: "has expired",
  notYetValid: "is not valid yet",
  misnamed: "is for another name",
  revoked: "was revoked",
};

/**
 * This process does not accept the certificate of the broker. `problem`: `expired`, `notYetValid`, `misnamed`,
 * `revoked`, or `untrusted`, when its signer is not trusted.
 */
export class CertificateError extends errorClass({
  code: "ZOOID_CERTIFICATE",
  facts: { address: "string", problem: "string", reason: "string", remedy: "string?" },
  message: ({ address, problem, reason, remedy }) =>
    `the certificate of the broker at ${address} ${certificateProblems[problem] ?? "is not trusted"}${because(reason)}` +
    (remedy === undefined ? "" : `; ${remedy}`),
}) {}

/**
 * A JetStream stream captures subjects that Zooid needs for itself. Such a stream answers requests in place of their
 * receiver.
 */
export class CapturedSubjectsError extends errorClass({
  code: "ZOOID_CAPTURED_SUBJECTS",
  facts: { stream: "string", subjects: "string" },
  message: ({ stream, subjects }) =>
    `the JetStream stream ${stream} captures messages on ${subjects}, which Zooid needs for itself: give that stream other subjects`,
}) {}

/** There was no answer within the time. The request may have been carried out or not. */
export class TimeoutError extends errorClass({
  code: "ZOOID_TIMEOUT",
  transient: true,
  facts: { what: "string", timeoutMs: "number" },
  message: ({ what, timeoutMs }) => `${what} had no answer within ${timeoutMs} ms`,
}) {}

/** The object was closed before or during the call. */
export class ClosedError extends errorClass({
  code: "ZOOID_CLOSED",
  facts: { what: "string" },
  message: ({ what }) => `${what} is closed`,
}) {}

/** The server has no such session: it was closed, timed out, or belonged to an earlier run of the server. */
export class UnknownSessionError extends errorClass({
  code: "ZOOID_UNKNOWN_SESSION",
  transient: true,
  facts: { session: "string" },
  message: ({ session }) => `no session ${session}`,
}) {}

/** The server has reached a bound: of sessions, waiting commits or open transactions. */
export class ServerBusyError extends errorClass({
  code: "ZOOID_SERVER_BUSY",
  transient: true,
  facts: { what: "string", countMax: "number" },
  message: ({ what, countMax }) => `the server has ${countMax} ${what} already`,
}) {}

/** The cached state is older than the read allows (`maxStaleMs`). */
export class StaleError extends errorClass({
  code: "ZOOID_STALE",
  transient: true,
  facts: { staleMs: "number", maxStaleMs: "number" },
  message: ({ staleMs, maxStaleMs }) => `the cached state is ${staleMs} ms old, older than maxStaleMs (${maxStaleMs})`,
}) {}

/** A bug in the process that answered. `reason` is its message. */
export class InternalError extends errorClass({
  code: "ZOOID_INTERNAL",
  facts: { reason: "string" },
  message: ({ reason }) => `internal error: ${reason}`,
}) {}
