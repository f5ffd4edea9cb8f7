import { errorClass } from "./base.js";

const because = (reason: string | undefined): string => (reason === undefined ? "" : `: ${reason}`);

/**
 * There is no link, it was lost during the call, or nobody listens at the other end. `reason`: what is known of the cause. `missing`: what
 * has to be started or named otherwise, `broker`, `server`, `realm` or `storage`, where that is known; `remedy`: how.
 */
export class DisconnectedError extends errorClass({
  code: "ZOOID_DISCONNECTED",
  transient: true,
  facts: { address: "string", subject: "string?", reason: "string?", missing: "string?", remedy: "string?" },
  message: ({ address, subject, reason, remedy }) =>
    subject === undefined
      ? `not connected to ${address}${because(reason)}${remedy === undefined ? "" : `; ${remedy}`}`
      : `nobody listens on ${subject}`,
}) {
  /** The broker answered that nobody listens. It is a definite answer, which a lost link and a time-out are not. */
  get isUnheard(): boolean {
    return this.subject !== undefined;
  }
}

/**
 * The broker refused the credentials or the certificate of this process, or they do not allow what was asked. `refused` says which of them:
 * `credentials`, `certificate`, or, with `subject`, to `publish` or to `subscribe`.
 */
export class NotAuthorizedError extends errorClass({
  code: "ZOOID_NOT_AUTHORIZED",
  transient: false,
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
 * The certificate of the broker is not taken here. `problem`: it is `expired`, `notYetValid`, `misnamed`, `revoked`, or `untrusted`: whoever
 * signed it is not trusted.
 */
export class CertificateError extends errorClass({
  code: "ZOOID_CERTIFICATE",
  transient: false,
  facts: { address: "string", problem: "string", reason: "string", remedy: "string?" },
  message: ({ address, problem, reason, remedy }) =>
    `the certificate of the broker at ${address} ${certificateProblems[problem] ?? "is not trusted"}${because(reason)}` +
    (remedy === undefined ? "" : `; ${remedy}`),
}) {}

/** A stream of JetStream takes messages on subjects that Zooid needs for itself: it answers requests in the place of who was asked. */
export class CapturedSubjectsError extends errorClass({
  code: "ZOOID_CAPTURED_SUBJECTS",
  transient: false,
  facts: { stream: "string", subjects: "string" },
  message: ({ stream, subjects }) =>
    `stream ${stream} of JetStream takes messages on ${subjects}, which Zooid needs for itself: give that stream other subjects`,
}) {}

/** No answer within the time given. Whether the request was carried out is not known. */
export class TimeoutError extends errorClass({
  code: "ZOOID_TIMEOUT",
  transient: true,
  facts: { what: "string", timeoutMs: "number" },
  message: ({ what, timeoutMs }) => `${what} had no answer within ${timeoutMs} ms`,
}) {}

/** The object was closed before or during the call. */
export class ClosedError extends errorClass({
  code: "ZOOID_CLOSED",
  transient: false,
  facts: { what: "string" },
  message: ({ what }) => `${what} is closed`,
}) {}

/** The server knows no such session: it was closed, timed out, or belonged to an earlier start of the server. */
export class UnknownSessionError extends errorClass({
  code: "ZOOID_UNKNOWN_SESSION",
  transient: true,
  facts: { session: "string" },
  message: ({ session }) => `no session ${session}`,
}) {}

/** A bound of the server was reached (sessions, waiting commits, open transactions). */
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
  message: ({ staleMs, maxStaleMs }) => `what is known here is ${staleMs} ms old, more than ${maxStaleMs}`,
}) {}

/** A bug on the side that answered: its message is all that is known. */
export class InternalError extends errorClass({
  code: "ZOOID_INTERNAL",
  transient: false,
  facts: { reason: "string" },
  message: ({ reason }) => `internal error: ${reason}`,
}) {}
