import { AuthorizationError, UserAuthenticationExpiredError } from "nats";
import { CertificateError, NotAuthorizedError } from "../../core/index.js";

/** Facts about the broker from a dial, and the credentials that this process sent. */
export interface Dialed {
  /** For people. */
  readonly address: string;
  /** Whether the broker asks for a certificate of this process. */
  readonly asksForCertificate: boolean;
  /** Whether this process has given a user or a token. */
  readonly hasCredentials: boolean;
  /** Whether this process has given a certificate. */
  readonly hasCertificate: boolean;
}

/**
 * The refusal behind `error` of a failed dial, by the broker or by this process; undefined: it is no refusal, and
 * another attempt may succeed.
 */
export function refusalOf(error: unknown, dialed: Dialed): NotAuthorizedError | CertificateError | undefined {
  const { address, asksForCertificate, hasCredentials, hasCertificate } = dialed;
  const text = error instanceof Error && error.message !== "" ? `: ${error.message}` : "";
  if (error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError) {
    const reason = hasCredentials
      ? `the broker refuses the credentials${text}`
      : `the broker asks for credentials and none are given: a user with a password, or a token${text}`;
    return new NotAuthorizedError({ address, refused: "credentials", reason }, error);
  }
  const code = codeOf(error);
  if (isCertificateRefused(error, code, asksForCertificate)) {
    const reason = hasCertificate
      ? `the broker refuses the certificate of this process${text}`
      : `the broker asks for a certificate of this process and none is given: tls.certFile and tls.keyFile${text}`;
    return new NotAuthorizedError({ address, refused: "certificate", reason }, error);
  }
  if (!isDistrust(code) || !(error instanceof Error)) return undefined;
  const problem = problems[code] ?? "untrusted";
  return new CertificateError({ address, problem, reason: error.message, remedy: remedies[problem] }, error);
}

/**
 * Whether the broker ended the handshake because of this process's certificate. It sends an alert; or, because data
 * that this process was sending can overtake the alert, a reset that looks like any other.
 */
function isCertificateRefused(error: unknown, code: string, asksForCertificate: boolean): boolean {
  if (asksForCertificate && (error === undefined || code === "ECONNRESET" || code === "EPIPE")) return true;
  return /^ERR_SSL_.*ALERT_(?:\w*CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code);
}

/** Error codes of OpenSSL's verification, as Node gives them, and of Node itself. */
function isDistrust(code: string): boolean {
  return /^(?:CERT_|CRL_|ERROR_IN_C|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_|PATH_LENGTH_|HOSTNAME_MISMATCH|ERR_TLS_CERT_)/.test(code);
}

const problems: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "expired",
  CERT_NOT_YET_VALID: "notYetValid",
  CERT_REVOKED: "revoked",
  ERR_TLS_CERT_ALTNAME_INVALID: "misnamed",
  HOSTNAME_MISMATCH: "misnamed",
};

const remedies: Readonly<Record<string, string>> = {
  untrusted: "name the authority that signed it with tls.caFile (--tls-ca)",
  misnamed: "connect by a name that it holds, or say with tls.serverName which name it has to hold",
};

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
