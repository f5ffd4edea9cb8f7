import { errorClass } from "./base.js";

const because = (reason: string | undefined): string => (reason === undefined ? "" : `: ${reason}`);

/** There is no link, it was lost during the call, or nobody listens at the other end. `reason`: what is known of the cause. */
export class DisconnectedError extends errorClass({
  code: "ZOOID_DISCONNECTED",
  transient: true,
  facts: { address: "string", subject: "string?", reason: "string?" },
  message: ({ address, subject, reason }) =>
    subject === undefined ? `not connected to ${address}${because(reason)}` : `nobody listens on ${subject}`,
}) {
  /** The broker answered that nobody listens. It is a definite answer, which a lost link and a time-out are not. */
  get isUnheard(): boolean {
    return this.subject !== undefined;
  }
}

/**
 * The broker refused the credentials or the certificate, or they do not allow what was asked; or its own certificate is not trusted here.
 * `subject` and `reason` say which of them.
 */
export class NotAuthorizedError extends errorClass({
  code: "ZOOID_NOT_AUTHORIZED",
  transient: false,
  facts: { address: "string", subject: "string?", reason: "string?" },
  message: ({ address, subject, reason }) =>
    `not authorized at ${address}${subject === undefined ? "" : ` for the subject ${subject}`}${because(reason)}`,
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
