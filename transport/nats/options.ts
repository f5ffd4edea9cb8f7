import { readFile } from "node:fs/promises";
import { asDurationIfGiven, atLeastOneMs, InvalidOptionError } from "../../core/index.js";
import type { LinkOptions } from "../linked-transport.js";
import { checkCredentials } from "./credentials.js";
import type { NatsDialOptions } from "./dial.js";

/** Where NATS is, the credentials for it, and how long to try. `random` gives the jitter between dials. */
export interface NatsOptions extends NatsDialOptions, LinkOptions {
  /** One address or several, tried in turn: `nats://host:4222`, `tls://user:password@host`. */
  readonly servers: string | readonly string[];
  /** First tokens of the subjects that answers come to. Default: `_INBOX`. */
  readonly inboxPrefix?: string;
}

/** Throws InvalidOptionError for the first invalid option of the link. */
export async function checkNatsOptions(options: NatsOptions): Promise<void> {
  checkCredentials(options);
  if (options.inboxPrefix !== undefined) checkInboxPrefix(options.inboxPrefix);
  for (const option of ["pingIntervalMs", "dialTimeoutMs"] as const) asDurationIfGiven(options[option], option, atLeastOneMs);
  const { pingsUnansweredMax } = options;
  if (pingsUnansweredMax !== undefined && !(Number.isFinite(pingsUnansweredMax) && pingsUnansweredMax > 0))
    throw new InvalidOptionError({ option: "pingsUnansweredMax", reason: "is not a positive number" });
  await checkTls(options.tls);
}

/** Throws InvalidOptionError for a text that is no certificate. Node would ignore it, and then trust no signer. */
async function checkTls(tls: NatsOptions["tls"]): Promise<void> {
  if (tls === undefined) return;
  for (const name of ["ca", "cert", "key"] as const) {
    const file = tls[`${name}File`];
    if (file !== undefined) checkPem(`tls.${name}File`, await textIn(file, `tls.${name}File`));
    const text = tls[name];
    if (text !== undefined) checkPem(`tls.${name}`, text);
  }
  const hasCertificate = (tls.cert ?? tls.certFile) !== undefined;
  const hasKey = (tls.key ?? tls.keyFile) !== undefined;
  if (hasCertificate && !hasKey)
    throw new InvalidOptionError({ option: "tls.key", reason: "is missing: a certificate is of no use without its key" });
  if (hasKey && !hasCertificate)
    throw new InvalidOptionError({ option: "tls.cert", reason: "is missing: a key is of no use without its certificate" });
}

function textIn(file: string, option: string): Promise<string> {
  return readFile(file, "latin1").catch((error: NodeJS.ErrnoException) => {
    throw new InvalidOptionError({ option, reason: `cannot be read: ${error.code ?? error.message}` });
  });
}

function checkPem(option: string, text: string): void {
  if (!text.includes("-----BEGIN ")) throw new InvalidOptionError({ option, reason: "holds nothing in PEM" });
}

/** Throws InvalidOptionError. */
function checkInboxPrefix(prefix: unknown): void {
  if (typeof prefix !== "string" || !/^[^\s.*>]+(?:\.[^\s.*>]+)*$/.test(prefix))
    throw new InvalidOptionError({ option: "inboxPrefix", reason: "is not tokens divided by dots, without spaces and wildcards" });
}
